"""What is kept of a run: figures and results for other programs, and how the figures went over the last runs."""

import json
import os
from html import escape
from statistics import median

from harness import chart

KEPT = 10
# How much more than usual is worth a line
TOLERANCE = 1.2


def result(boots):
    """A run as data: what it ran on, tests and problems of each boot, measurements, our share of the boot."""
    about = {}
    for _, boot, _ in boots:
        about.update(boot.about)
    return {
        "about": about,
        "boots": [{"name": name, "tests": len(boot.tests), "skipped": sum("# SKIP" in text for _, text in boot.tests),
                   "problems": problems} for name, boot, problems in boots],
        "measures": {f"{name}: {key}": {"value": value, "unit": unit}
                     for name, boot, _ in boots for key, (value, unit) in sorted(boot.measures.items())},
        "boot-to-app": boot_to_app(boots[0][1]),
    }


def boot_to_app(boot):
    """Seconds that softwarecontainer takes from its start to the app's first instruction, by the guest's clock."""
    shares = chart.shares(chart.spans(boot))
    return round(shares["ours"], 3) if "ours" in shares and "app-first-instruction" in boot.times else None


def remember(path, name, seconds):
    """Adds a figure to the history in the file; returns all that are kept, oldest first, as (name, seconds)."""
    figures = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            figures = [tuple(entry) for entry in json.load(file)]
    figures = [*figures, (name, seconds)][-KEPT:]
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=0)
    os.replace(path + ".new", path)
    return figures


def regression(figures):
    """A sentence if the newest figure is over a fifth more than usual, else None. Two figures say nothing."""
    *earlier, (_, newest) = figures
    if len(earlier) < 2:
        return None
    usual = median(seconds for _, seconds in earlier)
    if newest <= usual * TOLERANCE:
        return None
    return (f"REGRESSION? softwarecontainer took {newest:.3f} s of this boot, {100 * newest / usual - 100:.0f} % more than "
            f"usual ({usual:.3f} s, median of {len(earlier)} runs)")


def svg(figures, title):
    """The history as an SVG image: one bar for each run."""
    width, height, left, top = 640, 240, 60, 40
    highest = max((seconds for _, seconds in figures), default=1.0) or 1.0
    step = (width - left - 20) / KEPT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="20" font-size="15">{escape(title)}</text>',
    ]
    for index, (name, seconds) in enumerate(figures):
        bar = (height - top - 40) * seconds / highest
        x, y = left + index * step, height - 30 - bar
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{step * 0.7:.1f}" height="{bar:.1f}" fill="{chart.COLOURS["ours"]}"/>'
                     f'<text x="{x:.1f}" y="{y - 4:.1f}">{seconds:.2f} s</text>'
                     f'<text x="{x:.1f}" y="{height - 14}">{escape(name)}</text>')
    parts.append("</svg>\n")
    return "\n".join(parts)


def compatibility(results):
    """Runs as rows of a Markdown table: what they ran on and whether all passed."""
    lines = ["| architecture | kernel | LXC | systemd | Debian | tests | result |", "|---|---|---|---|---|---|---|"]
    for one in results:
        about = one["about"]
        tests = sum(boot["tests"] for boot in one["boots"])
        skipped = sum(boot["skipped"] for boot in one["boots"])
        problems = [problem for boot in one["boots"] for problem in boot["problems"]]
        cells = [about.get(key, "?") for key in ("architecture", "kernel", "lxc", "systemd", "debian")]
        cells.append(f"{tests}" + (f", {skipped} skipped" if skipped else ""))
        cells.append("all pass" if not problems else "; ".join(problems))
        lines.append("| " + " | ".join(cells) + " |")
    return lines

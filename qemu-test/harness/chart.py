"""The boot chart: what happened when, as a table and as an SVG timeline."""

from html import escape

# Order and wording of the points; the last field says whose time leads up to the point.
POINTS = [
    ("kernel", "kernel starts", "machine"),
    ("userspace", "systemd starts", "system"),
    ("agent-exec", "agent is executed", "system"),
    ("name-owned", "bus name owned, ready", "ours"),
    ("launcher-exec", "launcher is executed", "system"),
    ("create-called", "launcher calls Create", "ours"),
    ("created", "container runs", "ours"),
    ("capabilities-set", "capabilities set", "ours"),
    ("app-started", "Execute returns", "ours"),
    ("app-first-instruction", "app's first instruction", "ours"),
    ("app-first-packet", "app's first packet", "app"),
    ("app-first-answer", "app has its answer", "app"),
]
COLOURS = {"machine": "#9aa5b1", "system": "#6b9bd1", "ours": "#e08a3c", "app": "#5aa469"}
LABELS = {"machine": "QEMU and firmware", "system": "kernel and system", "ours": "softwarecontainer", "app": "the app"}


def spans(boot):
    """(name, text, whose, begin, end) of each step in seconds since power-on, in the order in which they happened."""
    origin = boot.start_of_kernel or 0.0
    found = [(0.0 if key == "kernel" else boot.times[key], key) for key, _, _ in POINTS
             if key == "kernel" or key in boot.times]
    order = [key for key, _, _ in POINTS]
    found.sort(key=lambda point: (point[0], order.index(point[1])))
    details = {key: (text, whose) for key, text, whose in POINTS}
    steps, before = [], 0.0
    for seconds, key in found:
        text, whose = details[key]
        steps.append((key, text, whose, before, seconds + origin))
        before = seconds + origin
    return steps


def shares(steps):
    """Seconds per owner up to the app's first instruction (or the last point there is)."""
    total = {}
    for key, _, whose, begin, end in steps:
        total[whose] = total.get(whose, 0.0) + end - begin
        if key == "app-first-instruction":
            break
    return total


def table(boot):
    """The chart as lines of text."""
    steps = spans(boot)
    lines = [f"{'at s':>8} {'step s':>8}  what"]
    lines += [f"{end:8.3f} {end - begin:8.3f}  {text} ({LABELS[whose]})" for _, text, whose, begin, end in steps]
    total = shares(steps)
    whole = sum(total.values())
    if whole:
        lines.append("share until the app's first instruction: " + ", ".join(
            f"{LABELS[whose]} {seconds:.3f} s ({100 * seconds / whole:.1f} %)" for whose, seconds in total.items()))
    return lines


def svg(boot, title):
    """The chart as an SVG image: one row per step, time to the right."""
    steps = spans(boot)
    width, left, row, top = 1000, 230, 22, 58
    end_of_all = max((end for *_, end in steps), default=1.0) or 1.0
    scale = (width - left - 90) / end_of_all
    height = top + row * len(steps) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="20" font-size="15">{escape(title)}</text>',
    ]
    x = 10
    for whose, colour in COLOURS.items():
        parts.append(f'<rect x="{x}" y="32" width="11" height="11" fill="{colour}"/>'
                     f'<text x="{x + 16}" y="42">{LABELS[whose]}</text>')
        x += 150
    for second in range(0, int(end_of_all) + 1, max(1, int(end_of_all) // 12)):
        x = left + second * scale
        parts.append(f'<line x1="{x:.1f}" y1="{top - 6}" x2="{x:.1f}" y2="{height - 22}" stroke="#dddddd"/>'
                     f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">{second} s</text>')
    for index, (_, text, whose, begin, end) in enumerate(steps):
        y = top + index * row
        parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(text)}</text>'
                     f'<rect x="{left + begin * scale:.1f}" y="{y + 2}" width="{max((end - begin) * scale, 1.5):.1f}" '
                     f'height="{row - 7}" fill="{COLOURS[whose]}"/>'
                     f'<text x="{left + end * scale + 5:.1f}" y="{y + 13}">{end:.2f}</text>')
    parts.append("</svg>\n")
    return "\n".join(parts)

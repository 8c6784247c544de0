#!/usr/bin/python3
"""Checks that no page of the book is wider than a screen of 1280 pixels, nor a table, code or picture wider than its page.

The book is built with mdbook, and laid out by Chromium without a screen. Where one of them is not installed, it says so and ends well.
"""

import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BOOK = pathlib.Path(__file__).resolve().parent
WIDTH = 1280
# A font that is not there may make text this much wider.
SPARE = 1

# Lays out one page after the other, and leaves what is too wide as JSON.
DRIVER = """<!DOCTYPE html>
<body><pre id="found"></pre><script>
const spare = %(spare)d;
function wide(page, document) {
    const root = document.documentElement, found = [];
    const tell = (what, by) => by > spare && found.push([page, what, by]);
    tell('the page', root.scrollWidth - root.clientWidth);
    const right = document.querySelector('main').getBoundingClientRect().right;
    for (const part of document.querySelectorAll('main table, main pre, main pre code, main td, main th, main img')) {
        const text = part.textContent.trim().replace(/\\s+/g, ' ').slice(0, 50);
        const beyond = part.getBoundingClientRect().right - right;
        tell(`${part.tagName.toLowerCase()} "${text}"`, Math.max(beyond, part.scrollWidth - part.clientWidth));
    }
    return found;
}
(async () => {
    let found = [], measured = 0;
    for (const page of %(pages)s) {
        const frame = document.createElement('iframe');
        frame.style.cssText = 'border: 0; height: 900px; width: %(width)dpx';
        frame.src = page;
        document.body.append(frame);
        await new Promise(done => frame.onload = done);
        await frame.contentDocument.fonts.ready;
        found = found.concat(wide(page, frame.contentDocument));
        measured += 1;
        frame.remove();
    }
    document.getElementById('found').textContent = JSON.stringify([measured, found]);
})();
</script></body>
"""


def measure(book):
    """How many pages were laid out, and what is too wide: page, element, by how many pixels."""
    aside = {"404.html", "print.html", "toc.html"}
    pages = [str(page.relative_to(book)) for page in sorted(book.rglob("*.html")) if page.name not in aside]
    driver = book / "widths.html"
    driver.write_text(DRIVER % {"pages": json.dumps(pages), "width": WIDTH, "spare": SPARE}, encoding="utf-8")
    browser = [
        *("chromium", "--headless", "--disable-gpu", "--allow-file-access-from-files"),
        *(f"--window-size={WIDTH + 100},1000", "--virtual-time-budget=60000", "--dump-dom"),
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    home = {**os.environ, "HOME": str(book)}
    done = subprocess.run([*browser, driver.as_uri()], env=home, capture_output=True, text=True, timeout=300, check=True)
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.S)
    if not found:
        raise ValueError(f"the browser measured nothing:\n{done.stderr}")
    measured, wide = json.loads(html.unescape(found[1]))
    if measured != len(pages) or not pages:
        raise ValueError(f"{measured} of {len(pages)} pages were laid out")
    return measured, wide


def main():
    for program in ("mdbook", "chromium"):
        if not shutil.which(program):
            print(f"skipped: widths of the book's pages ({program} is not installed)")
            return 0
    with tempfile.TemporaryDirectory() as directory:
        book = pathlib.Path(directory, "book")
        quiet = {**os.environ, "RUST_LOG": "warn"}
        subprocess.run(["mdbook", "build", "--dest-dir", book, BOOK], env=quiet, check=True)
        measured, wide = measure(book)
    for page, element, pixels in wide:
        print(f"{page}: {element} is {pixels:.0f} pixels too wide for a screen of {WIDTH}", file=sys.stderr)
    if not wide:
        print(f"{measured} pages fit a screen of {WIDTH} pixels")
    return 1 if wide else 0


if __name__ == "__main__":
    sys.exit(main())

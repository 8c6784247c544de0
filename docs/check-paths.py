#!/usr/bin/python3
"""Checks that the files of the source tree that the documentation names exist.

Those in the architecture page's list of behaviours must also still speak of what they are said to do.
"""

import pathlib
import re
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent
PAGE = TREE / "docs/src/architecture.md"
ROW = re.compile(r"^\| (?P<behaviour>.+?) \| `(?P<file>[^`]+)` \| `(?P<word>[^`]+)` \|$", re.M)
EXPECTED = 17
PATH = re.compile(r"`(?P<path>[\w.-]+(?:/[\w.-]+)*/?)`")


def missing():
    """Paths in backquotes that begin with a folder of the tree and lead nowhere."""
    list_all = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(list_all, cwd=TREE, check=True, capture_output=True, text=True)
    files = listed.stdout.splitlines()
    folders = {file.split("/")[0] for file in files if "/" in file}
    for page in sorted({file for file in files if file.endswith(".md")}):
        page = TREE / page
        if not page.exists() or "CHANGELOG" in page.name:
            continue
        for match in PATH.finditer(page.read_text(encoding="utf-8")):
            path = match["path"]
            # The gateway that a chapter has you write.
            if path.split("/")[0] not in folders or "/" not in path or "tuner" in path:
                continue
            places = (TREE / path, TREE / f"{path}.rs", page.parent / path)
            if not any(place.exists() for place in places):
                yield f"{page.relative_to(TREE)}: there is no {path}"


def main():
    text = PAGE.read_text(encoding="utf-8")
    listed = text.partition("<!-- behaviours -->")[2].partition("<!-- end of behaviours -->")[0]
    rows = [match.groupdict() for match in ROW.finditer(listed)]
    problems = []
    if len(rows) < EXPECTED:
        problems.append(f"{len(rows)} behaviours, fewer than {EXPECTED}")
    for row in rows:
        file = TREE / row["file"]
        if not file.is_file():
            problems.append(f"{row['behaviour']}: there is no {row['file']}")
        elif row["word"].lower() not in file.read_text(encoding="utf-8").lower():
            problems.append(f"{row['behaviour']}: {row['file']} does not speak of {row['word']}")
    problems = [f"{PAGE.relative_to(TREE)}: {problem}" for problem in problems] + list(missing())
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

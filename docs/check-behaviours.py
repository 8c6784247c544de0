#!/usr/bin/python3
"""Checks the architecture page's list of behaviours: that each file exists, and still speaks of what it is said to do."""

import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent
PAGE = TREE / "docs/src/architecture.md"
ROW = re.compile(r"^\| (?P<behaviour>.+?) \| `(?P<file>[^`]+)` \| `(?P<word>[^`]+)` \|$", re.M)
EXPECTED = 15


def main():
    text = PAGE.read_text(encoding="utf-8")
    listed = text.partition("<!-- behaviours -->")[2].partition("<!-- end of behaviours -->")[0]
    rows = [match.groupdict() for match in ROW.finditer(listed)]
    problems = []
    if len(rows) != EXPECTED:
        problems.append(f"{len(rows)} behaviours instead of {EXPECTED}")
    for row in rows:
        file = TREE / row["file"]
        if not file.is_file():
            problems.append(f"{row['behaviour']}: there is no {row['file']}")
        elif row["word"].lower() not in file.read_text(encoding="utf-8").lower():
            problems.append(f"{row['behaviour']}: {row['file']} does not speak of {row['word']}")
    for problem in problems:
        print(f"{PAGE.relative_to(TREE)}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

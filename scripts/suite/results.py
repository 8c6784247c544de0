"""What the output of `cargo test` says: which tests ran, which failed, which were left out and why."""

import re
from dataclasses import dataclass, field

# Tests that fail at first and pass when they run alone: from the third on the suite has failed.
TOLERATED = 2

SECTION = re.compile(r"^ +(?:Running (?P<file>\S.*)|Doc-tests (?P<documentation>\S+))$")
TEST = re.compile(r"^test (?P<name>.+?) \.\.\. (?P<result>ok|FAILED|ignored(?:, (?P<reason>.*))?)$")
# In the list of targets that failed, at the end of cargo's output.
TARGET = re.compile(r"^ +`(?P<arguments>-p .*|--.*)`$")
# In the list of failures before a program's result.
FAILURE = re.compile(r"^    (?P<name>\S.*)$")


@dataclass
class Section:
    """One test program."""

    title: str
    passed: int = 0
    failed: list = field(default_factory=list)
    ignored: list = field(default_factory=list)
    finished: bool = False
    broken: bool = False


def read(lines):
    """The sections of a run, and the arguments with which cargo runs each failed target again."""
    sections, targets, listed = [], [], []
    for line in lines:
        line = line.rstrip("\n")
        # What a test's programs print can stand in the middle of its line, so the list of failures,
        # the last one of that title, counts, too.
        if line == "failures:":
            listed = []
        elif match := FAILURE.match(line):
            listed.append(match["name"])
        if match := SECTION.match(line):
            sections.append(Section(match["file"] or f"documentation of {match['documentation']}"))
        elif match := TARGET.match(line):
            targets.append(match["arguments"])
        elif sections and (match := TEST.match(line)):
            section = sections[-1]
            if match["result"] == "ok":
                section.passed += 1
            elif match["result"] == "FAILED":
                section.failed.append(match["name"])
            else:
                section.ignored.append((match["name"], match["reason"] or "no reason given"))
        elif sections and line.startswith("test result: "):
            section = sections[-1]
            section.finished = True
            section.broken = "FAILED" in line
            if section.broken:
                section.failed += [name for name in listed if name not in section.failed]
            listed = []
    for section in sections:
        section.broken = section.broken or bool(section.failed) or not section.finished
    return sections, list(dict.fromkeys(targets))


def again(sections, targets):
    """The arguments of `cargo test` with which only what failed runs once more."""
    broken = [section for section in sections if section.broken]
    if len(broken) != len(targets):
        return [(target, []) for target in targets]
    # A program that died named no test: all of it runs again.
    return [(t, s.failed if s.finished else []) for t, s in zip(targets, broken)]


def summary(sections, flaky, unable):
    """The last lines of a run, and whether it passed."""
    ignored = [each for section in sections for each in section.ignored]
    lines = [f"{sum(section.passed for section in sections)} tests passed"]
    lines += [f"  left out by `#[ignore]`: {name}: {reason}" for name, reason in ignored]
    lines += [f"  NOT RUN, this machine cannot: {each}" for each in unable]
    lines += [f"  FAILED AT FIRST, passed when run alone: {name}" for name in flaky]
    passed = len(flaky) <= TOLERATED
    if flaky:
        verdict = "tolerated" if passed else "too many: the suite has failed"
        lines.append(f"{len(flaky)} of at most {TOLERATED} failed at first, {verdict}")
    return lines, passed

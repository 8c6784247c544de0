"""What the guest says of one boot, and whether that is a pass.

The guest writes TAP to a virtio-serial port, with comments that carry data:

    # phase 1 of 3 sequence      which boot this is
    # about NAME VALUE           what it runs on: architecture, kernel, lxc, …
    # clock 12.34                seconds since kernel start, now
    # time NAME SECONDS          a point on the boot chart, seconds since kernel start
    # measure NAME VALUE UNIT    a number for the report
    # end reboot|off|cut         the last line; how this boot is meant to stop

QEMU's exit status proves nothing (a panic ends with 0 as well), so a boot passes only if all of it is here.
"""

import re

TEST = re.compile(r"(not )?ok (\d+) - (.*)")
PLAN = re.compile(r"1\.\.(\d+)(?: # SKIP (.*))?")
PHASE = re.compile(r"# phase (\d+) of (\d+) (\S+)")
ABOUT = re.compile(r"# about (\S+) (.+)")
CLOCK = re.compile(r"# clock ([0-9.]+)")
TIME = re.compile(r"# time (\S+) ([0-9.]+)")
MEASURE = re.compile(r"# measure (\S+) ([0-9.]+) (\S+)")
END = re.compile(r"# end (reboot|off|cut)")


class Boot:
    """The results of one boot, fed line by line."""

    def __init__(self):
        self.tests = []  # (passed, description)
        self.planned = None
        self.phase = None  # (number, of, name)
        self.end = None
        self.about = {}
        self.start_of_kernel = None  # seconds after power-on
        self.times = {}
        self.measures = {}
        self.problems = []

    def feed(self, line, since_power_on):
        """Takes one line that arrived that many seconds after power-on."""
        if self.end is not None:
            self.problems.append(f"a line after the end: {line}")
        elif match := TEST.match(line):
            if int(match[2]) != len(self.tests) + 1:
                self.problems.append(f"test {match[2]} where {len(self.tests) + 1} was due")
            self.tests.append((not match[1], match[3]))
        elif match := PLAN.fullmatch(line):
            if self.planned is not None:
                self.problems.append("a second plan")
            self.planned = int(match[1])
        elif line.startswith("Bail out!"):
            self.problems.append(line)
        elif match := PHASE.fullmatch(line):
            self.phase = (int(match[1]), int(match[2]), match[3])
        elif match := ABOUT.fullmatch(line):
            self.about[match[1]] = match[2]
        elif match := CLOCK.fullmatch(line):
            if self.start_of_kernel is None:
                self.start_of_kernel = since_power_on - float(match[1])
        elif match := TIME.fullmatch(line):
            self.times.setdefault(match[1], float(match[2]))
        elif match := MEASURE.fullmatch(line):
            self.measures[match[1]] = (float(match[2]), match[3])
        elif match := END.fullmatch(line):
            self.end = match[1]

    def judge(self, expected_phase):
        """Lists every reason why this boot is no pass."""
        problems = list(self.problems)
        if self.phase is None:
            problems.append("the guest never named its phase: the test did not start")
        elif self.phase[0] != expected_phase:
            problems.append(f"phase {self.phase[0]} ran where {expected_phase} was due")
        if self.planned is None:
            problems.append("there is no plan: the test did not finish")
        elif self.planned != len(self.tests):
            problems.append(f"{self.planned} tests were planned and {len(self.tests)} ran")
        elif self.planned == 0:
            problems.append("the plan is empty")
        if self.end is None:
            problems.append("there is no final line")
        failed = [text for passed, text in self.tests if not passed and "# TODO" not in text]
        problems.extend(f"failed: {text}" for text in failed)
        return problems

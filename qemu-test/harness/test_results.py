"""The judge must not pass a boot that is not whole: python3 -m unittest discover qemu-test."""

import os
import tempfile
import unittest

from harness import chart, report
from harness.results import Boot

GOOD = ["# phase 1 of 1 sequence", "# clock 10.0", "ok 1 - one", "ok 2 - two", "# time userspace 2.5",
        "# measure create 12.5 ms", "1..2", "# end off"]


def judged(lines):
    boot = Boot()
    for number, line in enumerate(lines):
        boot.feed(line, 12.0 + number)
    return boot.judge(1)


class Judge(unittest.TestCase):
    def test_a_whole_boot_passes(self):
        self.assertEqual(judged(GOOD), [])

    def test_every_missing_line_fails(self):
        for missing in ["# phase 1 of 1 sequence", "ok 1 - one", "ok 2 - two", "1..2", "# end off"]:
            with self.subTest(missing=missing):
                self.assertNotEqual(judged([line for line in GOOD if line != missing]), [])

    def test_silence_fails(self):
        self.assertNotEqual(judged([]), [])

    def test_a_failed_test_fails_and_is_named(self):
        lines = [line.replace("ok 2", "not ok 2") for line in GOOD]
        self.assertEqual(judged(lines), ["failed: two"])

    def test_truncation_anywhere_fails(self):
        for length in range(len(GOOD)):
            with self.subTest(length=length):
                self.assertNotEqual(judged(GOOD[:length]), [])

    def test_an_empty_plan_fails(self):
        self.assertNotEqual(judged(["# phase 1 of 1 sequence", "1..0", "# end off"]), [])

    def test_another_phase_fails(self):
        self.assertNotEqual(judged([GOOD[0].replace("phase 1", "phase 2"), *GOOD[1:]]), [])

    def test_a_bail_out_fails(self):
        self.assertNotEqual(judged([*GOOD[:-1], "Bail out! no agent", GOOD[-1]]), [])


def boot_to_app():
    boot = Boot()
    for line in ["# about kernel 6.1.0", "# about lxc 5.0.2", "# clock 5.0", "ok 1 - one", "ok 2 - two # SKIP none"]:
        boot.feed(line, 6.5)
    for name, seconds in [("userspace", 2), ("agent-exec", 4), ("name-owned", 4.5), ("app-first-instruction", 6)]:
        boot.feed(f"# time {name} {seconds}", 7)
    return boot


class Report(unittest.TestCase):
    def test_our_share_of_the_boot(self):
        self.assertEqual(report.boot_to_app(boot_to_app()), 2.0)
        self.assertIsNone(report.boot_to_app(Boot()))

    def test_the_history_keeps_the_last_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "history.json")
            for number in range(12):
                figures = report.remember(path, f"run{number}", float(number))
            self.assertEqual(len(figures), report.KEPT)
            self.assertEqual((figures[0], figures[-1]), (("run2", 2.0), ("run11", 11.0)))

    def test_a_fifth_more_than_usual_is_said(self):
        usual = [("a", 1.0), ("b", 1.1), ("c", 0.9)]
        self.assertIn("25 % more", report.regression([*usual, ("d", 1.25)]))
        self.assertIsNone(report.regression([*usual, ("d", 1.15)]))
        self.assertIsNone(report.regression([("a", 1.0), ("b", 9.0)]))

    def test_the_table_tells_what_failed(self):
        good = report.result([("sequence", boot_to_app(), [])])
        bad = report.result([("sequence", boot_to_app(), ["failed: two"])])
        rows = report.compatibility([good, bad])
        self.assertEqual(rows[2], "| ? | 6.1.0 | 5.0.2 | ? | ? | 2, 1 skipped | all pass |")
        self.assertTrue(rows[3].endswith("| failed: two |"))

    def test_the_image_is_well_formed(self):
        from xml.dom.minidom import parseString
        parseString(report.svg([("<a>", 1.0), ("b", 0.0)], "a <title>"))


class Chart(unittest.TestCase):
    def boot(self):
        boot = Boot()
        boot.feed("# clock 5.0", 6.5)
        for name, seconds in [("userspace", 2), ("agent-exec", 4), ("name-owned", 4.5), ("app-first-instruction", 6)]:
            boot.feed(f"# time {name} {seconds}", 7)
        return boot

    def test_times_count_from_power_on(self):
        steps = chart.spans(self.boot())
        self.assertEqual([(key, begin, end) for key, _, _, begin, end in steps][:3], [
            ("kernel", 0.0, 1.5), ("userspace", 1.5, 3.5), ("agent-exec", 3.5, 5.5)])

    def test_shares_add_up_to_the_first_instruction(self):
        self.assertAlmostEqual(sum(chart.shares(chart.spans(self.boot())).values()), 7.5)

    def test_the_image_is_well_formed(self):
        from xml.dom.minidom import parseString
        parseString(chart.svg(self.boot(), "a <title>"))


if __name__ == "__main__":
    unittest.main()

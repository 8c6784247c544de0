"""What is made of the output of `cargo test`."""

import unittest

from suite import results

OUTPUT = """\
     Running unittests src/lib.rs (target/debug/deps/a-1)

running 3 tests
test config::reads ... ok
test slow ... ignored, a measurement
test config::writes ... FAILED
test mixed ... a program says something
FAILED

failures:

---- mixed stdout ----
    some text

failures:
    config::writes
    mixed

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s

     Running tests/api/main.rs (target/debug/deps/api-2)

running 1 test
test create ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s

     Running tests/died.rs (target/debug/deps/died-3)

running 2 tests
test one ... ok
error: 2 targets failed:
    `-p a --lib`
    `-p a --test died`
"""


class Results(unittest.TestCase):
    def setUp(self):
        self.sections, self.targets = results.read(OUTPUT.splitlines())

    def test_what_failed_runs_again(self):
        self.assertEqual(
            results.again(self.sections, self.targets),
            [("-p a --lib", ["config::writes", "mixed"]), ("-p a --test died", [])],
        )

    def test_everything_runs_again_where_targets_cannot_be_told_apart(self):
        self.assertEqual(results.again(self.sections, ["-p b"]), [("-p b", [])])

    def test_the_summary_has_what_did_not_run_and_why(self):
        lines, passed = results.summary(self.sections, [], ["freezer: no v1"])
        self.assertEqual(
            lines,
            [
                "3 tests passed",
                "  left out by `#[ignore]`: slow: a measurement",
                "  NOT RUN, this machine cannot: freezer: no v1",
            ],
        )
        self.assertTrue(passed)

    def test_more_than_two_that_failed_at_first_fail_the_suite(self):
        self.assertTrue(results.summary([], ["a", "b"], [])[1])
        lines, passed = results.summary([], ["a", "b", "c"], [])
        self.assertFalse(passed)
        self.assertIn("3 of at most 2", lines[-1])

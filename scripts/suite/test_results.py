"""What is made of the output of `cargo test`."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import tempfile
import unittest
from pathlib import Path

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


# A test that fails the first time, and one that passes; MARK is a directory to note it in.
FLAKY = """
#[test]
fn steady() {}

#[test]
fn NAME() {
    let note = concat!("MARK/", "NAME");
    if std::fs::exists(note).unwrap() == false {
        std::fs::write(note, "").unwrap();
        panic!("the machine is overloaded");
    }
}
"""


def test_script():
    """scripts/test as a module."""
    path = Path(__file__).resolve().parent.parent / "test"
    loader = importlib.machinery.SourceFileLoader("test_script", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("test_script", loader))
    loader.exec_module(module)
    return module


class Rerun(unittest.TestCase):
    """The whole way, with cargo and real test programs."""

    def outcome(self, flaky):
        """The last lines of a workspace where so many test programs fail at first."""
        script = test_script()
        before = Path.cwd()
        with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(io.StringIO()):
            tests = Path(directory, "tests")
            tests.mkdir()
            Path(directory, "src").mkdir()
            Path(directory, "src/lib.rs").touch()
            manifest = '[package]\nname = "sample"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n'
            Path(directory, "Cargo.toml").write_text(manifest)
            for number in range(flaky):
                text = FLAKY.replace("NAME", f"late_{number}").replace("MARK", directory)
                Path(tests, f"sample{number}.rs").write_text(text)
            script.UNABLE = Path(directory, "unable")
            os.environ["CARGO_TARGET_DIR"] = str(Path(directory, "target"))
            os.chdir(directory)
            try:
                return script.code()
            finally:
                os.chdir(before)
                del os.environ["CARGO_TARGET_DIR"]

    def test_a_failure_that_passes_when_run_again_is_named_and_tolerated(self):
        lines, passed = self.outcome(1)
        self.assertTrue(passed)
        failed = "  FAILED AT FIRST, passed when run alone: --test sample0 late_0"
        self.assertIn(failed, lines)
        self.assertEqual(lines[-1], "1 of at most 2 failed at first, tolerated")

    def test_three_of_them_fail_the_suite(self):
        lines, passed = self.outcome(3)
        self.assertFalse(passed)
        self.assertEqual(lines[-1], "3 of at most 2 failed at first, too many: the suite has failed")


if __name__ == "__main__":
    unittest.main()

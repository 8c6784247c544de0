"""What the check of the floors finds, on small crates and on a copy of this workspace."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from floors.rust_source import Module, Reader
from floors.workspace import Workspace

SCRIPTS = Path(__file__).resolve().parent.parent
MANIFEST = '[package]\nname = "small"\n'


def parse(text):
    module = Module("", None, Path("lib.rs"))
    Reader(text).module(module)
    return module


class Source(unittest.TestCase):
    def test_use_trees_are_taken_apart(self):
        imports = parse("use a::{self, b::{C, D as E}, f::*};").imports
        self.assertEqual(
            {name: path for name, (path, _, _) in imports.items()},
            {"a": ["a"], "C": ["a", "b", "C"], "E": ["a", "b", "D"]},
        )

    def test_comments_and_literals_are_no_paths(self):
        text = """
            // crate::a::B
            /* crate::a /* crate::b::C */ crate::d::E */
            fn f<'a>(c: char) { (r#"crate::a::B" "#, "\\"crate::a::B", 'x', '"', crate::z::Z) }
        """
        self.assertEqual(parse(text).paths, [(["crate", "z", "Z"], 4)])

    def test_code_for_tests_is_left_out(self):
        text = "#[cfg(test)] use a::B; #[cfg(test)] mod tests { use c::D; } fn f() { e::g() }"
        module = parse(text)
        self.assertEqual((module.imports, module.paths), ({}, [(["e", "g"], 1)]))


class Small(unittest.TestCase):
    """A crate of a few files; names them in the arrows that are found."""

    def arrows(self, **files):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "Cargo.toml").write_text('[workspace]\nmembers = ["small"]\n')
            (root / "small/src").mkdir(parents=True)
            (root / "small/Cargo.toml").write_text(MANIFEST)
            for name, text in files.items():
                file = root / "small/src" / f"{name.replace('__', '/')}.rs"
                file.parent.mkdir(exist_ok=True)
                file.write_text(text)
            return {(a.source.stem, a.target.stem) for a in Workspace(root).arrows()}

    def test_a_facade_is_transparent(self):
        self.assertEqual(
            self.arrows(
                lib="mod a; mod b;",
                a="mod error; mod work; pub use error::Error;",
                a__error="pub struct Error;",
                a__work="use super::Error;",
                b="use crate::a::Error;",
            ),
            {("work", "error"), ("b", "error")},
        )

    def test_a_parent_that_uses_what_it_passes_on_is_no_facade(self):
        self.assertEqual(
            self.arrows(lib="mod a;", a="mod e; pub use e::E; fn f() -> E {}", a__e="pub struct E;"),
            {("a", "e")},
        )

    def test_who_passes_a_name_on_and_has_items_of_its_own_is_no_facade(self):
        self.assertEqual(
            self.arrows(
                lib="mod a; mod b;",
                a="mod error; pub use error::Error; pub struct A;",
                a__error="pub struct Error;",
                b="use crate::a::Error;",
            ),
            {("b", "a"), ("b", "error")},
        )

    def test_paths_begin_at_imported_modules_and_at_children(self):
        self.assertEqual(
            self.arrows(
                lib="mod a; mod b; fn f() { a::g() }",
                a="use crate::b; pub fn g() { b::h() }",
                b="pub fn h() {}",
            ),
            {("lib", "a"), ("a", "b")},
        )


class Planted(unittest.TestCase):
    """A copy of this workspace with something wrong in it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        source = SCRIPTS.parent
        shutil.copy(source / "Cargo.toml", self.root)
        for manifest in source.glob("[!.]*/**/Cargo.toml"):
            place = manifest.parent.relative_to(source)
            if "target" not in place.parts and (manifest.parent / "src").exists():
                shutil.copytree(manifest.parent / "src", self.root / place / "src")
                shutil.copy(manifest, self.root / place)

    def plant(self, file, line):
        """Puts a line at a file's end; its place as the check prints it."""
        path = self.root / file
        text = path.read_text()
        path.write_text(text + line + "\n")
        return f"{file}:{len(text.splitlines()) + 1}"

    def check(self):
        command = [sys.executable, SCRIPTS / "check-floors", "--root", self.root]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def test_an_arrow_up_is_found(self):
        place = self.plant("agent/src/host/sys.rs", "use crate::container::Execution as _;")
        status, output = self.check()
        self.assertEqual(status, 1)
        self.assertIn(f"{place}: arrow up to agent/src/container", output)

    def test_a_crate_that_uses_one_it_may_not_is_found(self):
        place = self.plant("capability/src/json.rs", "use softwarecontainer_lxc::Container as _;")
        status, output = self.check()
        self.assertEqual(status, 1)
        self.assertIn(f"{place}: arrow up to lxc/src", output)

    def test_an_arrow_up_is_found_however_it_is_written(self):
        for line in (
            "use self::super::super::container::Execution as _;",
            "pub use crate::container::Execution;",
            "pub(crate) use crate::container::*;",
            "fn f() { self::super::super::container::planted() }",
        ):
            with self.subTest(line):
                file = self.root / "agent/src/host/sys.rs"
                before = file.read_text()
                place = self.plant("agent/src/host/sys.rs", line)
                status, output = self.check()
                file.write_text(before)
                self.assertEqual(status, 1)
                self.assertIn(f"{place}: arrow up to agent/src/container", output)

    def test_two_imports_of_one_name_are_both_seen(self):
        file = "agent/src/host/sys.rs"
        place = self.plant(file, "use crate::container::planted as name;")
        self.plant(file, "use crate::host::planted as name;")
        self.assertIn(f"{place}: arrow up to agent/src/container", self.check()[1])

    def test_a_manifest_that_names_a_crate_it_may_not_is_found(self):
        for line in (
            "softwarecontainer-lxc.workspace = true",
            'elx = { package = "softwarecontainer-lxc", path = "../lxc" }',
        ):
            with self.subTest(line):
                file = self.root / "capability/Cargo.toml"
                before = file.read_text()
                file.write_text(before.replace("[dependencies]\n", f"[dependencies]\n{line}\n"))
                status, output = self.check()
                file.write_text(before)
                self.assertEqual(status, 1)
                self.assertIn("capability/Cargo.toml: capability may not use lxc", output)

    def test_a_circle_is_found(self):
        places = [
            self.plant("agent/src/keyfile.rs", "fn a() { crate::command_line::planted() }"),
            self.plant("agent/src/command_line.rs", "fn b() { crate::keyfile::planted() }"),
        ]
        status, output = self.check()
        self.assertEqual(status, 1)
        self.assertIn(f"{places[0]} uses agent/src/command_line.rs", output)
        self.assertIn(f"{places[1]} uses agent/src/keyfile.rs", output)

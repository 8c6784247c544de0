"""The workspace's crates and modules, and which file a path leads to."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from floors.rust_source import Module, read


@dataclass(frozen=True, order=True)
class Arrow:
    """One file uses something of another."""

    source: Path
    target: Path
    line: int


class Workspace:
    """Every crate of a workspace, with the modules of its library and programs."""

    def __init__(self, root):
        self.root = root
        # Library by its name in Rust → root module; every root module → folder of its package.
        self.libraries, self.roots = {}, []
        # Member → packages that its manifest names for its programs and its build script; name of a package → member.
        self.dependencies, self.packages = {}, {}
        # The modules that passed the last path on by `use`.
        self.passed = []
        manifest = tomllib.loads((root / "Cargo.toml").read_text(encoding="utf-8"))
        self.shared = manifest["workspace"].get("dependencies", {})
        for member in manifest["workspace"]["members"]:
            self.package(member)

    def package(self, member):
        folder = self.root / member
        manifest = tomllib.loads((folder / "Cargo.toml").read_text(encoding="utf-8"))
        name = manifest["package"]["name"].replace("-", "_")
        self.packages[manifest["package"]["name"]] = member
        self.dependencies[member] = packages(manifest, self.shared)
        library = folder / manifest.get("lib", {}).get("path", "src/lib.rs")
        programs = [folder / "src/main.rs", *sorted(folder.glob("src/bin/*.rs"))]
        programs += [folder / each["path"] for each in manifest.get("bin", []) if "path" in each]
        for file in dict.fromkeys([library, *programs]):
            if not file.exists():
                continue
            module = self.load(Module("", None, file), file.parent)
            self.roots.append((member, module))
            if file == library:
                self.libraries[manifest.get("lib", {}).get("name", name)] = module

    def load(self, module, below):
        """Reads a module's file and those of the modules it declares."""
        read(module.file, module)
        self.declared(module, below)
        return module

    def declared(self, module, below):
        for child in list(module.children.values()):
            self.declared(child, below / child.name)
        for name, test_only in module.declared.items():
            if test_only:
                continue
            places = (below / f"{name}.rs", below / name / "mod.rs")
            file = next((place for place in places if place.exists()), None)
            if file is not None:
                child = module.children[name] = Module(name, module, file)
                self.load(child, below / name)

    def resolve(self, module, path, seen=()):
        """The module that an absolute path leads to, and whether it is the module itself."""
        for at, name in enumerate(path):
            if name in module.children:
                module = module.children[name]
                continue
            if (module, name) not in seen:
                onwards = self.reexport(module, name, seen + ((module, name),))
                if onwards is not None:
                    target, is_module = onwards
                    if is_module:
                        return self.resolve(target, path[at + 1 :], seen)
                    return onwards
            return module, False
        return module, True

    def reexport(self, module, name, seen):
        """Where a name leads that a module has by `use` only."""
        if name in module.imports and name not in module.items:
            path = module.imports[name][0]
            self.passed.append(module)
            start = self.start(module, path, own=name)
            return start and self.resolve(*start, seen)
        if name in module.items:
            return None
        for path, _, _ in module.globs:
            start = self.start(module, path)
            target = start and self.resolve(*start, seen)
            if target and target[1] and (name in target[0].items or name in target[0].children):
                return self.resolve(target[0], [name], seen)
        return None

    def start(self, module, path, own=None, seen=()):
        """The module where a path of `module` begins, and what is left of the path."""
        first, rest = path[0], path[1:]
        if first == "crate":
            while module.parent is not None:
                module = module.parent
            return module, rest
        if first in ("self", "super"):
            module = module if first == "self" else module.parent
            while module and rest and rest[0] == "super":
                module, rest = module.parent, rest[1:]
            return module and (module, rest)
        if first in module.children:
            return module, path
        if first in module.imports and first != own and first not in seen:
            path = module.imports[first][0]
            start = self.start(module, path, own=first, seen=seen + (first,))
            return start and (start[0], start[1] + rest)
        if first in self.libraries:
            return self.libraries[first], rest
        return None

    def arrows(self, passed_on=False):
        """Every arrow between two files; with `passed_on` also those of names that are only passed on."""
        found = set()
        for _, root in self.roots:
            for module in modules(root):
                for path, line in self.references(module, passed_on):
                    start = self.start(module, path)
                    if start is None:
                        continue
                    self.passed = []
                    target, is_module = self.resolve(*start)
                    if is_module:
                        continue
                    # Who passes a name on and has items of its own is no facade.
                    on_the_way = [passed.file for passed in self.passed if passed.items]
                    for file in {target.file, *on_the_way} - {module.file}:
                        found.add(Arrow(module.file, file, line))
        # The first line speaks for a pair.
        first = {}
        for arrow in sorted(found):
            first.setdefault((arrow.source, arrow.target), arrow)
        return sorted(first.values())

    def references(self, module, passed_on):
        """Paths that a module uses. What a facade passes on is used by who comes for it."""
        yield from module.paths
        for name, (path, line, public) in module.imports.items():
            if not public or passed_on:
                yield path, line
            elif name in module.idents:
                yield path, module.idents[name]
        for path, line, public in module.globs:
            if not public or passed_on:
                yield [*path, "*"], line


def packages(manifest, shared):
    """The packages that a manifest names, but for those of tests; `shared` has what the workspace says of them."""
    tables = [manifest, *manifest.get("target", {}).values()]
    found = set()
    for table in tables:
        for kind in ("dependencies", "build-dependencies"):
            for name, wanted in table.get(kind, {}).items():
                if isinstance(wanted, dict) and wanted.get("workspace"):
                    wanted = shared.get(name)
                found.add(wanted.get("package", name) if isinstance(wanted, dict) else name)
    return found


def modules(root):
    """A module and all below it."""
    yield root
    for child in root.children.values():
        yield from modules(child)

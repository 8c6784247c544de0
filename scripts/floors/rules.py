"""The floors, and what breaks them."""

# The agent's files by floor, the highest first; an arrow leads downwards or stays on its floor.
FLOORS = (
    # What puts the daemon together; `config` fills in the settings types of the floors.
    ("assembly", ("main", "lib", "cli", "config", "daemon")),
    ("bus", ("bus",)),
    ("agent", ("agent",)),
    ("container", ("container",)),
    ("gateway", ("gateway",)),
    ("mounts", ("mounts",)),
    ("host", ("host",)),
    # Of use to every floor, knows none.
    ("base", ("command_line", "error_chain", "install", "keyfile", "logging", "runtime")),
)

# Which other crates of the workspace each one may use.
CRATES = {
    "agent": {"capability", "dbus-proxy", "init", "lxc", "network", "security-context", "write-buffer"},
    "bench/agent": {"agent", "lxc", "network"},
    "bench/dbus-proxy": {"dbus-proxy"},
    "capability": set(),
    "client": set(),
    "ctl": {"client"},
    "dbus-proxy": set(),
    "examples/launcher": {"client"},
    "examples/temperature": set(),
    "init": set(),
    "lxc": set(),
    "network": {"capability"},
    "validate": {"capability"},
    "security-context": set(),
    "write-buffer": set(),
}

RANK = {name: rank for rank, (_, names) in enumerate(FLOORS) for name in names}


def broken_floors(root, arrows, members):
    """Arrows up, between crates and between the agent's floors; a line of text for each."""
    for arrow in arrows:
        source, target = crate_of(root, arrow.source, members), crate_of(root, arrow.target, members)
        if source != target:
            if target not in CRATES.get(source, ()):
                yield arrow, f"{source} may not use {target} (CRATES in scripts/floors/rules.py)"
        elif source == "agent":
            upper, lower = floor_of(root, arrow.source), floor_of(root, arrow.target)
            unknown = [name for name in (upper, lower) if name not in RANK]
            if unknown:
                yield arrow, f"`{unknown[0]}` has no floor yet (FLOORS in scripts/floors/rules.py)"
            elif RANK[upper] > RANK[lower]:
                yield arrow, f"{FLOORS[RANK[upper]][0]} is below {FLOORS[RANK[lower]][0]}"


def forbidden_crates(dependencies, packages):
    """Members whose manifests name a member that they may not use; `packages` has members by name."""
    for member, wanted in sorted(dependencies.items()):
        for other in sorted(packages[name] for name in wanted & packages.keys()):
            if other not in CRATES.get(member, ()):
                yield member, other


def crate_of(root, file, members):
    """The member of the workspace that a file belongs to."""
    path = file.relative_to(root).as_posix()
    return max((member for member in members if path.startswith(f"{member}/")), key=len)


def floor_of(root, file):
    """The name of the agent's top module that a file belongs to."""
    return file.relative_to(root / "agent/src").parts[0].removesuffix(".rs")


def circles(arrows):
    """Groups of files that reach one another; of each, a shortest way around."""
    onwards = {}
    for arrow in arrows:
        onwards.setdefault(arrow.source, []).append(arrow)
    for group in components(onwards):
        inside = {file: [a for a in onwards[file] if a.target in group] for file in group}
        yield group, min((around(file, inside) for file in sorted(group)), key=len)


def around(start, onwards):
    """A shortest way from a file back to it."""
    ways, seen = [[arrow] for arrow in onwards[start]], set()
    while ways:
        further = []
        for way in ways:
            at = way[-1].target
            if at == start:
                return way
            if at not in seen:
                seen.add(at)
                further += [[*way, arrow] for arrow in onwards[at]]
        ways = further
    raise AssertionError(f"{start} is in no circle")


def components(onwards):
    """Strongly connected components of more than one file (Tarjan's algorithm)."""
    index, low, stack, found = {}, {}, [], []

    def visit(file):
        index[file] = low[file] = len(index)
        stack.append(file)
        for arrow in onwards.get(file, ()):
            if arrow.target not in index:
                visit(arrow.target)
                low[file] = min(low[file], low[arrow.target])
            elif arrow.target in stack:
                low[file] = min(low[file], index[arrow.target])
        if low[file] == index[file]:
            at = stack.index(file)
            group = set(stack[at:])
            del stack[at:]
            if len(group) > 1:
                found.append(group)

    for file in sorted(onwards):
        if file not in index:
            visit(file)
    return found

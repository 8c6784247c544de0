#!/usr/bin/python3
"""A small launcher in Python: runs a command in a container, as long as both live.

Usage: launch.py [--session-bus] APP-ID COMMAND [ARGUMENT]...

The app writes to this program's standard output and error. SIGTERM and SIGINT end the app. This program ends with
the app's exit status, or 128 and the signal that ended it; the container goes with it, however it ends.
"""

import os
import signal
import sys

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

NAME = "com.pelagicore.SoftwareContainerAgent"
PATH = "/com/pelagicore/SoftwareContainerAgent"
MANAGER = f"{NAME}.Manager"


class Launcher:
    """One app in its container."""

    def __init__(self, bus, app):
        self.bus, self.app = bus, app
        self.loop = GLib.MainLoop()
        self.container = self.process = None
        self.status = 125

    def call(self, method, arguments=None, descriptors=None):
        reply, _ = self.bus.call_with_unix_fd_list_sync(
            NAME, PATH, MANAGER, method, arguments, None, Gio.DBusCallFlags.NONE, -1, descriptors, None)
        return reply.unpack()

    def start(self, command):
        # Signals of this interface are sent to those alone who ask for them.
        self.bus.signal_subscribe(NAME, MANAGER, "ProcessEnded", PATH, None, Gio.DBusSignalFlags.NONE, self.on_end)
        driver = "org.freedesktop.DBus"
        self.bus.signal_subscribe(
            driver, driver, "NameOwnerChanged", "/org/freedesktop/DBus", NAME, Gio.DBusSignalFlags.NONE, self.on_owner)
        self.call("Subscribe")
        # "bound": if this program dies, the agent removes the container.
        options = {"bound": GLib.Variant("b", True)}
        config = '[{"writeBufferEnabled": false}]'
        self.container, _ = self.call("CreateNamed", GLib.Variant("(ssa{sv})", (config, self.app, options)))
        descriptors = Gio.UnixFDList()
        streams = {number: descriptors.append(number) for number in (1, 2)}
        arguments = GLib.Variant("(iasa{uh}a{sv})", (self.container, command, streams, {}))
        self.process, _ = self.call("ExecuteWithFds", arguments, descriptors)
        print(f"{self.app}: process {self.process} in container {self.container}", file=sys.stderr)

    def on_end(self, _bus, _sender, _path, _interface, _member, arguments):
        container, process, status, details = arguments.unpack()
        if (container, process) != (self.container, self.process):
            return
        if os.WIFSIGNALED(status):
            self.end(128 + os.WTERMSIG(status), f"ended by signal {os.WTERMSIG(status)} ({details['reason']})", details)
        else:
            self.end(os.WEXITSTATUS(status), f"ended with status {os.WEXITSTATUS(status)}", details)

    def end(self, status, text, details):
        advice = f": {details['advice']}" if "advice" in details else ""
        print(f"{self.app}: {text}{advice}", file=sys.stderr)
        self.status = status
        self.loop.quit()

    def on_owner(self, _bus, _sender, _path, _interface, _member, arguments):
        """The agent has left the bus, or a new one is there, which may go on with the container or not."""
        _, _, owner = arguments.unpack()
        if not owner:
            print(f"{self.app}: the agent is gone; waiting for the next one", file=sys.stderr)
            return
        self.call("Subscribe")
        if not any(process == self.process for process, _, _ in self.processes()):
            self.end(128 + signal.SIGKILL, "ended while the agent was restarted", {})

    def processes(self):
        """What the agent says that runs in the container."""
        path = f"{PATH}/containers/{self.container}"
        wanted = GLib.Variant("(ss)", (f"{NAME}.Container", "Processes"))
        try:
            reply = self.bus.call_sync(
                NAME, path, "org.freedesktop.DBus.Properties", "Get", wanted, None, Gio.DBusCallFlags.NONE, -1, None)
        except GLib.Error:
            # The container is gone.
            return []
        return reply.unpack()[0]

    def stop(self):
        try:
            self.call("Signal", GLib.Variant("(iui)", (self.container, self.process, signal.SIGTERM)))
        except GLib.Error as error:
            # It may have ended by itself.
            print(f"{self.app}: {error.message}", file=sys.stderr)
        return GLib.SOURCE_CONTINUE


def main(arguments):
    kind = Gio.BusType.SYSTEM
    if arguments[:1] == ["--session-bus"]:
        kind, arguments = Gio.BusType.SESSION, arguments[1:]
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    launcher = Launcher(Gio.bus_get_sync(kind, None), arguments[0])
    # From here on; they are acted on when the app runs.
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, launcher.stop)
    try:
        launcher.start(arguments[1:])
    except GLib.Error as error:
        print(f"{arguments[0]}: {error.message}", file=sys.stderr)
        return 125
    # Signals of the bus are handled from here on, so that the end of the app is not missed.
    launcher.loop.run()
    return launcher.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

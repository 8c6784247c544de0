#!/usr/bin/python3
"""A D-Bus service for the tests, on the bus at argv[1] under the name argv[2]. Prints "ready" when it has its name."""

import os
import sys

import dbus
import dbus.bus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

INTERFACE = "org.example.Test"


class Service(dbus.service.Object):
    """Methods are called Verb, so that globs have something to match."""

    @dbus.service.method(INTERFACE, in_signature="s", out_signature="s")
    def Echo(self, text):
        return text

    @dbus.service.method(INTERFACE, in_signature="s", out_signature="s")
    def EchoToo(self, text):
        return text

    @dbus.service.method(INTERFACE, in_signature="", out_signature="")
    def Fail(self):
        raise dbus.DBusException("on purpose", name="org.example.Error.Purpose")

    @dbus.service.method(INTERFACE, in_signature="h", out_signature="h")
    def ReadAndReturn(self, descriptor):
        """Reads what is in a pipe and returns a pipe with the same in it."""
        read, write = os.pipe()
        with os.fdopen(descriptor.take(), "rb") as source, os.fdopen(write, "wb") as sink:
            sink.write(source.read())
        result = dbus.types.UnixFd(read)
        os.close(read)
        return result

    @dbus.service.method(INTERFACE, in_signature="", out_signature="")
    def Emit(self):
        self.Changed("to all")

    @dbus.service.method(INTERFACE, in_signature="ss", out_signature="")
    def EmitTo(self, destination, member):
        message = dbus.lowlevel.SignalMessage("/org/example/Test", INTERFACE, member)
        message.set_destination(destination)
        message.append("to one")
        self.connection.send_message(message)

    @dbus.service.signal(INTERFACE, signature="s")
    def Changed(self, text):
        pass


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    connection = dbus.bus.BusConnection(sys.argv[1])
    connection.request_name(sys.argv[2], dbus.bus.NAME_FLAG_DO_NOT_QUEUE)
    Service(connection, "/org/example/Test")
    Service(connection, "/org/example/Other")
    print("ready", flush=True)
    GLib.MainLoop().run()


main()

#!/usr/bin/python3
"""Uses libdbus through the proxy: client.py ADDRESS COMMAND. Prints results; D-Bus errors end it with status 1."""

import os
import sys

import dbus
import dbus.bus
import dbus.lowlevel
import dbus.mainloop.glib
from gi.repository import GLib

NAME, PATH, INTERFACE = "org.example.Service", "/org/example/Test", "org.example.Test"


def echo(connection):
    print(connection.get_object(NAME, PATH, introspect=False).Echo("hello", dbus_interface=INTERFACE))


def echo_async(connection):
    """Sends many calls before it reads an answer."""
    loop = GLib.MainLoop()
    answers = []

    def done(text):
        answers.append(str(text))
        if len(answers) == 100:
            loop.quit()

    target = dbus.Interface(connection.get_object(NAME, PATH, introspect=False), INTERFACE)
    for number in range(100):
        target.Echo(str(number), reply_handler=done, error_handler=lambda e: (print(e), loop.quit()))
    loop.run()
    print(answers == [str(number) for number in range(100)])


def descriptors(connection):
    read, write = os.pipe()
    os.write(write, b"through a pipe")
    os.close(write)
    target = connection.get_object(NAME, PATH, introspect=False)
    result = target.ReadAndReturn(dbus.types.UnixFd(read), dbus_interface=INTERFACE)
    with os.fdopen(result.take(), "rb") as source:
        print(source.read().decode())


def no_interface(connection):
    """Calls Echo without naming an interface."""
    message = dbus.lowlevel.MethodCallMessage(NAME, PATH, None, "Echo")
    message.append("hello")
    print(connection.send_message_with_reply_and_block(message, 5).get_args_list()[0])


def signals(connection):
    """Subscribes, asks for signals, and prints those that come before a last call returns."""
    seen = []
    for member in ("Changed", "Other"):
        connection.add_signal_receiver(
            lambda text, member=member: seen.append(f"{member} {text}"), member, INTERFACE
        )
    target = connection.get_object(NAME, PATH, introspect=False)
    target.Emit(dbus_interface=INTERFACE)
    target.EmitTo(connection.get_unique_name(), "Changed", dbus_interface=INTERFACE)
    target.EmitTo(connection.get_unique_name(), "Other", dbus_interface=INTERFACE)
    target.Echo("last", dbus_interface=INTERFACE)
    loop = GLib.MainLoop()
    GLib.timeout_add(100, loop.quit)
    loop.run()
    print(", ".join(sorted(seen)))


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    connection = dbus.bus.BusConnection(sys.argv[1])
    try:
        globals()[sys.argv[2]](connection)
    except dbus.DBusException as error:
        print(error.get_dbus_name(), error.get_dbus_message())
        sys.exit(1)


main()

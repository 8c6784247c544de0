#
# SPDX-License-Identifier: MIT
#
# The agent on a target. What a container must do is asserted by the boot test of the repository (qemu-test/guest), which
# softwarecontainer-boot-test installs: its result lines are the cases here, not a second copy of them.

from oeqa.core.decorator.depends import OETestDepends
from oeqa.runtime.case import OERuntimeTestCase
from oeqa.runtime.decorator.package import OEHasPackage

BUS_NAME = "com.pelagicore.SoftwareContainerAgent"
OBJECT = "/com/pelagicore/SoftwareContainerAgent"
BOOT_TEST = "/usr/libexec/softwarecontainer-test/boot-test"


class SoftwareContainerTest(OERuntimeTestCase):
    def run_ok(self, command, timeout=60):
        status, output = self.target.run(command, timeout)
        self.assertEqual(status, 0, "%s\n%s" % (command, output))
        return output

    def call(self, method, *arguments):
        return self.run_ok("busctl call %s %s %s %s %s" % (BUS_NAME, OBJECT, BUS_NAME, method, " ".join(arguments)))

    @OEHasPackage(["softwarecontainer"])
    def test_installed(self):
        self.run_ok("softwarecontainer-agent --version")

    @OETestDepends(["softwarecontainer.SoftwareContainerTest.test_installed"])
    def test_kernel(self):
        self.run_ok("softwarecontainer-check-kernel")

    @OETestDepends(["softwarecontainer.SoftwareContainerTest.test_installed"])
    def test_running(self):
        self.run_ok("systemctl is-active softwarecontainer-agent.service")
        self.assertTrue(self.call("List").startswith("ai"))

    @OETestDepends(["softwarecontainer.SoftwareContainerTest.test_running"])
    def test_dbus_policy(self):
        """Nobody but root and the group softwarecontainer may call."""
        status, output = self.target.run(
            "setpriv --reuid=65534 --regid=65534 --clear-groups busctl call %s %s %s List" % (BUS_NAME, OBJECT, BUS_NAME))
        self.assertNotEqual(status, 0, output)
        self.assertIn("denied", output.lower())

    @OETestDepends(["softwarecontainer.SoftwareContainerTest.test_dbus_policy"])
    def test_restart(self):
        before = self.run_ok("systemctl show -P MainPID softwarecontainer-agent.service")
        self.run_ok("systemctl restart softwarecontainer-agent.service")
        self.run_ok("systemctl is-active softwarecontainer-agent.service")
        self.assertNotEqual(before, self.run_ok("systemctl show -P MainPID softwarecontainer-agent.service"))
        self.assertEqual(self.call("List").strip(), "ai 0")

    @OETestDepends(["softwarecontainer.SoftwareContainerTest.test_restart"])
    def test_two_containers(self):
        """Two containers at once, from Create to Destroy."""
        create = "s '[{\"writeBufferEnabled\":false}]'"
        identifiers = [self.call("Create", create).split()[1] for _ in range(2)]
        try:
            self.assertNotEqual(identifiers[0], identifiers[1])
            for identifier in identifiers:
                self.run_ok("mkdir -p /tmp/sc-test-%s" % identifier)
                self.call("BindMount", "issb", identifier, "/tmp/sc-test-%s" % identifier, "/home/app", "false")
                self.call("Execute", "isssa{ss}", identifier, "'/bin/sh -c \"echo $NAME > out\"'", "/home/app", "''", "1", "NAME", "app-%s" % identifier)
            for identifier in identifiers:
                self.assertEqual(
                    self.run_ok("for i in $(seq 50); do [ -s /tmp/sc-test-%s/out ] && break; sleep 0.1; done; cat /tmp/sc-test-%s/out"
                                % (identifier, identifier)).strip(), "app-%s" % identifier)
        finally:
            for identifier in identifiers:
                self.call("Destroy", "i", identifier)
        self.assertEqual(self.call("List").strip(), "ai 0")
        self.run_ok("! ip -o link | grep -E ' sc[0-9]+-'")

    @OEHasPackage(["softwarecontainer-boot-test"])
    @OETestDepends(["softwarecontainer.SoftwareContainerTest.test_two_containers"])
    def test_boot_to_app(self):
        """The boot test's own assertions, each a line of TAP."""
        output = self.run_ok("SOFTWARECONTAINER_TEST_NO_REBOOT=1 %s" % BOOT_TEST, 600)
        failed = [line for line in output.splitlines() if line.startswith("not ok")]
        self.assertEqual(failed, [], output)
        self.assertRegex(output, r"(?m)^1\.\.[1-9]")

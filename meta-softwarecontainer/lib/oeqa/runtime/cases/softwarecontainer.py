#
# SPDX-License-Identifier: MIT
#
# The agent on a target. What containers must do is asserted by the boot test of the repository (qemu-test/guest), which
# softwarecontainer-boot-test installs: each case below runs some of its steps, so there is one set of assertions.

from oeqa.core.decorator.depends import OETestDepends
from oeqa.runtime.case import OERuntimeTestCase
from oeqa.runtime.decorator.package import OEHasPackage

UNIT = "softwarecontainer-agent.service"
BOOT_TEST = "/usr/libexec/softwarecontainer-test"
RUNNING = ["softwarecontainer.SoftwareContainerTest.test_running"]
SEQUENCE = ["softwarecontainer.SoftwareContainerTest.test_boot_to_app"]


class SoftwareContainerTest(OERuntimeTestCase):
    def run_ok(self, command, timeout=60):
        status, output = self.target.run(command, timeout)
        self.assertEqual(status, 0, "%s\n%s" % (command, output))
        return output

    def steps(self, *names, before="true"):
        """Runs steps of the boot test: every assertion is a line of TAP, and its plan has to come."""
        output = self.run_ok("%s && %s/boot-test %s" % (before, BOOT_TEST, " ".join(names)), 600)
        self.assertRegex(output, r"(?m)^1\.\.[1-9]")
        self.assertNotRegex(output, r"(?m)^(not ok|Bail out!)")

    @OEHasPackage(["softwarecontainer"])
    def test_installed(self):
        self.run_ok("softwarecontainer-agent --version")

    @OEHasPackage(["softwarecontainer-check-kernel"])
    def test_kernel(self):
        self.run_ok("softwarecontainer-check-kernel")

    @OETestDepends(["softwarecontainer.SoftwareContainerTest.test_installed"])
    def test_running(self):
        self.run_ok("systemctl is-active " + UNIT)

    @OETestDepends(RUNNING)
    def test_restart(self):
        before = self.run_ok("systemctl show -P MainPID " + UNIT)
        self.run_ok("systemctl restart " + UNIT)
        self.assertNotEqual(before, self.run_ok("systemctl show -P MainPID " + UNIT))

    @OEHasPackage(["softwarecontainer-boot-test"])
    @OETestDepends(RUNNING)
    def test_boot_to_app(self):
        """From the agent's start, its bridge and D-Bus policy to an app that a launcher started, its traffic, and its end."""
        self.steps("boot", "app", "traffic", "end",
                   before="%s/world up && systemctl start softwarecontainer-app@navigation.service" % BOOT_TEST)

    @OETestDepends(SEQUENCE)
    def test_api(self):
        """Create, SetCapabilities, Execute, Suspend, Resume, Destroy, and what is refused."""
        self.steps("api")

    @OETestDepends(SEQUENCE)
    def test_two_containers(self):
        """Two containers at once: Create, BindMount, Execute, Destroy."""
        self.steps("two-containers")

    @OETestDepends(SEQUENCE)
    def test_shaping(self):
        """On kernels with HTB, one of two containers is slowed down."""
        self.steps("shaping")

    @OETestDepends(SEQUENCE)
    def test_write_buffer(self):
        self.steps("write-buffer")

    @OETestDepends(SEQUENCE)
    def test_limits(self):
        self.steps("limits")

    @OETestDepends(SEQUENCE)
    def test_media(self):
        self.steps("media")

    @OETestDepends(SEQUENCE)
    def test_robustness(self):
        """An agent that is killed or hangs is replaced, and leaves nothing behind."""
        self.steps("robustness")

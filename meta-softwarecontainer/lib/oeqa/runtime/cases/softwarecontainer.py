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
# Which case shows that a gateway works; yocto-check compares the list with PACKAGECONFIG of the recipe.
# That of pipewire takes a session manager that no image of the boot test has.
GATEWAYS = {
    "cgroups": "test_limits",
    "dbus": "test_dbus",
    "devicenode": "test_api",
    "env": "test_api",
    "file": "test_api",
    "ipc": "test_ipc",
    "network": "test_boot_to_app",
    "privileges": "test_privileges",
    "pulseaudio": "test_media",
    "wayland": "test_media",
}


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
        """Create, SetCapabilities, Execute, Suspend, Resume, Destroy, and what is refused; files, variables, a device."""
        self.steps("api")

    @OETestDepends(SEQUENCE)
    def test_two_containers(self):
        """Two containers at once: Create, BindMount, Execute, Destroy."""
        self.steps("two-containers")

    @OEHasPackage(["softwarecontainer-examples"])
    @OETestDepends(SEQUENCE)
    def test_dbus(self):
        """An app calls a service on the system bus as far as its rules go, and gets its signal."""
        self.steps("temperature")

    @OETestDepends(SEQUENCE)
    def test_ipc(self):
        """An app is in the host's IPC namespace if it may be, and no other is."""
        self.steps("ipc")

    @OETestDepends(SEQUENCE)
    def test_privileges(self):
        """One system call, one kernel capability and a limit are opened, and nothing else."""
        self.steps("privileges")

    @OETestDepends(SEQUENCE)
    def test_shaping(self):
        """A container's rate is kept; on kernels with HTB, one of two containers is slowed down."""
        self.steps("shaping")

    @OETestDepends(SEQUENCE)
    def test_write_buffer(self):
        """What an app writes reaches the host when its container ends, and not before."""
        self.steps("write-buffer")

    @OETestDepends(SEQUENCE)
    def test_limits(self):
        """A limit on memory holds, and who goes beyond it is ended; the slice bounds all containers."""
        self.steps("limits")

    @OETestDepends(SEQUENCE)
    def test_reclaim(self):
        """A suspended app gives its memory to zram and goes on with it, on kernels that have that."""
        self.steps("reclaim")

    @OETestDepends(SEQUENCE)
    def test_media(self):
        """A Wayland client draws, and sound is played, where Weston and PulseAudio are on the image."""
        self.steps("media")

    @OETestDepends(SEQUENCE)
    def test_apparmor(self):
        """Apps are under the profile, where the kernel has AppArmor and the parser is on the image."""
        self.steps("apparmor")

    @OETestDepends(SEQUENCE)
    def test_robustness(self):
        """An agent that is killed or hangs is replaced, and leaves nothing behind."""
        self.steps("robustness")

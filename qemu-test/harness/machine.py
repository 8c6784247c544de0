"""QEMU as a head unit: command lines, power-on, power cut. Software emulation only, no KVM needed."""

import os
import socket
import subprocess
import time

# Plain `-cpu max` would spend its time emulating pointer authentication.
MACHINES = {
    "arm64": ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53"],
    "armhf": ["qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a15"],
}
# Name of the root device for each kind of disk. Debian's cloud kernel has NVMe built in and needs no initrd.
DISKS = {
    "nvme": (["-device", "nvme,drive=root,serial=root"], "/dev/nvme0n1"),
    "virtio": (["-device", "virtio-blk-pci,drive=root"], "/dev/vda"),
}
# How the guest's time goes: with this machine's, on two threads; or by the instructions that are executed, whatever else this
# machine does, one CPU after the other, and without waiting where the guest waits.
CLOCKS = {
    "host": ["-accel", "tcg,thread=multi"],
    "instructions": ["-accel", "tcg,thread=single", "-icount", "shift=1,sleep=off", "-rtc", "clock=vm"],
}
PORT = "softwarecontainer.results"


class Machine:
    """One powered-on machine whose results arrive line by line."""

    def __init__(self, options, disk, folder):
        self.console = os.path.join(folder, "console.log")
        self.folder = folder
        path = os.path.join(folder, "results")
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        device, root = DISKS[options.disk]
        append = (
            f"root={root} rw console=ttyAMA0 loglevel=4 audit=0 mitigations=off panic=-1 "
            # Without effect on a kernel without it.
            f"apparmor=1 security=apparmor systemd.show_status=0 {options.append}"
        )
        command = [
            *MACHINES[options.arch],
            *CLOCKS[options.clock],
            *["-smp", "2", "-m", str(options.memory)],
            *["-nodefaults", "-display", "none", "-no-reboot"],
            *["-kernel", options.kernel, "-append", append],
            *["-drive", f"file={disk},format=raw,if=none,id=root,cache=unsafe"],
            *device,
            *["-serial", f"file:{self.console}"],
            *["-chardev", f"socket,id=results,path={path}"],
            *["-device", "virtio-serial-pci"],
            *["-device", f"virtserialport,chardev=results,name={PORT}"],
        ]
        if options.initrd:
            command += ["-initrd", options.initrd]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        listener.settimeout(120)
        try:
            self.results, _ = listener.accept()
        except OSError as error:
            self.cut()
            raise RuntimeError(f"QEMU did not start: {error}") from error
        finally:
            listener.close()

    def uptime(self):
        """Seconds since power-on."""
        return time.monotonic() - self.started

    def lines(self, timeout):
        """Yields (line, seconds since power-on) until the machine closes the port; TimeoutError after `timeout` s."""
        pending = b""
        while True:
            left = timeout - self.uptime()
            if left <= 0:
                raise TimeoutError(f"no end within {timeout} s")
            self.results.settimeout(min(left, 1.0))
            try:
                data = self.results.recv(65536)
            except TimeoutError:
                if self.panicked():
                    return
                continue
            except ConnectionResetError:
                return
            if not data:
                return
            pending += data
            *complete, pending = pending.split(b"\n")
            for line in complete:
                yield line.decode(errors="replace").rstrip("\r"), self.uptime()

    def panicked(self):
        """Whether the console shows that the kernel gave up."""
        return self.said(b"Kernel panic")

    def restarted(self):
        """Whether the console shows that the system ended with a restart, as it is only after an orderly shutdown."""
        return self.said(b"reboot: Restarting system")

    def said(self, text):
        """Whether the kernel wrote this to the console."""
        try:
            with open(self.console, "rb") as console:
                return text in console.read()
        except FileNotFoundError:
            return False

    def wait(self, seconds):
        """Waits for the machine to power itself off; says whether it did, without fault of QEMU's."""
        try:
            return self.process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            return False

    def cut(self):
        """Cuts the power: what the guest has not written is lost."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

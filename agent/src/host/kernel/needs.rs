//! The options of the kernel whose presence shows, and where.

/// An option that containers need, or several of which one is enough.
#[derive(Debug)]
pub(super) struct Need {
    /// Names of options as in the kernel's configuration.
    pub options: &'static [&'static str],
    /// What it is for.
    pub purpose: &'static str,
    /// How to find out whether it is there.
    pub evidence: Evidence,
    /// Whether containers cannot be created without it, at least those with a write buffer.
    pub vital: bool,
}

/// What tells that a kernel has an option.
#[derive(Debug)]
pub(super) enum Evidence {
    /// A file that every kernel with it has.
    File(&'static str),
    /// A type of file system: known to the kernel, or a module.
    FileSystem(&'static str),
    /// One of these modules is loaded, built in, or there to be loaded.
    Module(&'static [&'static str]),
    /// A controller of cgroups.
    Controller(&'static str),
    /// Landlock answers.
    Landlock,
    /// Programs can filter devices; asked only where cgroups are unified.
    DeviceFilter,
}

impl Evidence {
    /// Where else than in the kernel's configuration the reason may be.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Module(names) => Some(format!(
                "as a module, {} has to be installed",
                names.join(" or ")
            )),
            Self::FileSystem(name) => Some(format!("as a module, {name} has to be installed")),
            Self::Controller(name) => Some(format!(
                "cgroup_disable={name} on its command line switches it off"
            )),
            Self::Landlock => {
                Some("CONFIG_LSM, or lsm= on its command line, has to name landlock".to_owned())
            }
            Self::File(_) | Self::DeviceFilter => None,
        }
    }
}

const fn vital(
    options: &'static [&'static str],
    evidence: Evidence,
    purpose: &'static str,
) -> Need {
    Need {
        options,
        purpose,
        evidence,
        vital: true,
    }
}

const fn useful(
    options: &'static [&'static str],
    evidence: Evidence,
    purpose: &'static str,
) -> Need {
    Need {
        options,
        purpose,
        evidence,
        vital: false,
    }
}

/// In the order in which a container comes to need them. User namespaces and id-mapped mounts are
/// not here: [`user_namespace::obstacle`](super::super::user_namespace::obstacle) tells of them.
pub(super) const NEEDS: &[Need] = &[
    vital(
        &["CONFIG_UTS_NS"],
        Evidence::File("proc/self/ns/uts"),
        "containers",
    ),
    vital(
        &["CONFIG_IPC_NS"],
        Evidence::File("proc/self/ns/ipc"),
        "containers",
    ),
    vital(
        &["CONFIG_PID_NS"],
        Evidence::File("proc/self/ns/pid"),
        "containers",
    ),
    vital(
        &["CONFIG_NET_NS"],
        Evidence::File("proc/self/ns/net"),
        "containers",
    ),
    vital(
        &["CONFIG_DEVTMPFS"],
        Evidence::FileSystem("devtmpfs"),
        "device nodes",
    ),
    vital(
        &["CONFIG_TMPFS"],
        Evidence::FileSystem("tmpfs"),
        "containers",
    ),
    vital(
        &["CONFIG_OVERLAY_FS"],
        Evidence::FileSystem("overlay"),
        "write buffers",
    ),
    vital(
        &["CONFIG_INOTIFY_USER"],
        Evidence::File("proc/sys/fs/inotify"),
        "sockets of servers that are restarted",
    ),
    vital(
        &["CONFIG_SECCOMP_FILTER"],
        Evidence::File("proc/sys/kernel/seccomp/actions_avail"),
        "filters on apps' system calls",
    ),
    vital(
        &["CONFIG_CGROUP_PIDS"],
        Evidence::Controller("pids"),
        "limits on processes",
    ),
    useful(
        &["CONFIG_MEMCG"],
        Evidence::Controller("memory"),
        "limits on memory",
    ),
    useful(
        &["CONFIG_CGROUP_SCHED"],
        Evidence::Controller("cpu"),
        "shares of the processors",
    ),
    vital(
        &["CONFIG_CGROUP_BPF"],
        Evidence::DeviceFilter,
        "keeping devices from containers",
    ),
    vital(
        &["CONFIG_BRIDGE"],
        Evidence::Module(&["bridge"]),
        "the containers' network",
    ),
    vital(
        &["CONFIG_VETH"],
        Evidence::Module(&["veth"]),
        "the containers' network",
    ),
    vital(
        &["CONFIG_NET_SCHED"],
        Evidence::File("proc/net/psched"),
        "filters on containers' addresses",
    ),
    vital(
        &["CONFIG_NET_SCH_INGRESS"],
        Evidence::Module(&["sch_ingress"]),
        "filters on containers' addresses",
    ),
    vital(
        &["CONFIG_NET_CLS_BPF"],
        Evidence::Module(&["cls_bpf"]),
        "filters on containers' addresses",
    ),
    vital(
        &["CONFIG_NETFILTER"],
        Evidence::File("proc/net/netfilter"),
        "firewalls",
    ),
    vital(
        &["CONFIG_NFT_CT", "CONFIG_IP_NF_FILTER"],
        Evidence::Module(&["nft_ct", "iptable_filter"]),
        "firewalls",
    ),
    vital(
        &["CONFIG_NFT_NAT", "CONFIG_IP_NF_NAT"],
        Evidence::Module(&["nft_chain_nat", "iptable_nat"]),
        "masquerading",
    ),
    vital(
        &["CONFIG_NFT_MASQ", "CONFIG_NETFILTER_XT_TARGET_MASQUERADE"],
        Evidence::Module(&["nft_masq", "xt_MASQUERADE"]),
        "masquerading",
    ),
    useful(
        &["CONFIG_NETFILTER_XT_MATCH_CONNTRACK"],
        Evidence::Module(&["xt_conntrack"]),
        "the network gateway",
    ),
    useful(
        &[
            "CONFIG_NFT_CONNLIMIT",
            "CONFIG_NETFILTER_XT_MATCH_CONNLIMIT",
        ],
        Evidence::Module(&["nft_connlimit", "xt_connlimit"]),
        "a bound on containers' connections",
    ),
    useful(
        &["CONFIG_NF_CT_NETLINK"],
        Evidence::Module(&["nf_conntrack_netlink"]),
        "forgetting the connections of containers that have ended",
    ),
    useful(
        &["CONFIG_NFT_LIMIT", "CONFIG_NETFILTER_XT_MATCH_LIMIT"],
        Evidence::Module(&["nft_limit", "xt_limit"]),
        "a bound on how fast containers begin connections",
    ),
    useful(
        &["CONFIG_NFT_REJECT_IPV4", "CONFIG_IP_NF_TARGET_REJECT"],
        Evidence::Module(&["nft_reject_ipv4", "ipt_REJECT"]),
        "refusing at once what apps may not send",
    ),
    useful(
        &["CONFIG_NFT_REJECT_IPV6", "CONFIG_IP6_NF_TARGET_REJECT"],
        Evidence::Module(&["nft_reject_ipv6", "ip6t_REJECT"]),
        "refusing at once what apps may not send over IPv6",
    ),
    useful(
        &["CONFIG_NFT_LOG", "CONFIG_NETFILTER_XT_TARGET_LOG"],
        Evidence::Module(&["nft_log", "xt_LOG"]),
        "telling in the kernel's log what apps may not send",
    ),
    useful(
        &["CONFIG_NF_LOG_SYSLOG"],
        Evidence::Module(&["nf_log_syslog", "nf_log_ipv4"]),
        "telling in the kernel's log what apps may not send",
    ),
    useful(
        &["CONFIG_NETFILTER_XT_MATCH_COMMENT"],
        Evidence::Module(&["xt_comment"]),
        "comments that tell what network rules are for",
    ),
    useful(
        &["CONFIG_IPV6"],
        Evidence::Module(&["ipv6"]),
        "the network gateway",
    ),
    useful(
        &["CONFIG_POSIX_MQUEUE"],
        Evidence::FileSystem("mqueue"),
        "apps with POSIX message queues",
    ),
    useful(
        &["CONFIG_SYSVIPC"],
        Evidence::File("proc/sysvipc"),
        "apps with System V IPC, and sharing it",
    ),
    useful(
        &["CONFIG_SECURITY_LANDLOCK"],
        Evidence::Landlock,
        "a layer of containers and of the D-Bus proxy's sandbox",
    ),
];

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::*;

/// What the Yocto layer sets in a kernel, but for traffic shaping, which not every system has.
const FRAGMENTS: [&str; 3] = [
    include_str!(
        "../../../../meta-softwarecontainer/recipes-kernel/linux/files/softwarecontainer.cfg"
    ),
    include_str!(
        "../../../../meta-softwarecontainer/recipes-kernel/linux/files/softwarecontainer-iptables-nft.cfg"
    ),
    include_str!(
        "../../../../meta-softwarecontainer/recipes-kernel/linux/files/softwarecontainer-iptables-legacy.cfg"
    ),
];

/// Options of the fragments whose absence the agent does not tell, by the reason.
const UNTOLD: [(&str, &[&str]); 7] = [
    (
        "the variant of iptables that works on nf_tables tells",
        &["NFT_COMPAT"],
    ),
    (
        "what stands for a family of addresses tells",
        &["NFT_REJECT"],
    ),
    (
        "without it the agent or its bus does not even start",
        &[
            "CGROUPS",
            "EPOLL",
            "EVENTFD",
            "INET",
            "NET",
            "PROC_SYSCTL",
            "SIGNALFD",
            "TIMERFD",
            "UNIX",
            "UNIX98_PTYS",
        ],
    ),
    (
        "those that it makes possible are told",
        &[
            "BPF_SYSCALL",
            "FAIR_GROUP_SCHED",
            "IP6_NF_FILTER",
            "IP6_NF_IPTABLES",
            "IP6_NF_MANGLE",
            "IP6_NF_NAT",
            "IP_NF_IPTABLES",
            "IP_NF_MANGLE",
            "NAMESPACES",
            "NETFILTER_ADVANCED",
            "NETFILTER_XTABLES",
            "NET_CLS",
            "NF_CONNTRACK",
            "NF_NAT",
            "NF_TABLES",
            "SECCOMP",
            "SECURITY",
        ],
    ),
    ("user_namespace::obstacle tells", &["USER_NS"]),
    ("it is a property of others", &["NET_CLS_ACT"]),
    (
        "the file systems concerned tell when they are used",
        &[
            "NF_TABLES_IPV4",
            "NF_TABLES_IPV6",
            "TMPFS_POSIX_ACL",
            "TMPFS_XATTR",
        ],
    ),
];

fn without_prefix(option: &str) -> String {
    option.strip_prefix("CONFIG_").unwrap().to_owned()
}

#[test]
fn the_kernel_fragments_of_the_yocto_layer_name_the_same_options() {
    let fragments: BTreeSet<String> = FRAGMENTS
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.starts_with("CONFIG_"))
        .filter_map(|line| Some(without_prefix(line.split_once('=')?.0)))
        .collect();
    let mut known = BTreeMap::new();
    let told = NEEDS.iter().flat_map(|need| need.options);
    let untold = UNTOLD.iter().flat_map(|(_, options)| *options);
    let names = told
        .map(|option| without_prefix(option))
        .chain(untold.map(|&option| option.to_owned()));
    for name in names {
        *known.entry(name).or_insert(0) += 1;
    }
    let twice: Vec<_> = known.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let known: BTreeSet<String> = known.into_keys().collect();
    let unknown: Vec<_> = fragments.difference(&known).collect();
    assert!(
        unknown.is_empty(),
        "give these options evidence in needs.rs, or a reason here: {unknown:?}"
    );
    let unset: Vec<_> = known.difference(&fragments).collect();
    assert!(unset.is_empty(), "no fragment sets {unset:?}");
}

#[test]
fn the_package_group_of_the_yocto_layer_recommends_the_modules() {
    let group = include_str!(
        "../../../../meta-softwarecontainer/recipes-core/packagegroups/packagegroup-softwarecontainer.bb"
    );
    let recommended = |module: &&str| {
        let package = format!("kernel-module-{}", module.replace('_', "-").to_lowercase());
        // The first two come with iptables, the last with every distribution that has IPv6.
        group.split_whitespace().any(|word| word == package)
            || ["iptable_filter", "iptable_nat", "ipv6"].contains(module)
    };
    let modules = NEEDS.iter().flat_map(|need| match &need.evidence {
        needs::Evidence::Module(names) => *names,
        needs::Evidence::FileSystem("overlay") => &["overlay"],
        _ => &[],
    });
    let missing: Vec<_> = modules.filter(|name| !recommended(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A kernel of release 6.1 that has everything, in a directory: files by name, and the text of
/// each.
fn complete() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut filesystems = String::from("nodev\tproc\n");
    let mut modules = String::new();
    let mut controllers = String::new();
    for need in NEEDS {
        match need.evidence {
            needs::Evidence::File(path) => drop(files.insert(path.to_owned(), String::new())),
            needs::Evidence::FileSystem("overlay") => {
                modules += "kernel/fs/overlayfs/overlay.ko.xz:\n"
            }
            needs::Evidence::FileSystem(name) => filesystems += &format!("nodev\t{name}\n"),
            needs::Evidence::Module(names) => {
                for name in names {
                    modules += &format!("kernel/net/{name}.ko:\n");
                }
            }
            needs::Evidence::Controller(name) => controllers += &format!("{name} "),
            needs::Evidence::Landlock | needs::Evidence::DeviceFilter => {}
        }
    }
    files.insert("proc/filesystems".to_owned(), filesystems);
    files.insert("lib/modules/6.1/modules.dep".to_owned(), modules);
    let built_in = "kernel/net/bridge/bridge.ko\n".to_owned();
    files.insert("lib/modules/6.1/modules.builtin".to_owned(), built_in);
    files.insert("sys/fs/cgroup/cgroup.controllers".to_owned(), controllers);
    files
}

fn options_lacking(files: &BTreeMap<String, String>) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    lacking_by(&Kernel::below(directory.path(), "6.1"))
        .iter()
        .map(Lack::options)
        .collect()
}

#[test]
fn a_complete_kernel_lacks_nothing() {
    assert_eq!(options_lacking(&complete()), [""; 0]);
}

#[test]
fn what_is_absent_is_told() {
    for (file, part, option) in [
        ("proc/self/ns/net", "", "CONFIG_NET_NS"),
        ("proc/filesystems", "nodev\tmqueue\n", "CONFIG_POSIX_MQUEUE"),
        (
            "lib/modules/6.1/modules.dep",
            "kernel/fs/overlayfs/overlay.ko.xz:\n",
            "CONFIG_OVERLAY_FS",
        ),
        (
            "lib/modules/6.1/modules.dep",
            "kernel/net/veth.ko:\n",
            "CONFIG_VETH",
        ),
        (
            "sys/fs/cgroup/cgroup.controllers",
            "memory ",
            "CONFIG_MEMCG",
        ),
    ] {
        let mut files = complete();
        let text = files.remove(file).unwrap();
        if !part.is_empty() {
            assert!(text.contains(part), "{text}");
            files.insert(file.to_owned(), text.replace(part, ""));
        }
        assert_eq!(options_lacking(&files), [option]);
    }
}

#[test]
fn one_variant_of_iptables_is_enough_and_both_are_named_when_there_is_none() {
    let file = "lib/modules/6.1/modules.dep";
    let (nft, legacy) = ("kernel/net/nft_ct.ko:\n", "kernel/net/iptable_filter.ko:\n");
    let mut files = complete();
    let text = files.remove(file).unwrap().replace(nft, "");
    files.insert(file.to_owned(), text.clone());
    assert_eq!(options_lacking(&files), [""; 0]);
    files.insert(file.to_owned(), text.replace(legacy, ""));
    assert_eq!(
        options_lacking(&files),
        ["CONFIG_NFT_CT or CONFIG_IP_NF_FILTER"]
    );
}

#[test]
fn a_kernel_without_a_list_of_its_modules_is_not_said_to_lack_them() {
    let mut files = complete();
    files.retain(|name, _| !name.starts_with("lib/modules"));
    assert_eq!(options_lacking(&files), [""; 0]);
}

#[test]
fn a_loaded_module_is_there_whatever_the_lists_say() {
    let mut files = complete();
    files.insert("lib/modules/6.1/modules.dep".to_owned(), String::new());
    let without = options_lacking(&files);
    files.insert("sys/module/veth/refcnt".to_owned(), String::new());
    let with = options_lacking(&files);
    assert!(without.contains(&"CONFIG_VETH".to_owned()), "{without:?}");
    assert!(!with.contains(&"CONFIG_VETH".to_owned()), "{with:?}");
}

#[test]
fn controllers_of_cgroup_v1_count_unless_they_are_switched_off() {
    let mut files = complete();
    files.remove("sys/fs/cgroup/cgroup.controllers");
    let head = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n";
    let lines = format!("{head}cpu\t1\t1\t1\nmemory\t0\t1\t0\npids\t8\t1\t1\n");
    files.insert("proc/cgroups".to_owned(), lines);
    assert_eq!(options_lacking(&files), ["CONFIG_MEMCG"]);
}

#[test]
fn only_what_containers_cannot_be_created_without_explains_a_failure() {
    let lacks = lacking_by(&Kernel::below(Path::new("/nonexistent"), "6.1"));
    let text = explanation(&lacks).unwrap();
    assert!(text.contains("CONFIG_NET_NS"), "{text}");
    assert!(!text.contains("CONFIG_SYSVIPC"), "{text}");
    assert_eq!(explanation(&[]), None);
}

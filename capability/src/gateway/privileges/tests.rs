use super::*;
use crate::gateway::tests::merged;
use proptest::prelude::*;
use serde_json::json;

fn error(config: Value) -> String {
    merged::<Privileges>(config).unwrap_err().to_string()
}

#[test]
fn elements_add_up_and_the_larger_limit_wins() {
    let settings: Privileges = merged(json!([
        {"allow-syscalls": ["ptrace"], "limits": {"nofile": 8192, "memlock": "64M", "nice": 5}},
        {"allow-syscalls": ["chroot", "ptrace"], "capabilities": ["net_raw"]},
        {"limits": {"nofile": 2048, "memlock": "unlimited", "nice": -5, "rtprio": 30, "msgqueue": 4096}},
    ]))
    .unwrap();
    let calls = [SystemCall::Chroot, SystemCall::Ptrace];
    assert_eq!(settings.system_calls, calls.into());
    assert_eq!(settings.capabilities, [Capability::NetRaw].into());
    let limits = [
        (Resource::Memlock, UNLIMITED),
        (Resource::Msgqueue, 4096),
        (Resource::Nice, 25),
        (Resource::Nofile, 8192),
        (Resource::Rtprio, 30),
    ];
    assert_eq!(settings.limits, limits.into());
}

#[test]
fn an_empty_list_opens_nothing() {
    let settings: Privileges =
        merged(json!([{"allow-syscalls": [], "capabilities": [], "limits": {}}])).unwrap();
    assert_eq!(settings, Privileges::default());
}

#[test]
fn bytes_have_suffixes_of_powers_of_1024() {
    for (value, expected) in [
        (json!(0), Some(0)),
        (json!(65536), Some(65536)),
        (json!("7"), Some(7)),
        (json!("8k"), Some(8 << 10)),
        (json!("8M"), Some(8 << 20)),
        (json!("8g"), Some(8 << 30)),
        (json!("unlimited"), Some(UNLIMITED)),
        (json!(-1), None),
        (json!(1.5), None),
        (json!("-1"), None),
        (json!("+1"), None),
        (json!(""), None),
        (json!("M"), None),
        (json!("1MM"), None),
        (json!("1 M"), None),
        (json!("99999999999G"), None),
        (json!(null), None),
    ] {
        assert_eq!(bytes(&value), expected, "{value}");
    }
}

#[test]
fn an_unknown_system_call_is_an_error_that_tells_the_known_ones() {
    let text = error(json!([{"allow-syscalls": ["ptrace", "io_uring"]}]));
    assert!(
        text.contains("config[0].allow-syscalls[1]: \"io_uring\" can be allowed by no manifest"),
        "{text}"
    );
    assert!(
        text.contains("io_uring_enter, io_uring_register, io_uring_setup"),
        "{text}"
    );
}

#[test]
fn what_no_manifest_may_open_is_refused() {
    for call in [
        "mount",
        "move_mount",
        "open_tree",
        "setns",
        "kexec_load",
        "init_module",
        "bpf",
        "keyctl",
        "open_by_handle_at",
        "clone3",
        "mknod",
        "reboot",
        "syslog",
    ] {
        assert!(
            error(json!([{"allow-syscalls": [call]}])).contains("by no manifest"),
            "{call}"
        );
    }
    for capability in [
        "sys_admin",
        "net_admin",
        "sys_module",
        "sys_ptrace",
        "sys_rawio",
        "mknod",
        "mac_admin",
        "CAP_NET_RAW",
        "",
    ] {
        let text = error(json!([{"capabilities": [capability]}]));
        assert!(text.contains("by no manifest"), "{text}");
    }
}

#[test]
fn capabilities_that_mean_nothing_in_a_user_namespace_lead_to_the_limit_that_does() {
    for (capability, hint) in [
        ("ipc_lock", "memlock"),
        ("sys_nice", "rtprio"),
        ("sys_resource", "limits"),
    ] {
        let text = error(json!([{"capabilities": [capability]}]));
        assert!(text.contains(hint), "{text}");
    }
}

#[test]
fn wrong_types_and_values_are_told_with_their_place() {
    for (element, place) in [
        (json!({}), "config[0]: {} has none of"),
        (json!({"syscalls": ["ptrace"]}), "has none of"),
        (
            json!({"allow-syscalls": "ptrace"}),
            "config[0].allow-syscalls: must be an array",
        ),
        (
            json!({"allow-syscalls": [1]}),
            "config[0].allow-syscalls[0]: must be a string",
        ),
        (
            json!({"capabilities": {}}),
            "config[0].capabilities: must be an array",
        ),
        (json!({"limits": []}), "config[0].limits: must be an object"),
        (
            json!({"limits": {"nproc": 1}}),
            "config[0].limits: \"nproc\" is no limit",
        ),
        (
            json!({"limits": {"nofile": 0}}),
            "config[0].limits.nofile: 0 is not",
        ),
        (
            json!({"limits": {"nofile": "4096"}}),
            "config[0].limits.nofile",
        ),
        (
            json!({"limits": {"rtprio": 100}}),
            "config[0].limits.rtprio: 100 is not a whole number from 1 to 99",
        ),
        (
            json!({"limits": {"nice": -21}}),
            "config[0].limits.nice: -21 is not",
        ),
        (
            json!({"limits": {"memlock": true}}),
            "config[0].limits.memlock: true is not",
        ),
    ] {
        let text = error(json!([element]));
        assert!(text.contains(place), "{text}");
    }
}

fn privilege() -> impl Strategy<Value = Value> {
    let calls = prop::sample::subsequence(SystemCall::ALL.to_vec(), 0..=SystemCall::ALL.len());
    let capabilities =
        prop::sample::subsequence(Capability::ALL.to_vec(), 0..=Capability::ALL.len());
    (calls, capabilities, 1..100_u64, -20..20_i64, any::<u32>()).prop_map(
        |(calls, capabilities, priority, nice, bytes)| {
            json!({
                "allow-syscalls": calls.iter().map(|one| one.name()).collect::<Vec<_>>(),
                "capabilities": capabilities.iter().map(|one| one.name()).collect::<Vec<_>>(),
                "limits": {"rtprio": priority, "nice": nice, "memlock": bytes},
            })
        },
    )
}

proptest! {
    #[test]
    fn the_order_of_elements_does_not_matter_and_none_takes_anything_away(elements in prop::collection::vec(privilege(), 1..5)) {
        let mut reversed = elements.clone();
        reversed.reverse();
        let all: Privileges = merged(Value::from(elements.clone())).unwrap();
        prop_assert_eq!(&all, &merged::<Privileges>(Value::from(reversed)).unwrap());
        for element in elements {
            let one: Privileges = merged(json!([element])).unwrap();
            prop_assert!(one.system_calls.is_subset(&all.system_calls));
            prop_assert!(one.capabilities.is_subset(&all.capabilities));
            prop_assert!(one.limits.iter().all(|(resource, limit)| all.limits[resource] >= *limit));
        }
    }
}

//! The agent as confined as its shipped unit has it.

use std::{fs, sync::Arc};

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set, set_no_new_privs};

use crate::support::{Setup, TestAgent};

const UNIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../systemd/softwarecontainer-agent.service"
);
const MANIFEST: &str = r#"{"version": "1", "capabilities": [{"name": "all", "gateways": [
    {"id": "network", "config": [{"direction": "OUTGOING", "allow": [{"host": "*"}]}]},
    {"id": "dbus", "config": [{"dbus-gateway-config-session": []}]},
    {"id": "devicenode", "config": [{"name": "/dev/full", "mode": "660"}]},
    {"id": "cgroups", "config": [{"setting": "memory.limit_in_bytes", "value": "64M"}]},
    {"id": "env", "config": [{"name": "SOME", "value": "thing"}]}
]}]}"#;

/// What the unit takes away (systemd.exec(5), `CapabilityBoundingSet=~`).
fn taken(unit: &str) -> CapabilitySet {
    let lines = unit.lines();
    let lines = lines.filter_map(|line| line.strip_prefix("CapabilityBoundingSet=~"));
    let names = lines.flat_map(str::split_whitespace);
    let capability = |name: &str| {
        let name = name.strip_prefix("CAP_").unwrap();
        CapabilitySet::from_name(name).unwrap_or_else(|| panic!("no capability {name}"))
    };
    names.map(capability).collect()
}

/// Loading modules is left to modules-load.d(5), before the agent starts.
#[test]
fn it_does_its_work_without_the_capabilities_that_the_unit_takes_away() {
    let unit = fs::read_to_string(UNIT).unwrap();
    let taken = taken(&unit);
    assert!(taken.contains(CapabilitySet::SYS_MODULE | CapabilitySet::SYS_RAWIO));
    let after = unit
        .lines()
        .find(|line| line.starts_with("After="))
        .unwrap();
    assert!(after.contains("systemd-modules-load.service"), "{after}");
    let mut agent = TestAgent::with(&Setup {
        before: Some(Arc::new(move || {
            for capability in taken.iter() {
                remove_capability_from_bounding_set(capability)?;
            }
            set_no_new_privs(true)?;
            Ok(())
        })),
        ..Setup::manifest(MANIFEST)
    });
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    for set in ["CapBnd:", "CapEff:"] {
        let line = status.lines().find_map(|line| line.strip_prefix(set));
        let held = u64::from_str_radix(line.unwrap().trim(), 16).unwrap();
        assert_eq!(held & taken.bits(), 0, "{set} {held:x}");
    }
    let client = agent.client();
    let directory = agent.path("data");
    fs::create_dir(&directory).unwrap();
    let directory = directory.to_str().unwrap();
    for options in [r#"[{"writeBufferEnabled": true}]"#, "[]"] {
        let id = client.create(options).unwrap();
        client.set_capabilities(id, &["all"]).unwrap();
        client.bind_mount(id, directory, "/data", false).unwrap();
        let said = agent.shell_ok(id, "echo $SOME > /data/file && cat /data/file");
        assert_eq!(said.trim(), "thing");
        client.suspend(id).unwrap();
        client.resume(id).unwrap();
        client.destroy(id).unwrap();
        assert_eq!(
            fs::read_to_string(format!("{directory}/file")).unwrap(),
            "thing\n"
        );
    }
    assert_eq!(agent.stop(), Some(0), "{}", agent.log());
    let log = agent.log();
    assert!(!log.contains("ERROR"), "{log}");
}

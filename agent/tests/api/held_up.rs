//! Containers whose processes get to nothing, because others have frozen them or their share of the
//! processors is used up.

use softwarecontainer_agent::host::cgroup::{self, Cgroups, CpuQuota, Freezer, Version};

use crate::support::{PATIENCE, TestAgent, is_alive, wait_until};

/// As lxc-freeze(1) does.
#[test]
fn a_container_that_others_have_frozen_says_so_and_can_be_destroyed() {
    let agent = TestAgent::start();
    let id = agent.create();
    let pid = agent
        .client()
        .execute(id, "sleep 1000", "", "", &[])
        .unwrap();
    let cgroups = Cgroups::of_process(pid).unwrap();
    let freezer = Freezer::of(&cgroups).unwrap();
    assert!(freezer.freeze(*PATIENCE).unwrap());
    let (_, message) = agent.client().execute(id, "true", "", "", &[]).unwrap_err();
    assert!(message.contains("frozen"), "{message}");
    agent.client().destroy(id).unwrap();
    assert!(!is_alive(pid));
}

/// Ending takes processor time, too.
#[test]
fn a_container_that_uses_up_its_quota_of_processor_time_can_be_destroyed() {
    let agent = TestAgent::start();
    let id = agent.create();
    let script = "sh -c 'for i in $(seq 40); do (while :; do :; done) & done; wait'";
    let pid = agent.client().execute(id, script, "", "", &[]).unwrap();
    let cgroups = Cgroups::of_process(pid).unwrap();
    let directory = cgroups.directory("cpu").unwrap();
    let (file, quota) = match cgroups.version("cpu").unwrap() {
        Version::V1 => ("cpu.cfs_quota_us", "2000"),
        Version::V2 => ("cpu.max", "2000 100000"),
    };
    cgroup::write(&directory.join(file), quota).unwrap();
    let throttled = || CpuQuota::of(&cgroups).unwrap().times_throttled();
    let before = throttled();
    wait_until("the quota is used up", || throttled() > before + 3);
    agent.client().destroy(id).unwrap();
    assert!(!is_alive(pid));
}

//! What a container costs those that come after it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs;

use support::{TestAgent, wait_until};

/// How many containers there are.
const MANY: usize = 12;

fn descriptors(agent: &TestAgent) -> usize {
    fs::read_dir(format!("/proc/{}/fd", agent.pid()))
        .unwrap()
        .count()
}

/// liblxc and the kernel go through the descriptors of whoever starts a container.
#[test]
fn a_container_takes_four_descriptors_of_the_agent_at_most() {
    let agent = TestAgent::start();
    let client = agent.client();
    let first = agent.create();
    let before = descriptors(&agent);
    let others: Vec<i32> = (0..MANY).map(|_| agent.create()).collect();
    for id in &others {
        client.bind_mount(*id, "/tmp", "/mnt/x", true).unwrap();
        let pid = client.execute(*id, "true", "", "", &[]).unwrap();
        client.wait_ended(*id, pid);
    }
    // What is open while a call or a change of the network is seen to is closed after it.
    wait_until("at most four are left for each", || {
        descriptors(&agent) <= before + 4 * MANY
    });
    for id in others.into_iter().chain([first]) {
        client.destroy(id).unwrap();
    }
}

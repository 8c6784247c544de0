//! Apps that hold up what starts processes, so that the agent takes them for dead.

use std::fs;

use crate::{
    support::{is_alive, signal, wait_until},
    world::{Attack, refused},
};

#[test]
fn the_limits_of_the_init_cannot_be_changed() {
    refused("limit_init", &["EPERM"]);
}

#[test]
fn a_start_that_is_held_up_until_it_is_given_up_ends_nothing_else() {
    let attack = Attack::new();
    let (agent, id, client) = (&attack.agent, attack.id, attack.agent.new_client());
    let bystander = client.execute(id, "sleep 1000", "", "", &[]).unwrap();
    let output = agent.path(&format!("stopping-{id}"));
    let command = "python3 -I -B /attacker.py stop_others";
    let attacker = client
        .execute(id, command, "", output.to_str().unwrap(), &[])
        .unwrap();
    let printed = |text: &str| fs::read_to_string(&output).is_ok_and(|all| all.contains(text));
    wait_until("it stops others", || printed("stopping"));
    // Some may come through between two signals.
    let started = (0..5)
        .take_while(|_| client.execute(id, "sleep 2000", "", "", &[]).is_ok())
        .count();
    assert!(started < 5);
    signal(attacker, "USR1");
    wait_until("others go on", || printed("continued"));

    assert_eq!(agent.shell_ok(id, "echo fine"), "fine");
    assert!(is_alive(bystander) && is_alive(attacker));
    let told = client.unclaimed();
    assert!(
        !told
            .iter()
            .any(|end| end.container == id && [bystander, attacker].contains(&end.pid)),
        "{told:?}"
    );
    client.suspend(id).unwrap();
    client.resume(id).unwrap();
    let left = agent.shell_ok(id, "ps -o args | grep -c '^sleep 2000' || true");
    assert_eq!(
        left,
        started.to_string(),
        "the one that was given up is gone"
    );
}

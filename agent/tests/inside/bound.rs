//! Containers that are bound to their creators' connections.

use std::collections::HashMap;

use zbus::{OwnedObjectPath, Variant};

use crate::{
    properties,
    support::{Client, Setup, TestAgent, wait_until},
    text,
};

fn create_bound(client: &Client) -> i32 {
    let options = HashMap::from([("bound", Variant::from(true))]);
    let config = r#"[{"writeBufferEnabled": false}]"#;
    let reply = client.manage("CreateNamed", &(config, "", options));
    let body = reply.unwrap().body();
    body.deserialize::<(i32, OwnedObjectPath)>().unwrap().0
}

#[test]
fn a_container_goes_with_its_creator_and_leaves_the_others() {
    let agent = TestAgent::start();
    let stays = agent.create();
    agent.client().manage("Subscribe", &()).unwrap();
    let launcher = agent.new_client();
    let bound = [create_bound(&launcher), create_bound(&launcher)];
    let of_other = create_bound(agent.client());
    let seen = properties(agent.client(), bound[0]).unwrap();
    assert!(text(&seen, "BoundTo").starts_with(':'));
    let seen = properties(agent.client(), stays).unwrap();
    assert_eq!(text(&seen, "BoundTo"), "");
    let pid = launcher.execute(bound[0], "/bin/sleep 1000", "", "", &[]);
    // One that its creator destroys is no longer anybody's concern.
    launcher.destroy(bound[1]).unwrap();
    launcher.leave();
    agent.client().wait_ended(bound[0], pid.unwrap());
    wait_until("the container is gone", || {
        agent.client().list().unwrap() == [stays, of_other]
    });
    agent.client().wait_signal("creator-left", |message| {
        if message.header().member()? != "ContainerStateChanged" {
            return None;
        }
        let body = message.body();
        let told: (i32, &str, &str) = body.deserialize().ok()?;
        (told == (bound[0], "destroyed", "creator-left")).then_some(())
    });
    agent.client().destroy(of_other).unwrap();
    agent.client().destroy(stays).unwrap();
}

#[test]
fn a_creator_that_leaves_while_no_agent_runs_is_missed_by_the_next_one() {
    let mut agent = TestAgent::with(&Setup {
        supervised: true,
        ..Setup::default()
    });
    let (stays, leaves) = (agent.new_client(), agent.new_client());
    let (kept, gone) = (create_bound(&stays), create_bound(&leaves));
    agent.kill();
    leaves.leave();
    agent.start_agent();
    wait_until("the container is gone", || {
        agent.client().list().unwrap() == [kept]
    });
    assert_ne!(kept, gone);
    stays.leave();
    wait_until("the other one, too", || {
        agent.client().list().unwrap().is_empty()
    });
}

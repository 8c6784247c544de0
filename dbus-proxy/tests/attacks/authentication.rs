//! Clients that do not authenticate.

use std::os::unix::net::UnixStream;

use softwarecontainer_dbus_proxy::limits;

use crate::{
    Scene,
    support::{eventually, raw::Raw, resources},
};

#[test]
fn authentication_garbage_closes_its_connection() {
    let scene = Scene::new();
    let long = [b"\0".as_slice(), &[b'A'; 40_000]].concat();
    let endless = [b"\0".as_slice(), &b"AUTH NONSENSE\r\n".repeat(100)].concat();
    let cases: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0BEGIN\r\n",
        b"\0AUTH EXTERNAL\r\nBEGIN\r\n",
        b"\0AUTH EXTERNAL 30\r\nBEGIN\r\nnonsense",
        &long,
        &endless,
        b"\xff\xff\xff\xff",
    ];
    for garbage in cases {
        let mut attacker = Raw::connect(&scene.setup.system.path);
        let _ = std::io::Write::write_all(&mut attacker.stream, garbage);
        assert!(
            attacker.is_closed(),
            "{:?}",
            String::from_utf8_lossy(&garbage[..20.min(garbage.len())])
        );
    }
    scene.survives();
}

#[test]
fn half_open_connections_never_reach_the_bus_and_leave_room_for_others() {
    let scene = Scene::new();
    let bus_before = resources(scene.bus.pid()).files;
    let mut half_open: Vec<UnixStream> = Vec::new();
    for _ in 0..limits::UNAUTHENTICATED - 1 {
        half_open.push(UnixStream::connect(&scene.setup.system.path).unwrap());
    }
    scene.survives();
    assert!(resources(scene.bus.pid()).files <= bus_before + 1);
    // Beyond the limit connections are closed, also for the honest, but those that are open work
    // on.
    for _ in 0..10 {
        half_open.push(UnixStream::connect(&scene.setup.system.path).unwrap());
    }
    drop(half_open);
    eventually("room again", || {
        let mut probe = Raw::connect(&scene.setup.system.path);
        std::io::Write::write_all(&mut probe.stream, b"\0AUTH EXTERNAL 30\r\n").is_ok()
            && probe.has_answer()
    });
    scene.survives();
}

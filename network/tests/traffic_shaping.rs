//! Traffic shaping: the class of a container's packets, where they leave the host, and what tc(8)
//! makes of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod netns;
mod world;

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use netns::{Namespace, probe::Sink};
use serde_json::json;
use softwarecontainer_capability::class_id::ClassId;
use world::{OUTSIDE, World};

/// Sends as much as possible over TCP and returns what arrives, in bits per second.
fn transfer(from: &Namespace, to: &Namespace, address: &str, port: u16) -> f64 {
    let sink = Sink::start(to, port);
    let address = SocketAddr::new(address.parse().unwrap(), port);
    let mut sender =
        from.run(|| TcpStream::connect_timeout(&address, Duration::from_secs(3)).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let block = [0; 16 * 1024];
            // Ends when the receiver has seen enough and closes.
            while sender.write_all(&block).is_ok() {}
        });
        sink.rate()
    })
}

#[test]
fn a_classified_container_is_limited_and_another_one_is_not() {
    let world = World::new();
    let everything = json!([{"direction": "OUTGOING", "allow": [{"host": "*"}]}]);
    let (mut slow, mut fast) = (world.container(0), world.container(1));
    slow.set(&everything).unwrap();
    fast.set(&everything).unwrap();
    let class = ClassId::parse("0x100001").unwrap();
    world
        .host
        .run(|| world.network.set_class(0, Some(class)))
        .unwrap();
    // The commands of the integration guidelines.
    world
        .host
        .shell("tc qdisc add dev wan0 root handle 10: htb");
    world
        .host
        .shell("tc class add dev wan0 parent 10: classid 10:1 htb rate 1mbit");

    let (limited, unlimited) = std::thread::scope(|scope| {
        let limited = scope.spawn(|| transfer(&slow.inside, &world.outside, OUTSIDE, 5001));
        let unlimited = scope.spawn(|| transfer(&fast.inside, &world.outside, OUTSIDE, 5002));
        (limited.join().unwrap(), unlimited.join().unwrap())
    });
    println!("classified: {limited:.0} bit/s, the other: {unlimited:.0} bit/s");
    assert!((850_000.0..=1_150_000.0).contains(&limited), "{limited}");
    assert!(unlimited > 20_000_000.0, "{unlimited}");

    world.host.run(|| world.network.set_class(0, None)).unwrap();
    let free = transfer(&slow.inside, &world.outside, OUTSIDE, 5003);
    assert!(free > 20_000_000.0, "{free}");
}

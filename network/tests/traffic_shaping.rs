//! Traffic shaping: the rates that manifests give, and the class of a container's packets, where
//! they leave the host, and what tc(8) makes of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod netns;
mod world;

use std::{
    io::{Read as _, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use netns::{Namespace, probe::Sink};
use serde_json::json;
use softwarecontainer_capability::class_id::ClassId;
use softwarecontainer_network::Changes;
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

/// Bytes that flow over TCP, counted where they arrive.
#[derive(Default)]
struct Flow {
    bytes: AtomicU64,
    end: AtomicBool,
}

impl Flow {
    /// Sends as much as possible from one namespace to another until it is ended.
    fn run(&self, from: &Namespace, to: &Namespace, address: SocketAddr) {
        let any = SocketAddr::new("::".parse().unwrap(), address.port());
        let listener = to.run(|| TcpListener::bind(any).unwrap());
        let limit = Duration::from_secs(3);
        let mut sender = from.run(|| TcpStream::connect_timeout(&address, limit).unwrap());
        let (mut receiver, _) = listener.accept().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let block = [0; 16 * 1024];
                while sender.write_all(&block).is_ok() {}
            });
            let mut block = vec![0; 256 * 1024];
            while !self.end.load(Ordering::Relaxed) {
                let length = receiver.read(&mut block).unwrap();
                let length = u64::try_from(length).unwrap();
                self.bytes.fetch_add(length, Ordering::Relaxed);
            }
            drop(receiver);
        });
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What several flows carry in the same time, after their first moments, and how long that was.
fn in_the_same_time<const N: usize>(
    flows: [(&Namespace, &Namespace, SocketAddr); N],
) -> ([f64; N], Duration) {
    let running = [const {
        Flow {
            bytes: AtomicU64::new(0),
            end: AtomicBool::new(false),
        }
    }; N];
    std::thread::scope(|scope| {
        for (flow, (from, to, address)) in running.iter().zip(flows) {
            scope.spawn(move || flow.run(from, to, address));
        }
        std::thread::sleep(Duration::from_secs(2));
        let before = running.each_ref().map(Flow::bytes);
        let start = Instant::now();
        std::thread::sleep(Duration::from_secs(4));
        let after = running.each_ref().map(Flow::bytes);
        let time = start.elapsed();
        for flow in &running {
            flow.end.store(true, Ordering::Relaxed);
        }
        let mut carried = [0.0; N];
        for ((carried, after), before) in carried.iter_mut().zip(after).zip(before) {
            *carried = (after - before) as f64;
        }
        (carried, time)
    })
}

fn rules(rates: &[(&str, &str)]) -> serde_json::Value {
    let mut elements = vec![
        json!({"direction": "OUTGOING", "allow": [{"host": "*"}]}),
        json!({"direction": "INCOMING", "allow": [{"host": "*"}]}),
    ];
    for (key, rate) in rates {
        elements.push(json!({*key: *rate}));
    }
    elements.into()
}

/// Neither faster than `rate` bits in a second, whatever the load of this machine, nor other than
/// four times as fast as each other.
fn assert_rates(what: &str, [fast, slow]: [f64; 2], time: Duration) {
    let ratio = fast / slow;
    println!("{what}: {fast} and {slow} bytes in {time:?}, {ratio:.2} to 1");
    assert!((3.2..=4.8).contains(&ratio), "{what}: {ratio}");
    // A burst and a queue may come on top of what the time allows.
    let most = |rate: f64| rate / 8.0 * (time.as_secs_f64() + 0.2) + 32_768.0;
    assert!(fast <= most(4e6), "{what}: {fast}");
    assert!(slow <= most(1e6), "{what}: {slow}");
}

#[test]
fn a_container_is_as_fast_as_its_rates_say_in_either_direction() {
    let world = World::new();
    let (mut fast, mut slow, mut free) =
        (world.container(0), world.container(1), world.container(2));
    fast.set(&rules(&[
        ("egress-rate", "4mbit"),
        ("ingress-rate", "4mbit"),
    ]))
    .unwrap();
    slow.set(&rules(&[
        ("egress-rate", "1mbit"),
        ("ingress-rate", "1mbit"),
    ]))
    .unwrap();
    free.set(&rules(&[])).unwrap();
    let outside = |port| SocketAddr::new(OUTSIDE.parse().unwrap(), port);
    let (sent, time) = in_the_same_time([
        (&fast.inside, &world.outside, outside(5101)),
        (&slow.inside, &world.outside, outside(5102)),
    ]);
    assert_rates("sent", sent, time);

    world.outside.ip("route add 10.9.3.0/24 via 198.51.100.1");
    let (a, b) = (fast.address(), slow.address());
    let at = |address: &str| SocketAddr::new(address.parse().unwrap(), 5103);
    let (received, time) = in_the_same_time([
        (&world.outside, &fast.inside, at(&a)),
        (&world.outside, &slow.inside, at(&b)),
    ]);
    assert_rates("received", received, time);

    let ([unshaped], _) = in_the_same_time([(&free.inside, &world.outside, outside(5104))]);
    println!("without rates: {unshaped} bytes");
    assert!(unshaped > 10.0 * sent[0], "{unshaped}");

    // Other rates, and none, without a new container.
    fast.set(&rules(&[("egress-rate", "1mbit")])).unwrap();
    slow.set(&rules(&[("egress-rate", "4mbit")])).unwrap();
    let (sent, time) = in_the_same_time([
        (&slow.inside, &world.outside, outside(5105)),
        (&fast.inside, &world.outside, outside(5106)),
    ]);
    assert_rates("sent at other rates", sent, time);
    let of_ours = || world.host.shell("tc qdisc show").matches("tbf").count();
    assert_eq!(of_ours(), 2);
    fast.set(&rules(&[])).unwrap();
    slow.set(&rules(&[])).unwrap();
    assert_eq!(of_ours(), 0);
    assert_eq!(world.host.ip("-br link show type ifb"), "");
    let other = world.host.shell("tc filter show dev sc0-scbr0 ingress");
    assert!(!other.contains("mirred"), "{other}");
}

#[test]
fn frames_that_are_longer_than_usual_pass_at_a_rate() {
    let world = World::new();
    let mut container = world.container(0);
    for (namespace, device) in [
        (&world.host, "scbr0"),
        (&world.host, "sc0-scbr0"),
        (&world.host, "wan0"),
        (&world.outside, "eth0"),
        (&container.inside, "eth0"),
    ] {
        namespace.ip(&format!("link set {device} mtu 9000"));
    }
    let rates = [("egress-rate", "64kbit"), ("ingress-rate", "64kbit")];
    container.set(&rules(&rates)).unwrap();
    let ping = format!("ping -c 1 -W 5 -M do -s 8900 {OUTSIDE}");
    assert!(container.inside.try_run(&ping).status.success());
}

#[test]
fn nothing_of_a_shaped_container_is_left_behind() {
    let world = World::new();
    let ifbs = || world.host.ip("-br link show type ifb");
    let mut container = world.container(0);
    container.set(&rules(&[("egress-rate", "1mbit")])).unwrap();
    assert!(ifbs().contains("sc0r-scbr0"), "{}", ifbs());
    world.host.run(|| world.network.detach(0)).unwrap();
    assert_eq!(ifbs(), "");

    // What an agent that was killed has left goes with the next look; what is others' stays.
    drop(container);
    world.host.ip("link add sc7r-scbr0 type ifb");
    let mark = "softwarecontainer-agent scbr0";
    let mut set_alias = world.host.command("ip");
    set_alias.args(["link", "set", "sc7r-scbr0", "alias", mark]);
    assert!(set_alias.status().unwrap().success());
    world.host.ip("link add sc8r-scbr0 type ifb");
    world.host.run(|| world.network.keep_up(&Changes::ANYTHING));
    assert!(!ifbs().contains("sc7r"), "{}", ifbs());
    assert!(ifbs().contains("sc8r"), "{}", ifbs());
}

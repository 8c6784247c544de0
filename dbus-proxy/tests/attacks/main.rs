//! What a hostile app may try. After each attempt the proxy must live, serve others, and have let
//! nothing through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod authentication;
mod driver;
mod exhaustion;
mod forgery;
mod malformed;
#[path = "../support/mod.rs"]
mod support;
mod unguarded_bus;

use support::{
    Bus, Setup,
    raw::{Raw, call},
    rules,
};

const DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";
const INTERFACE: &str = "org.example.Test";

/// A bus with a victim on it, and a proxy that allows nothing.
struct Scene {
    bus: Bus,
    victim: Raw,
    setup: Setup,
    life: u32,
}

impl Scene {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(allowed: &[(&str, &str, &str, &str)]) -> Self {
        let bus = Bus::open();
        let setup = Setup::new(&bus, rules(allowed));
        let mut victim = Raw::hello(&bus.path());
        victim.settle(2);
        Self {
            life: setup.pid(),
            victim,
            setup,
            bus,
        }
    }

    fn attacker(&self) -> Raw {
        Raw::hello(&self.setup.system.path)
    }

    /// What reached the victim that was not of the bus.
    fn reached(&mut self) -> Vec<support::raw::Message> {
        let all = self.victim.settle(77);
        all.into_iter()
            .filter(|message| message.sender.as_deref() != Some("org.freedesktop.DBus"))
            .collect()
    }

    /// The proxy is the same process and serves others.
    fn survives(&self) {
        self.attacker().settle(2);
        assert_eq!(self.setup.pid(), self.life);
    }
}

fn call_victim(scene: &Scene, serial: u32, interface: Option<&str>) -> Vec<u8> {
    call(serial, &scene.victim.name, interface, "/", "Steal", None)
}

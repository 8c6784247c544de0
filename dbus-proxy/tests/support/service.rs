//! A service that tests call.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Stdio},
};

pub const NAME: &str = "org.example.Service";
pub const PATH: &str = "/org/example/Test";
pub const INTERFACE: &str = "org.example.Test";

/// `service.py` on a bus, ended when dropped.
pub struct Service(Child);

impl Service {
    pub fn start(address: &str) -> Self {
        Self::start_as(address, 0)
    }

    pub fn start_as(address: &str, uid: u32) -> Self {
        let mut command = super::python("service.py");
        command
            .args([address, NAME])
            .stdout(Stdio::piped())
            .uid(uid)
            .gid(uid);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

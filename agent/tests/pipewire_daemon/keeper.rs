//! A service manager that listens for a server and hands it the socket, as systemd does for a
//! socket unit.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

const PROGRAM: &str = include_str!("keeper.py");
/// In a mount namespace of its own, where the socket has the name by which the server knows it.
const ENTER: &str = r#"mount --bind "$1" /mnt && shift && exec "$@""#;

pub struct Keeper {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Keeper {
    /// Listens at `socket` of `dir`, which `server` sees as `/mnt`.
    pub fn start(dir: &Path, socket: &str, server: &Command) -> Self {
        let path = dir.join("keeper.py");
        std::fs::write(path, PROGRAM).unwrap();
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                ENTER,
                "sh",
            ])
            .arg(dir)
            .args(["/usr/bin/python3", "/mnt/keeper.py"])
            .arg(Path::new("/mnt").join(socket))
            .arg(server.get_program())
            .args(server.get_args())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for (name, value) in server.get_envs() {
            command.env(name, value.unwrap());
        }
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut keeper = Self { child, answers };
        keeper.wait();
        keeper
    }

    /// Has it start or stop the server.
    pub fn tell(&mut self, word: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{word}").unwrap();
        self.wait();
    }

    fn wait(&mut self) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It ends the server when its input ends.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

//! A service manager as small as can be, which keeps descriptors for the agent as systemd does
//! (sd_notify(3), `FDSTORE=1` and `FDSTOREREMOVE=1`; sd_listen_fds(3)).

use std::{
    collections::BTreeMap,
    io::{self, IoSliceMut},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::{net::UnixDatagram, process::CommandExt as _},
    },
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use nix::{
    cmsg_space,
    fcntl::{FcntlArg, fcntl},
    sys::socket::{ControlMessageOwned, MsgFlags, recvmsg},
};

type Kept = Arc<Mutex<BTreeMap<String, OwnedFd>>>;

/// The first descriptor that is handed over (sd_listen_fds(3)).
const FIRST: i32 = 3;
/// Above all that are handed over.
const FREE: i32 = 200;
/// The process must know that it is meant, by its own number.
const TELL_NUMBER: &str = r#"export LISTEN_PID=$$; exec "$0" "$@""#;

/// Keeps descriptors as long as it is there.
pub struct Supervisor {
    path: PathBuf,
    kept: Kept,
}

impl Supervisor {
    /// Listens at `path`.
    pub fn start(path: PathBuf) -> Self {
        let socket = UnixDatagram::bind(&path).unwrap();
        let timeout = Some(Duration::from_millis(200));
        socket.set_read_timeout(timeout).unwrap();
        let kept = Kept::default();
        let weak = Arc::downgrade(&kept);
        std::thread::spawn(move || {
            while let Some(kept) = weak.upgrade() {
                serve(&socket, &kept);
            }
        });
        Self { path, kept }
    }

    /// The names of what it keeps.
    pub fn names(&self) -> Vec<String> {
        self.kept.lock().unwrap().keys().cloned().collect()
    }

    /// Closes what it keeps, as a service manager does whose unit is stopped.
    pub fn flush(&self) {
        self.kept.lock().unwrap().clear();
    }

    /// Closes those whose names end so.
    pub fn lose(&self, end: &str) {
        let mut kept = self.kept.lock().unwrap();
        let before = kept.len();
        kept.retain(|name, _| !name.ends_with(end));
        assert_ne!(kept.len(), before, "{end}");
    }

    /// As `command`, with all that is kept.
    pub fn handing_over(&self, command: &Command) -> Command {
        // What was sent before an agent's end is there by now.
        std::thread::sleep(Duration::from_millis(20));
        let kept = self.kept.lock().unwrap();
        let names: Vec<_> = kept.keys().cloned().collect();
        let copies: Vec<OwnedFd> = kept
            .values()
            .map(|fd| {
                let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FREE)).unwrap();
                // SAFETY: it was just made.
                unsafe { OwnedFd::from_raw_fd(copy) }
            })
            .collect();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", TELL_NUMBER])
            .arg(command.get_program())
            .args(command.get_args())
            .env("NOTIFY_SOCKET", &self.path)
            .env("FDSTORE", FREE.to_string())
            .env("LISTEN_FDS", copies.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"));
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        if let Some(directory) = command.get_current_dir() {
            shell.current_dir(directory);
        }
        let place = move || {
            for (number, copy) in (FIRST..).zip(&copies) {
                // SAFETY: dup2(2) takes two numbers.
                if unsafe { libc::dup2(copy.as_raw_fd(), number) } < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        };
        // SAFETY: the new process makes system calls only.
        unsafe { shell.pre_exec(place) };
        shell
    }
}

fn serve(socket: &UnixDatagram, kept: &Kept) {
    let mut bytes = [0_u8; 4096];
    let mut space = cmsg_space!([i32; 8]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags);
    let Ok(packet) = received else { return };
    let mut descriptors = Vec::new();
    for message in packet.cmsgs().unwrap() {
        if let ControlMessageOwned::ScmRights(raw) = message {
            // SAFETY: they were just received.
            let owned = raw
                .into_iter()
                .map(|raw| unsafe { OwnedFd::from_raw_fd(raw) });
            descriptors.extend(owned);
        }
    }
    let length = packet.bytes;
    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
    let has = |wanted: &str| text.lines().any(|line| line == wanted);
    let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
    let Some(name) = name else { return };
    let mut kept = kept.lock().unwrap();
    if has("FDSTORE=1") {
        assert!(has("FDPOLL=0"), "{text}");
        kept.insert(name.to_owned(), descriptors.pop().unwrap());
    } else if has("FDSTOREREMOVE=1") {
        kept.remove(name);
    }
}

//! Descriptors of files whose file system does not answer: that of a launcher's own, for example.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{Read as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;
use zbus::{Fd, Variant};

use crate::support::{TestAgent, wait_until};

/// A file system in user space (fuse(4)) that is one file, and says nothing of it any more once it
/// is silent.
struct SilentFile {
    directory: TempDir,
    device: File,
    is_silent: Arc<AtomicBool>,
    was_asked: Arc<AtomicBool>,
}

/// Opcodes of linux/fuse.h.
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const RELEASE: u32 = 18;
const INIT: u32 = 26;

impl SilentFile {
    fn new() -> Self {
        let directory = TempDir::with_prefix("sc-test-").unwrap();
        let mut options = File::options();
        let device = options.read(true).write(true).open("/dev/fuse").unwrap();
        let made = Self {
            directory,
            device: device.try_clone().unwrap(),
            is_silent: Arc::default(),
            was_asked: Arc::default(),
        };
        fs::write(made.path(), "").unwrap();
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=100644,user_id=0,group_id=0,allow_other");
        let none = MsFlags::empty();
        let (name, kind) = (Some("sc-test"), Some("fuse"));
        mount(name, &made.path(), kind, none, Some(options.as_str())).unwrap();
        let (is_silent, was_asked) = (made.is_silent.clone(), made.was_asked.clone());
        thread::spawn(move || serve(device, &is_silent, &was_asked));
        made
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("file")
    }
}

impl Drop for SilentFile {
    fn drop(&mut self) {
        self.is_silent.store(false, Ordering::SeqCst);
        // Whoever waits gets ENOTCONN.
        let _ = umount2(&self.path(), MntFlags::MNT_FORCE | MntFlags::MNT_DETACH);
        let _ = self.device.flush();
    }
}

/// Answers until it is unmounted.
fn serve(mut device: File, is_silent: &AtomicBool, was_asked: &AtomicBool) {
    let mut request = vec![0; 1 << 17];
    while let Ok(length) = device.read(&mut request) {
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        assert!(length >= 40);
        let (opcode, unique) = (word(4), &request[8..16]);
        let mut body = vec![0; 104];
        match opcode {
            // Version 7.31 with everything else at its least.
            INIT => {
                body.truncate(64);
                body[..8].copy_from_slice(&[7, 0, 0, 0, 31, 0, 0, 0]);
            }
            OPEN => body.truncate(16),
            GETATTR if is_silent.load(Ordering::SeqCst) => {
                was_asked.store(true, Ordering::SeqCst);
                continue;
            }
            // A regular file that root owns, mode 0644, with one name, true for no time.
            GETATTR => {
                body[16] = 1;
                body[76..80].copy_from_slice(&0o100_644_u32.to_ne_bytes());
                body[80] = 1;
            }
            RELEASE => body.clear(),
            _ => {
                let refused = [16_u32.to_ne_bytes(), (-libc::ENOSYS).to_ne_bytes()].concat();
                let _ = device.write_all(&[&refused, unique].concat());
                continue;
            }
        }
        let length = u32::try_from(16 + body.len()).unwrap();
        let head = [&length.to_ne_bytes()[..], &[0; 4], unique].concat();
        let _ = device.write_all(&[head, body].concat());
    }
}

#[test]
fn a_descriptor_of_a_file_that_does_not_answer_holds_up_its_own_call_only() {
    let agent = TestAgent::start();
    let id = agent.create();
    let silent = SilentFile::new();
    let file = File::open(silent.path()).unwrap();
    silent.is_silent.store(true, Ordering::SeqCst);
    let client = agent.new_client();
    let caller = thread::spawn(move || {
        let descriptors = HashMap::from([(0_u32, Fd::from(file.as_fd()))]);
        let options = HashMap::<&str, Variant<'_>>::new();
        let arguments = (id, &["/bin/true"][..], descriptors, options);
        client.manage("ExecuteWithFds", &arguments).map(drop)
    });
    wait_until("the agent looks at it", || {
        silent.was_asked.load(Ordering::SeqCst)
    });
    assert_eq!(agent.client().list().unwrap(), [id]);
    drop(silent);
    // It gets an answer when the file system goes.
    caller.join().unwrap().unwrap_err();
}

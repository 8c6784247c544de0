//! What the agent and a container's init say to each other.
//!
//! Both ends hold one `SOCK_SEQPACKET` connection (unix(7)); a packet is one [`Message`] of
//! [`Message::SIZE`] bytes. [`Kind::Spawn`] carries descriptors (`SCM_RIGHTS`): a file holding a
//! [`Command`], the end of a pipe that says when it may be executed, and standard streams of the
//! new process, where they are not the container's own `/dev/null`: an app gets no other descriptor
//! of the host's. The agent must treat what it reads as hostile: an app that took over its init can
//! send anything.

use std::ffi::CString;

use crate::confinement::Confinement;

/// The path of the init in a container's root tree.
pub const INIT_PATH: &str = "/sbin/softwarecontainer-init";

/// The init's argument after the socket when it is to leave Landlock alone.
pub const WITHOUT_LANDLOCK: &str = "without-landlock";

/// The bit in the value of [`Kind::Spawn`] for a terminal that controls the process.
pub const TERMINAL: i32 = 1 << 3;

/// What a packet means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Agent to init: start a process. After [`Self::Started`] it waits for a byte from the pipe
    /// that follows the file with the command, or ends when there is none. The value says which
    /// standard streams follow that: bit 0 for input, 1 for output, 2 for error; with [`TERMINAL`],
    /// input is the terminal that controls the process. 0 stands for one descriptor for output and
    /// error, or none.
    Spawn,
    /// Agent to init: send SIGTERM to every process and end once all have ended.
    Terminate,
    /// New process to agent, before its exec: it exists; the sender's credentials tell its process
    /// ID.
    Started,
    /// Init or new process to agent: it could not be started; the value is an errno.
    Failed,
    /// New process to agent: its working directory cannot be entered; the value is an errno.
    NoDirectory,
    /// Init to agent: the process has ended; the value is its wait status (waitpid(2)). The init
    /// remembers it until it is [`Self::Told`].
    Exited,
    /// Agent to init: nobody waits for the start of this process any more, so it has to go.
    Abandon,
    /// Init to agent: the process, or one that descends from it, has made a system call that it may
    /// not make; the value is a [`Call`](crate::Call).
    Denied,
    /// Agent to init: send a signal to the process; the value is its number (signal(7)).
    Signal,
    /// Agent to init: whoever is to know of the end of the process knows, or nobody is.
    Told,
    /// Agent to init: another agent goes on with the container. It knows of no process from this
    /// number on: these have to go. Of all others the init says again which have [`Self::Exited`],
    /// then which are [`Self::Running`], then [`Self::TakenOver`].
    TakeOver,
    /// Init to agent: the process has not ended.
    Running,
    /// Init to agent: there are no others.
    TakenOver,
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// What it means.
    pub kind: Kind,
    /// The number the agent gave to the process.
    pub process: u32,
    /// What it is depends on the kind; 0 where nothing is said.
    pub value: i32,
}

impl Message {
    /// The size of a packet in bytes.
    pub const SIZE: usize = 12;

    /// The packet's bytes.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let kind: u32 = match self.kind {
            Kind::Spawn => 1,
            Kind::Terminate => 2,
            Kind::Started => 3,
            Kind::Failed => 4,
            Kind::NoDirectory => 5,
            Kind::Exited => 6,
            Kind::Abandon => 7,
            Kind::Denied => 8,
            Kind::Signal => 9,
            Kind::Told => 10,
            Kind::TakeOver => 11,
            Kind::Running => 12,
            Kind::TakenOver => 13,
        };
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&kind.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.process.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.value.to_ne_bytes());
        bytes
    }

    /// The packet in `bytes`; `None` if it has another size or an unknown kind.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::SIZE] = bytes.try_into().ok()?;
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let kind = match u32::from_ne_bytes(word(0)) {
            1 => Kind::Spawn,
            2 => Kind::Terminate,
            3 => Kind::Started,
            4 => Kind::Failed,
            5 => Kind::NoDirectory,
            6 => Kind::Exited,
            7 => Kind::Abandon,
            8 => Kind::Denied,
            9 => Kind::Signal,
            10 => Kind::Told,
            11 => Kind::TakeOver,
            12 => Kind::Running,
            13 => Kind::TakenOver,
            _ => return None,
        };
        Some(Self {
            kind,
            process: u32::from_ne_bytes(word(4)),
            value: i32::from_ne_bytes(word(8)),
        })
    }
}

/// What [`Kind::Spawn`] is to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The working directory, empty to stay in `/`.
    pub directory: CString,
    /// The program and its arguments; the program is looked up in the `PATH` of
    /// [`Self::environment`].
    pub arguments: Vec<CString>,
    /// `NAME=value` strings, the whole environment of the process.
    pub environment: Vec<CString>,
    /// What is worth knowing if the program is not found; may be empty.
    pub if_missing: CString,
    /// What the process is to be without.
    pub confinement: Confinement,
}

impl Command {
    /// The bytes of the file that goes with [`Kind::Spawn`].
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.confinement.encode(&mut bytes);
        bytes.extend_from_slice(self.directory.as_bytes_with_nul());
        bytes.extend_from_slice(self.if_missing.as_bytes_with_nul());
        for list in [&self.arguments, &self.environment] {
            for text in list.iter() {
                bytes.push(1);
                bytes.extend_from_slice(text.as_bytes_with_nul());
            }
            bytes.push(0);
        }
        bytes
    }

    /// The command in `bytes`; `None` if they are not one whole command with a program.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let confinement = Confinement::decode(&mut rest)?;
        let directory = text(&mut rest)?;
        let if_missing = text(&mut rest)?;
        let arguments = list(&mut rest)?;
        let environment = list(&mut rest)?;
        (rest.is_empty() && !arguments.is_empty()).then_some(Self {
            directory,
            arguments,
            environment,
            if_missing,
            confinement,
        })
    }
}

fn text(rest: &mut &[u8]) -> Option<CString> {
    let end = rest.iter().position(|&byte| byte == 0)?;
    let (head, tail) = rest.split_at(end + 1);
    *rest = tail;
    CString::from_vec_with_nul(head.to_vec()).ok()
}

fn list(rest: &mut &[u8]) -> Option<Vec<CString>> {
    let mut texts = Vec::new();
    loop {
        let (&mark, tail) = rest.split_first()?;
        *rest = tail;
        match mark {
            0 => return Some(texts),
            1 => texts.push(text(rest)?),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<CString> {
        texts
            .iter()
            .map(|&text| CString::new(text).unwrap())
            .collect()
    }

    #[test]
    fn a_message_survives_the_wire() {
        for kind in [
            Kind::Spawn,
            Kind::Terminate,
            Kind::Started,
            Kind::Failed,
            Kind::NoDirectory,
            Kind::Exited,
            Kind::Abandon,
            Kind::Denied,
            Kind::Signal,
            Kind::Told,
            Kind::TakeOver,
            Kind::Running,
            Kind::TakenOver,
        ] {
            let message = Message {
                kind,
                process: u32::MAX,
                value: -7,
            };
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
    }

    #[test]
    fn a_packet_of_another_size_or_kind_is_no_message() {
        assert_eq!(Message::decode(&[]), None);
        assert_eq!(Message::decode(&[1; 11]), None);
        assert_eq!(Message::decode(&[0; 13]), None);
        assert_eq!(Message::decode(&[0; 12]), None);
    }

    #[test]
    fn a_command_survives_the_wire_also_with_empty_strings() {
        let command = Command {
            directory: CString::default(),
            arguments: strings(&["", "a b", ""]),
            environment: strings(&["A=1", ""]),
            if_missing: c"it is elsewhere".into(),
            confinement: Confinement {
                drop: 5,
                ..Confinement::default()
            },
        };
        assert_eq!(Command::decode(&command.encode()), Some(command));
    }

    #[test]
    fn a_cut_command_or_one_without_program_is_refused() {
        let command = Command {
            directory: c"/".into(),
            arguments: strings(&["x"]),
            environment: strings(&["A=1"]),
            if_missing: CString::default(),
            confinement: Confinement::default(),
        };
        let bytes = command.encode();
        for end in 0..bytes.len() {
            assert_eq!(Command::decode(&bytes[..end]), None, "{end} bytes");
        }
        // No confinement, no directory, no remark, no program.
        assert_eq!(Command::decode(&[0; 28 + 4]), None);
    }
}

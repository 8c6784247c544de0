//! What a new process is to be without.
//!
//! The init itself has more than any app, because it has to give what the agent says: a few kernel
//! capabilities, high limits, and system calls that the container's own seccomp profile lets pass.
//! No app gets at it: it cannot be traced.

use crate::calls::CallFilter;

/// What is taken from a new process before it becomes a program. The default takes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confinement {
    /// The user and group that it becomes, without any further groups; 0 to stay root.
    pub user: u32,
    /// Kernel capabilities that it has though it is not root, as bits (capabilities(7)).
    pub keep: u64,
    /// Kernel capabilities that it loses for good, as bits.
    pub drop: u64,
    /// Its limits, where they are not the init's.
    pub limits: Vec<Limit>,
    /// The system calls that it may make.
    pub calls: CallFilter,
    /// A BPF program for seccomp(2) in the kernel's form, instructions of 8 bytes, for arguments of
    /// calls; empty for none. With this or a filter of calls comes `no_new_privs`.
    pub arguments: Vec<u8>,
}

/// A limit of a process (setrlimit(2)); all ones is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The kernel's number of the resource.
    pub resource: u32,
    /// The limit in force.
    pub soft: u64,
    /// As high as the process may raise it.
    pub hard: u64,
}

impl Confinement {
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let length = |items: usize| u32::try_from(items).unwrap_or(u32::MAX).to_ne_bytes();
        bytes.extend_from_slice(&self.user.to_ne_bytes());
        bytes.extend_from_slice(&self.keep.to_ne_bytes());
        bytes.extend_from_slice(&self.drop.to_ne_bytes());
        bytes.extend_from_slice(&length(self.limits.len()));
        for limit in &self.limits {
            bytes.extend_from_slice(&limit.resource.to_ne_bytes());
            bytes.extend_from_slice(&limit.soft.to_ne_bytes());
            bytes.extend_from_slice(&limit.hard.to_ne_bytes());
        }
        self.calls.encode(bytes);
        bytes.extend_from_slice(&length(self.arguments.len()));
        bytes.extend_from_slice(&self.arguments);
    }

    pub(crate) fn decode(rest: &mut &[u8]) -> Option<Self> {
        let user = word(rest)?;
        let keep = long(rest)?;
        let drop = long(rest)?;
        let count = word(rest)?;
        let limits = (0..count).map(|_| {
            Some(Limit {
                resource: word(rest)?,
                soft: long(rest)?,
                hard: long(rest)?,
            })
        });
        let limits = limits.collect::<Option<_>>()?;
        let calls = CallFilter::decode(rest)?;
        let length = usize::try_from(word(rest)?).ok()?;
        let (arguments, tail) = rest.split_at_checked(length)?;
        *rest = tail;
        Some(Self {
            user,
            keep,
            drop,
            limits,
            calls,
            arguments: arguments.to_vec(),
        })
    }
}

fn word(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u32::from_ne_bytes(*head))
}

fn long(rest: &mut &[u8]) -> Option<u64> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u64::from_ne_bytes(*head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_the_wire_and_a_cut_one_is_refused() {
        let confinement = Confinement {
            user: 1000,
            keep: 1 << 13,
            drop: 1 << 40 | 7,
            limits: vec![
                Limit {
                    resource: 7,
                    soft: 1024,
                    hard: u64::MAX,
                },
                Limit {
                    resource: 14,
                    soft: 0,
                    hard: 0,
                },
            ],
            calls: CallFilter::default(),
            arguments: vec![6, 0, 0, 0, 0, 0, 0xff, 0x7f],
        };
        let mut bytes = Vec::new();
        confinement.encode(&mut bytes);
        assert_eq!(bytes.len(), 4 + 8 + 8 + 4 + 2 * 20 + 3 * 4 + 4 + 8);
        assert_eq!(Confinement::decode(&mut &bytes[..]), Some(confinement));
        for end in 0..bytes.len() {
            assert_eq!(Confinement::decode(&mut &bytes[..end]), None, "{end} bytes");
        }
    }
}

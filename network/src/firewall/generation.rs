//! The generation of a network namespace's rules: a number that nftables, on which today's iptables
//! works, increases with each change, and tells of.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use neli::{
    consts::{nl::NlmF, socket::NlFamily},
    nl::{NlPayload, NlmsghdrBuilder},
    socket::synchronous::NlSocketHandle,
    types::Buffer,
    utils::Groups,
};

// linux/netfilter/nfnetlink.h and nf_tables.h: the subsystem above the message, and the multicast
// group.
const GET_GENERATION: u16 = 10 << 8 | 16;
const NEW_GENERATION: u16 = 10 << 8 | 15;
const NFNLGRP_NFTABLES: u32 = 7;
/// NFTA_GEN_ID: a number that each change increases.
const GENERATION_ID: u16 = 1;
/// NFTA_GEN_PROC_PID: the process that made the change.
const GENERATION_PROCESS: u16 = 2;

/// The present generation of the rules; `None` when the kernel has no nftables.
pub(super) fn current() -> Option<u32> {
    let socket = NlSocketHandle::connect(NlFamily::Netfilter, None, Groups::empty()).ok()?;
    let message = NlmsghdrBuilder::default()
        .nl_type(GET_GENERATION)
        .nl_flags(NlmF::REQUEST)
        // struct nfgenmsg: no family, version 0, no resource.
        .nl_payload(NlPayload::Payload(Buffer::from([0u8; 4].as_slice())))
        .build()
        .ok()?;
    socket.send(&message).ok()?;
    let (answers, _groups) = socket.recv::<u16, Buffer>().ok()?;
    answers
        .flatten()
        .find_map(|answer| number(answer.get_payload()?.as_ref(), GENERATION_ID))
}

/// Tells which processes have changed the rules.
pub(super) struct Commits(NlSocketHandle);

impl Commits {
    /// Listens from now on; `None` when the kernel has no nftables.
    pub(super) fn listen() -> Option<Self> {
        let groups = Groups::new_groups(&[NFNLGRP_NFTABLES]);
        NlSocketHandle::connect(NlFamily::Netfilter, None, groups)
            .ok()
            .map(Self)
    }

    /// To wait for with poll(2).
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the socket, which outlives the result.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }

    /// Reads what there is, or waits for it: the processes whose changes are complete. `None` when
    /// something was lost.
    pub(super) fn read(&self) -> Option<Vec<u32>> {
        let (messages, _groups) = self.0.recv::<u16, Buffer>().ok()?;
        let mut processes = Vec::new();
        for message in messages {
            let message = message.ok()?;
            if *message.nl_type() == NEW_GENERATION {
                processes.extend(number(message.get_payload()?.as_ref(), GENERATION_PROCESS));
            }
        }
        Some(processes)
    }
}

/// Finds an attribute that is a number, behind the header of a message.
fn number(body: &[u8], kind: u16) -> Option<u32> {
    let mut rest = body.get(4..)?;
    while let Some((header, _)) = rest.split_first_chunk::<4>() {
        let [l0, l1, t0, t1] = *header;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        if u16::from_ne_bytes([t0, t1]) == kind {
            return rest.get(4..8)?.try_into().ok().map(u32::from_be_bytes);
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_behind_other_attributes_and_not_in_garbage() {
        let mut body = vec![0; 4];
        body.extend_from_slice(&6u16.to_ne_bytes());
        body.extend_from_slice(&3u16.to_ne_bytes());
        body.extend_from_slice(b"ab\0\0");
        body.extend_from_slice(&8u16.to_ne_bytes());
        body.extend_from_slice(&GENERATION_PROCESS.to_ne_bytes());
        body.extend_from_slice(&77u32.to_be_bytes());
        assert_eq!(number(&body, GENERATION_PROCESS), Some(77));
        assert_eq!(number(&body, GENERATION_ID), None);
        assert_eq!(number(&body[..18], GENERATION_PROCESS), None);
        assert_eq!(number(&[0; 40], GENERATION_PROCESS), None);
        assert_eq!(number(&[], GENERATION_PROCESS), None);
    }
}

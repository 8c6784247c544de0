//! The generation of a network namespace's rules: a number that nftables, on which today's iptables
//! works, increases with each change, and tells of.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use neli::{
    consts::socket::NlFamily, socket::synchronous::NlSocketHandle, types::Buffer, utils::Groups,
};

use crate::nfnetlink::{
    Nfnetlink,
    message::{ACK, Attributes, Message, number},
};

// linux/netfilter/nfnetlink.h and nf_tables.h.
const NFNL_SUBSYS_NFTABLES: u8 = 10;
const NFT_MSG_GETGEN: u8 = 16;
const NEW_GENERATION: u16 = 10 << 8 | 15;
const NFNLGRP_NFTABLES: u32 = 7;
/// NFTA_GEN_ID: a number that each change increases.
const GENERATION_ID: u16 = 1;
/// NFTA_GEN_PROC_PID: the process that made the change.
const GENERATION_PROCESS: u16 = 2;

/// The present generation of the rules in the calling thread's network namespace; `None` when the
/// kernel has no nftables.
pub(super) fn current() -> Option<u32> {
    of(&Nfnetlink::open().ok()?)
}

/// The present generation in the network namespace of a socket.
pub(super) fn of(netfilter: &Nfnetlink) -> Option<u32> {
    let question = Message {
        kind: (NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN),
        flags: ACK,
        family: 0,
        resource: 0,
        attributes: Attributes::default(),
    };
    let mut generation = None;
    let asked = netfilter.ask("tell the generation of its rules", &question, |answer| {
        generation = number(answer, GENERATION_ID);
    });
    asked.ok()?;
    generation
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
                // Behind struct nfgenmsg.
                let attributes = message.get_payload()?.as_ref().get(4..)?;
                processes.extend(number(attributes, GENERATION_PROCESS));
            }
        }
        Some(processes)
    }
}

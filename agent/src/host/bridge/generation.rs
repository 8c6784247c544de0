//! The generation of a network namespace's nftables rules: it counts every change that anybody makes.

use neli::consts::nl::NlmF;
use neli::consts::socket::NlFamily;
use neli::nl::{NlPayload, NlmsghdrBuilder};
use neli::socket::synchronous::NlSocketHandle;
use neli::types::Buffer;
use neli::utils::Groups;

/// NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN of linux/netfilter/nfnetlink.h and nf_tables.h.
const GET_GENERATION: u16 = 10 << 8 | 16;
/// NFTA_GEN_ID, the attribute that holds the number.
const GENERATION_ID: u16 = 1;

/// The present generation; `None` when the kernel has no nftables.
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
        .find_map(|answer| identifier(answer.get_payload()?.as_ref()))
}

/// Finds the number behind the header of the message, among its attributes.
fn identifier(body: &[u8]) -> Option<u32> {
    let mut rest = body.get(4..)?;
    while let Some((header, _)) = rest.split_first_chunk::<4>() {
        let [l0, l1, t0, t1] = *header;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        if u16::from_ne_bytes([t0, t1]) == GENERATION_ID {
            return rest.get(4..8)?.try_into().ok().map(u32::from_be_bytes);
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}

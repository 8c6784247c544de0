//! Traffic control (tc(8)): what its messages have in common.

use std::io::Cursor;

use neli::{
    FromBytesWithInput,
    consts::rtnl::Tca,
    rtnl::{Rtattr, Tcmsg, TcmsgBuilder},
    types::Buffer,
};

use super::{Link, NetlinkError, attributes, encoding};

// linux/pkt_sched.h
pub(super) const TC_H_ROOT: u32 = 0xffff_ffff;

/// Reads a message about a discipline or a filter.
pub(super) fn read(attempt: &str, body: &Buffer) -> Result<Tcmsg, NetlinkError> {
    let body = body.as_ref();
    Tcmsg::from_bytes_with_input(&mut Cursor::new(body), body.len())
        .map_err(|error| encoding(attempt, &error))
}

/// The kind that a message names.
pub(super) fn kind_of(message: &Tcmsg) -> String {
    let handle = message.rtattrs().get_attr_handle();
    let kind = handle.get_attribute(Tca::Kind);
    let kind = kind.map(|found| found.rta_payload().as_ref().to_vec());
    let kind = kind.unwrap_or_default();
    String::from_utf8_lossy(kind.strip_suffix(b"\0").unwrap_or(&kind)).into_owned()
}

pub(super) fn tc_message(
    attempt: &str,
    index: i32,
    handle: u32,
    parent: u32,
    info: u32,
    list: Vec<Rtattr<Tca, Buffer>>,
) -> Result<Tcmsg, NetlinkError> {
    TcmsgBuilder::default()
        .tcm_family(0)
        .tcm_ifindex(index)
        .tcm_handle(handle)
        .tcm_parent(parent)
        .tcm_info(info)
        .rtattrs(attributes(list))
        .build()
        .map_err(|error| encoding(attempt, &error))
}

/// Whether a request failed because there is no such thing.
pub(super) fn is_absent(error: &NetlinkError) -> bool {
    matches!(
        error.errno(),
        Some(libc::ENOENT | libc::EINVAL | libc::ENODEV)
    )
}

impl Link {
    /// Bytes of the longest frame, with its header and a VLAN's tag.
    pub(crate) fn longest_frame(&self) -> u32 {
        self.mtu.unwrap_or(1500).saturating_add(18)
    }
}

//! The end of a bridge of ours.

use super::{error::BridgeError, ownership::Ownership};
use crate::netlink::{Deletion, Link, Netlink};

/// A bridge that nobody else uses.
pub(super) struct Unused {
    netlink: Netlink,
    links: Vec<Link>,
    /// Its deletion, if it was ours, and what it was marked with.
    deletion: Option<(Ownership, Deletion)>,
}

/// Begins to delete the bridge, if it is ours; `None` if somebody else uses it.
///
/// # Errors
/// [`BridgeError`].
pub(super) fn begin(device: &str) -> Result<Option<Unused>, BridgeError> {
    let netlink = Netlink::open()?;
    let links = netlink.links()?;
    let mut deletion = None;
    if let Some(link) = links.iter().find(|link| link.name == device) {
        if let Some(port) = links.iter().find(|other| other.master == Some(link.index)) {
            log::warn!("bridge {device} stays, because {} uses it", port.name);
            return Ok(None);
        }
        if let Some(mark) = Ownership::of(link) {
            deletion = Some((mark, netlink.begin_last_deletion(link)?));
        }
    }
    Ok(Some(Unused {
        netlink,
        links,
        deletion,
    }))
}

impl Unused {
    /// Switches forwarding back to what it was `before`, and waits until the bridge is gone.
    ///
    /// # Errors
    /// [`BridgeError`]; both is tried nevertheless.
    pub(super) fn finish(self, device: &str, before: Ownership) -> Result<(), BridgeError> {
        // Another agent's end may have changed what it was marked with.
        let (before, deletion) = match self.deletion {
            Some((now, deletion)) => (now, Some(deletion)),
            None => (before, None),
        };
        let released = release_forwarding(&self.netlink, &self.links, device, &before);
        let deleted = deletion.map_or(Ok(()), Deletion::wait);
        released.and(deleted.map_err(BridgeError::from))
    }
}

/// The bridge of another agent still needs forwarding; the last one switches it back.
fn release_forwarding(
    netlink: &Netlink,
    links: &[Link],
    device: &str,
    before: &Ownership,
) -> Result<(), BridgeError> {
    let others = links.iter().filter(|other| other.name != device);
    let mut marked = others.filter_map(|other| Ownership::of(other).map(|mark| (other, mark)));
    match marked.next() {
        Some((other, mark)) => netlink.set_alias(other, &mark.earlier(before).to_string())?,
        None => before.restore()?,
    }
    Ok(())
}

//! The queueing disciplines that are there (tc(8)).

use neli::{
    consts::{
        nl::NlmF,
        rtnl::{Rtm, Tca},
    },
    types::Buffer,
};

use super::{
    Netlink, NetlinkError, token_bucket,
    traffic_control::{TC_H_ROOT, kind_of, read, tc_message},
};

/// A queueing discipline as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Discipline {
    /// Index of its interface.
    pub index: i32,
    /// Whether all that the interface sends goes through it.
    pub root: bool,
    /// Kind as in `tc qdisc add … KIND`.
    pub kind: String,
    /// Bytes in a second, if it is a token bucket.
    pub rate: Option<u32>,
}

impl Netlink {
    /// The queueing disciplines of all interfaces; the kernel leaves its own defaults out.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_GETQDISC of rtnetlink(7).
    pub(crate) fn disciplines(&self) -> Result<Vec<Discipline>, NetlinkError> {
        let attempt = "list the queueing disciplines";
        let message = tc_message(attempt, 0, 0, 0, 0, Vec::new())?;
        let bodies = self.query(attempt, Rtm::Getqdisc, NlmF::DUMP, message)?;
        let parsed = bodies.iter().map(|body| parse(attempt, body));
        parsed.collect()
    }
}

fn parse(attempt: &str, body: &Buffer) -> Result<Discipline, NetlinkError> {
    let message = read(attempt, body)?;
    let kind = kind_of(&message);
    let handle = message.rtattrs().get_attr_handle();
    let options = handle.get_attribute(Tca::Options);
    let options = options.map(|found| found.rta_payload().as_ref().to_vec());
    Ok(Discipline {
        index: *message.tcm_ifindex(),
        root: *message.tcm_parent() == TC_H_ROOT,
        rate: options
            .filter(|_| kind == token_bucket::KIND)
            .and_then(|options| token_bucket::rate_of(&options)),
        kind,
    })
}

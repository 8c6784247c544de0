//! A token bucket (tc-tbf(8)): what an interface sends is no faster than a rate.

use neli::{
    consts::{
        nl::NlmF,
        rtnl::{Rtm, Tca},
    },
    rtnl::Rtattr,
    types::Buffer,
};

use super::{
    Link, Netlink, NetlinkError, attribute, c_string, encoding,
    traffic_control::{TC_H_ROOT, is_absent, tc_message},
};
use crate::nfnetlink::message;

/// As in `tc qdisc add … tbf`.
pub(super) const KIND: &str = "tbf";
// linux/pkt_sched.h
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_BURST: u16 = 6;
const TC_LINKLAYER_ETHERNET: u8 = 1;
/// Ours is known by its handle; an integrator's discipline in that place is not taken away.
const HANDLE: u32 = 0x5c5c_0000;
/// Bytes that go out at once after a pause: 10 ms of the rate, so that timers of the kernel that
/// come late lose nothing.
const BURSTS_A_SECOND: u32 = 100;
const LARGEST_BURST: u32 = 4 << 20;
/// Bytes that wait before more is dropped: 100 ms of the rate, and no fewer than ten frames.
const QUEUES_A_SECOND: u32 = 10;
const SHORTEST_QUEUE: u32 = 10;

impl Netlink {
    /// Lets an interface send no more than `rate` bytes in a second, in place of whatever other
    /// discipline is there; a bucket of ours is changed without a loss. Frames of `frame` bytes
    /// pass whole.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_NEWQDISC of rtnetlink(7); ENOENT without CONFIG_NET_SCH_TBF.
    pub fn set_rate(&self, link: &Link, rate: u32, frame: u32) -> Result<(), NetlinkError> {
        let attempt = format!("limit what {} sends (tbf)", link.name);
        let kind = attribute(&attempt, Tca::Kind, &c_string(KIND))?;
        let mut options: Rtattr<Tca, Buffer> = attribute(&attempt, Tca::Options, &[])?;
        for (kind, payload) in options_of(rate, frame) {
            options = options
                .nest(&attribute(&attempt, kind, &payload)?)
                .map_err(|error| encoding(&attempt, &error))?;
        }
        let message = tc_message(
            &attempt,
            link.index,
            HANDLE,
            TC_H_ROOT,
            0,
            vec![kind, options],
        )?;
        self.request(
            &attempt,
            Rtm::Newqdisc,
            NlmF::CREATE | NlmF::REPLACE,
            message,
        )
    }

    /// Ends what [`Netlink::set_rate`] began; a repeat changes nothing.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_DELQDISC of rtnetlink(7).
    pub fn clear_rate(&self, link: &Link) -> Result<(), NetlinkError> {
        let attempt = format!("no longer limit what {} sends", link.name);
        let message = tc_message(&attempt, link.index, HANDLE, TC_H_ROOT, 0, Vec::new())?;
        match self.request(&attempt, Rtm::Delqdisc, NlmF::empty(), message) {
            Err(error) if !is_absent(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Attributes in TCA_OPTIONS: `struct tc_tbf_qopt`, and the burst in bytes.
fn options_of(rate: u32, frame: u32) -> [(u16, Vec<u8>); 2] {
    let burst = (rate / BURSTS_A_SECOND).min(LARGEST_BURST).max(2 * frame);
    let queue = (rate / QUEUES_A_SECOND)
        .max(SHORTEST_QUEUE * frame)
        .max(burst);
    // struct tc_ratespec: cell_log, linklayer, overhead, cell_align, mpu, rate. With a link layer
    // the kernel needs no table of times.
    let mut parameters = vec![0, TC_LINKLAYER_ETHERNET, 0, 0, 0, 0, 0, 0];
    parameters.extend(rate.to_ne_bytes());
    // No peak rate.
    parameters.extend([0; 12]);
    // limit, buffer (TCA_TBF_BURST counts), mtu (of the peak rate).
    for number in [queue, 0, 0] {
        parameters.extend(number.to_ne_bytes());
    }
    [
        (TCA_TBF_PARMS, parameters),
        (TCA_TBF_BURST, burst.to_ne_bytes().to_vec()),
    ]
}

/// The rate in TCA_OPTIONS.
pub(super) fn rate_of(options: &[u8]) -> Option<u32> {
    let parameters = message::attribute(options, TCA_TBF_PARMS)?;
    let rate = parameters.get(8..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(rate: u32) -> (u32, u32) {
        let [(_, parameters), (_, burst)] = options_of(rate, 1518);
        let number = |bytes: &[u8]| u32::from_ne_bytes(bytes[..4].try_into().unwrap());
        assert_eq!(number(&parameters[8..]), rate);
        assert_eq!(parameters.len(), 36);
        (number(&burst), number(&parameters[24..]))
    }

    #[test]
    fn every_rate_lets_whole_frames_pass_and_holds_some_of_them() {
        assert_eq!(sizes(1_000), (3036, 15_180));
        assert_eq!(sizes(250_000), (3036, 25_000));
        assert_eq!(sizes(12_500_000), (125_000, 1_250_000));
        assert_eq!(sizes(1_250_000_000), (LARGEST_BURST, 125_000_000));
    }
}

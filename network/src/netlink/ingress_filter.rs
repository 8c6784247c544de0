//! Traffic control (tc(8)): a classic BPF program that decides on each frame that arrives from an
//! interface.
//!
//! Such a filter belongs to the interface: it disappears with it, and no reload of any firewall
//! touches it.

use neli::{
    consts::{
        nl::NlmF,
        rtnl::{Rtm, Tca},
    },
    rtnl::{Rtattr, Tcmsg, TcmsgBuilder},
    types::Buffer,
};

use super::{Link, Netlink, NetlinkError, attribute, attributes, c_string, encoding};

// linux/pkt_sched.h
const TC_H_CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const CLSACT_INGRESS: u32 = 0xffff_fff2;
// linux/pkt_cls.h
const TCA_BPF_OPS_LEN: u16 = 4;
const TCA_BPF_OPS: u16 = 5;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;

/// Priority of our filter: before any that an integrator adds with tc(8)'s automatic numbers (from
/// 49152).
const PRIORITY: u32 = 1;
/// One fixed handle, so that setting a filter again replaces it in one step.
const FILTER_HANDLE: u32 = 1;

/// One instruction of classic BPF, as `struct sock_filter` of linux/filter.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub jt: u8,
    /// How many instructions to skip if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

impl Netlink {
    /// Puts a program on an interface, in place of the one that is there. It runs for each frame
    /// that arrives there (from the other end, for a veth) and returns a TC_ACT_ value (0 passes, 2
    /// drops).
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_NEWQDISC and RTM_NEWTFILTER of rtnetlink(7); needs
    /// CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_ACT and CONFIG_NET_CLS_BPF.
    pub fn set_filter(&self, link: &Link, program: &[Instruction]) -> Result<(), NetlinkError> {
        let attempt = format!("filter the frames of {} (clsact, cls_bpf)", link.name);
        let kind = attribute(&attempt, Tca::Kind, &c_string("clsact"))?;
        let message = tc_message(&attempt, link, CLSACT_HANDLE, TC_H_CLSACT, 0, vec![kind])?;
        match self.request(&attempt, Rtm::Newqdisc, NlmF::CREATE | NlmF::EXCL, message) {
            Ok(()) => {}
            Err(error) if error.errno() == Some(libc::EEXIST) => {}
            Err(error) => return Err(error),
        }

        let length = u16::try_from(program.len()).map_err(|error| encoding(&attempt, &error))?;
        let mut operations = Vec::with_capacity(program.len() * 8);
        for one in program {
            operations.extend_from_slice(&one.code.to_ne_bytes());
            operations.extend_from_slice(&[one.jt, one.jf]);
            operations.extend_from_slice(&one.k.to_ne_bytes());
        }
        let mut options: Rtattr<Tca, Buffer> = attribute(&attempt, Tca::Options, &[])?;
        for (kind, payload) in [
            (TCA_BPF_OPS_LEN, length.to_ne_bytes().to_vec()),
            (TCA_BPF_OPS, operations),
            (
                TCA_BPF_FLAGS,
                TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes().to_vec(),
            ),
        ] {
            options = options
                .nest(&attribute(&attempt, kind, &payload)?)
                .map_err(|error| encoding(&attempt, &error))?;
        }
        // tcm_info holds the priority above the protocol in network order; ETH_P_ALL is 3.
        let info = PRIORITY << 16 | u32::from(3u16.to_be());
        let kind = attribute(&attempt, Tca::Kind, &c_string("bpf"))?;
        let message = tc_message(
            &attempt,
            link,
            FILTER_HANDLE,
            CLSACT_INGRESS,
            info,
            vec![kind, options],
        )?;
        self.request(&attempt, Rtm::Newtfilter, NlmF::CREATE, message)
    }
}

fn tc_message(
    attempt: &str,
    link: &Link,
    handle: u32,
    parent: u32,
    info: u32,
    list: Vec<Rtattr<Tca, Buffer>>,
) -> Result<Tcmsg, NetlinkError> {
    TcmsgBuilder::default()
        .tcm_family(0)
        .tcm_ifindex(link.index)
        .tcm_handle(handle)
        .tcm_parent(parent)
        .tcm_info(info)
        .rtattrs(attributes(list))
        .build()
        .map_err(|error| encoding(attempt, &error))
}

//! Traffic control (tc(8)): a classic BPF program that decides on each frame that arrives from an
//! interface, and a way round for those that it lets pass.
//!
//! Such a filter belongs to the interface: it disappears with it, and no reload of any firewall
//! touches it.

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
    traffic_control::{is_absent, kind_of, read, tc_message},
};
use crate::nfnetlink::message;

// linux/pkt_sched.h
const TC_H_CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const CLSACT_INGRESS: u32 = 0xffff_fff2;
// linux/pkt_cls.h
const TCA_BPF_ACT: u16 = 1;
const TCA_BPF_OPS_LEN: u16 = 4;
const TCA_BPF_OPS: u16 = 5;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TC_ACT_STOLEN: u32 = 4;
// linux/tc_act/tc_mirred.h
const TCA_MIRRED_PARMS: u16 = 2;
const TCA_EGRESS_REDIR: u32 = 1;
/// The first of an attribute's list of actions.
const FIRST_ACTION: u16 = 1;
/// Offset of `ifindex` in `struct tc_mirred`.
const MIRRED_INDEX: usize = 24;

/// A place for a filter of ours: each has a fixed handle, so that setting one again replaces it in
/// one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    /// Before any that an integrator adds with tc(8)'s automatic numbers (from 49152).
    priority: u32,
    handle: u32,
}

/// Decides on frames.
const VERDICT: Place = Place {
    priority: 1,
    handle: 1,
};
/// Redirects what the first one lets pass.
const REDIRECT: Place = Place {
    priority: 2,
    handle: 1,
};

/// What of ours is at an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct IngressFilters {
    /// A program decides on frames.
    pub verdict: bool,
    /// Index of the interface to which frames are redirected.
    pub redirect: Option<i32>,
}

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

/// Takes every frame: the return value of a program that is no verdict itself.
const EVERY: Instruction = Instruction {
    code: 0x06,
    jt: 0,
    jf: 0,
    k: u32::MAX,
};

impl Netlink {
    /// Puts a program on an interface, in place of the one that is there. It runs for each frame
    /// that arrives there (from the other end, for a veth) and returns a TC_ACT_ value (2 drops, -1
    /// lets the next filter decide, and passes without one).
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_NEWQDISC and RTM_NEWTFILTER of rtnetlink(7); needs
    /// CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_ACT and CONFIG_NET_CLS_BPF.
    pub fn set_filter(&self, link: &Link, program: &[Instruction]) -> Result<(), NetlinkError> {
        let attempt = format!("filter the frames of {} (clsact, cls_bpf)", link.name);
        let kind = attribute(&attempt, Tca::Kind, &c_string("clsact"))?;
        let index = link.index;
        let message = tc_message(&attempt, index, CLSACT_HANDLE, TC_H_CLSACT, 0, vec![kind])?;
        match self.request(&attempt, Rtm::Newqdisc, NlmF::CREATE | NlmF::EXCL, message) {
            Ok(()) => {}
            Err(error) if error.errno() == Some(libc::EEXIST) => {}
            Err(error) => return Err(error),
        }
        let flags = TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes();
        let extra = attribute(&attempt, TCA_BPF_FLAGS, &flags)?;
        self.put(&attempt, link, VERDICT, program, extra)
    }

    /// Sends the frames that the filter of an interface lets pass out at `to`, an interface that
    /// brings them back (ifb), in place of where they were sent before.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_NEWTFILTER of rtnetlink(7); ENOENT without
    /// CONFIG_NET_ACT_MIRRED.
    pub fn redirect(&self, link: &Link, to: &Link) -> Result<(), NetlinkError> {
        let attempt = format!("redirect the frames of {} to {}", link.name, to.name);
        // struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex.
        let mut parameters = Vec::with_capacity(MIRRED_INDEX + 4);
        for number in [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR] {
            parameters.extend(number.to_ne_bytes());
        }
        parameters.extend(to.index.to_ne_bytes());
        let holding = |kind, inner: &[Rtattr<u16, Buffer>]| {
            let mut outer = attribute(&attempt, kind, &[])?;
            for one in inner {
                outer = outer
                    .nest(one)
                    .map_err(|error| encoding(&attempt, &error))?;
            }
            Ok::<_, NetlinkError>(outer)
        };
        let parameters = attribute(&attempt, TCA_MIRRED_PARMS, &parameters)?;
        let kind = attribute(&attempt, TCA_ACT_KIND, &c_string("mirred"))?;
        let action = [kind, holding(TCA_ACT_OPTIONS, &[parameters])?];
        let action = holding(TCA_BPF_ACT, &[holding(FIRST_ACTION, &action)?])?;
        self.put(&attempt, link, REDIRECT, &[EVERY], action)
    }

    /// Ends what [`Netlink::redirect`] began; a repeat changes nothing.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_DELTFILTER of rtnetlink(7).
    pub fn end_redirect(&self, link: &Link) -> Result<(), NetlinkError> {
        let attempt = format!("no longer redirect the frames of {}", link.name);
        let (handle, info) = (REDIRECT.handle, info(REDIRECT));
        let message = tc_message(
            &attempt,
            link.index,
            handle,
            CLSACT_INGRESS,
            info,
            Vec::new(),
        )?;
        match self.request(&attempt, Rtm::Deltfilter, NlmF::empty(), message) {
            Err(error) if !is_absent(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Our filters at an interface.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_GETTFILTER of rtnetlink(7).
    pub(crate) fn filters(&self, link: &Link) -> Result<IngressFilters, NetlinkError> {
        let attempt = format!("list the filters of {}", link.name);
        let message = tc_message(&attempt, link.index, 0, CLSACT_INGRESS, 0, Vec::new())?;
        let bodies = match self.query(&attempt, Rtm::Gettfilter, NlmF::DUMP, message) {
            Ok(bodies) => bodies,
            // No clsact, or no such interface any more.
            Err(error) if is_absent(&error) => return Ok(IngressFilters::default()),
            Err(error) => return Err(error),
        };
        let mut filters = IngressFilters::default();
        for body in &bodies {
            let message = read(&attempt, body)?;
            if kind_of(&message) != "bpf" || *message.tcm_handle() != VERDICT.handle {
                continue;
            }
            let priority = message.tcm_info() >> 16;
            if priority == VERDICT.priority {
                filters.verdict = true;
            } else if priority == REDIRECT.priority {
                let handle = message.rtattrs().get_attr_handle();
                let options = handle.get_attribute(Tca::Options);
                filters.redirect =
                    options.and_then(|options| target_of(options.rta_payload().as_ref()));
            }
        }
        Ok(filters)
    }

    /// Puts a program in its place; `extra` is an attribute beside it.
    fn put(
        &self,
        attempt: &str,
        link: &Link,
        place: Place,
        program: &[Instruction],
        extra: Rtattr<u16, Buffer>,
    ) -> Result<(), NetlinkError> {
        let length = u16::try_from(program.len()).map_err(|error| encoding(attempt, &error))?;
        let mut operations = Vec::with_capacity(program.len() * 8);
        for one in program {
            operations.extend_from_slice(&one.code.to_ne_bytes());
            operations.extend_from_slice(&[one.jt, one.jf]);
            operations.extend_from_slice(&one.k.to_ne_bytes());
        }
        let mut options: Rtattr<Tca, Buffer> = attribute(attempt, Tca::Options, &[])?;
        for inner in [
            attribute(attempt, TCA_BPF_OPS_LEN, &length.to_ne_bytes())?,
            attribute(attempt, TCA_BPF_OPS, &operations)?,
            extra,
        ] {
            options = options
                .nest(&inner)
                .map_err(|error| encoding(attempt, &error))?;
        }
        let kind = attribute(attempt, Tca::Kind, &c_string("bpf"))?;
        let message = tc_message(
            attempt,
            link.index,
            place.handle,
            CLSACT_INGRESS,
            info(place),
            vec![kind, options],
        )?;
        self.request(attempt, Rtm::Newtfilter, NlmF::CREATE, message)
    }
}

/// tcm_info holds the priority above the protocol in network order; ETH_P_ALL is 3.
fn info(place: Place) -> u32 {
    place.priority << 16 | u32::from(3u16.to_be())
}

/// The interface that the options of a filter redirect to.
fn target_of(options: &[u8]) -> Option<i32> {
    let action = message::attribute(message::attribute(options, TCA_BPF_ACT)?, FIRST_ACTION)?;
    let mirred = message::attribute(action, TCA_ACT_OPTIONS)?;
    let parameters = message::attribute(mirred, TCA_MIRRED_PARMS)?;
    let index = parameters.get(MIRRED_INDEX..)?.first_chunk()?;
    Some(i32::from_ne_bytes(*index))
}

//! User, groups, capabilities.

use rustix::{
    io::Errno,
    process::{DumpableBehavior, Gid, Uid},
    thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets},
};

use super::error::{SandboxError, step};

/// Users that the proxy is on the buses. A bus judges a connection by the user who made it, and
/// most session buses let only their owner in, so there may be two, between which the process can
/// switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The real user, used for the system bus.
    pub system_uid: u32,
    /// The saved user, used for the session bus.
    pub session_uid: u32,
    /// The only group.
    pub gid: u32,
}

/// Capabilities that a later kernel adds are dropped by the sets, which are emptied as a whole.
const LAST_CAPABILITY: u32 = 63;

pub(super) fn drop(identity: &Identity) -> Result<(), SandboxError> {
    // Where we already are who we shall be, and nobody special, there is nothing to drop.
    let privileged = step("capabilities", rustix::thread::capabilities(None))?
        .permitted
        .contains(CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::SETPCAP);
    if privileged {
        for number in 0..=LAST_CAPABILITY {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            match rustix::thread::remove_capability_from_bounding_set(capability) {
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => return step("capability bounding set", Err(error)),
            }
        }
        // Being user 0 means nothing any more, also after switching to it.
        let bits = CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
        step(
            "securebits",
            rustix::thread::set_capabilities_secure_bits(bits),
        )?;
        let gid = Gid::from_raw(identity.gid);
        step(
            "supplementary groups",
            rustix::thread::set_thread_groups(&[]),
        )?;
        step("group", rustix::thread::set_thread_res_gid(gid, gid, gid))?;
        let [system, session] = [identity.system_uid, identity.session_uid].map(Uid::from_raw);
        step(
            "user",
            rustix::thread::set_thread_res_uid(system, system, session),
        )?;
    }
    let user = rustix::process::getuid().as_raw();
    if [identity.system_uid, identity.session_uid]
        .iter()
        .any(|&uid| uid != user)
        && !privileged
    {
        return step("user", Err(Errno::PERM));
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    step("capabilities", rustix::thread::set_capabilities(None, none))?;
    step("no_new_privs", rustix::thread::set_no_new_privs(true))?;
    // Others of the same user may not look inside.
    step(
        "dumpable",
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable),
    )
}

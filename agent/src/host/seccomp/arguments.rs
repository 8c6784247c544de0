//! What apps may not call with certain arguments, unless manifests open it.

use libseccomp::{
    ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall, error::SeccompError,
};
use softwarecontainer_capability::privilege::SystemCall;

use super::{
    allowed::Allowed,
    error::FilterError,
    program::{Machine, export},
    raw_icmp,
};

/// New user, PID, network and IPC namespaces: what browsers' and others' sandboxes are made of.
const NAMESPACES: [libc::c_int; 4] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
];
/// A call that no kernel has any more (nfsservctl(2)), and every instruction set has a number for.
///
/// libseccomp 2.5 leaves out the load of the call's number where a long program begins with a call
/// whose arguments count, and lets everything pass then. Whole calls come first in a program, so
/// there has to be one.
const OBSOLETE: &str = "nfsservctl";
/// The argument of personality(2) that only asks.
const ASK_PERSONALITY: u64 = 0xffff_ffff;

/// The filter; if no `listed` calls decide, with whole calls that only manifests open.
pub(super) fn compile(
    machine: Machine,
    allowed: &Allowed,
    listed: bool,
) -> Result<Vec<u8>, FilterError> {
    let failed = |call: Option<SystemCall>| {
        let call = call.map(|call| call.name().to_owned());
        move |source| FilterError::Compile { call, source }
    };
    let mut filter =
        Machine::filter(ScmpAction::Allow, machine.architectures()).map_err(failed(None))?;
    // What to do with programs for other instruction sets is up to the other filters.
    filter
        .set_act_badarch(ScmpAction::Allow)
        .map_err(failed(None))?;
    let obsolete = ScmpSyscall::from_name(OBSOLETE).map_err(failed(None))?;
    filter
        .add_rule(ScmpAction::Errno(libc::ENOSYS), obsolete)
        .map_err(failed(None))?;
    for &call in SystemCall::ALL
        .iter()
        .filter(|call| !allowed.system_calls.contains(call))
        .filter(|call| !listed || depends_on_arguments(**call))
    {
        refuse(&mut filter, call).map_err(failed(Some(call)))?;
    }
    if allowed.raw_icmp {
        raw_icmp::restrict(&mut filter).map_err(failed(None))?;
    }
    export(&filter)
}

/// Whether apps may make a call, but not with all arguments.
pub(super) fn depends_on_arguments(call: SystemCall) -> bool {
    matches!(
        call,
        SystemCall::Clone | SystemCall::Unshare | SystemCall::Personality
    )
}

fn refuse(filter: &mut ScmpFilterContext, call: SystemCall) -> Result<(), SeccompError> {
    let number = match ScmpSyscall::from_name(call.name()) {
        Ok(number) => number,
        Err(error) => {
            // As liblxc does with names in profiles that are newer than libseccomp.
            log::warn!(
                "this libseccomp does not know {} and cannot refuse it: {error}",
                call.name()
            );
            return Ok(());
        }
    };
    let action = ScmpAction::Errno(libc::EPERM);
    let mut first_argument = |operation, value| {
        let condition = ScmpArgCompare::new(0, operation, value);
        filter
            .add_rule_conditional(action, number, &[condition])
            .map(drop)
    };
    match call {
        SystemCall::Clone | SystemCall::Unshare => {
            for flag in NAMESPACES {
                let flag = u64::from(flag.cast_unsigned());
                first_argument(ScmpCompareOp::MaskedEqual(flag), flag)?;
            }
            Ok(())
        }
        SystemCall::Personality => {
            first_argument(ScmpCompareOp::Less, ASK_PERSONALITY)?;
            first_argument(ScmpCompareOp::Greater, ASK_PERSONALITY)
        }
        _ => filter.add_rule(action, number).map(drop),
    }
}

//! The list of system calls that apps may make.
//!
//! A call that is not on it gets ENOSYS, or the error that the profile has for it. Where the kernel
//! can, the container's init gives that answer (seccomp_unotify(2)) and tells the agent once for
//! each app and call: it costs nobody but the container, and no app can fill the host's log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use libseccomp::{ScmpAction, ScmpArch, ScmpSyscall};
use softwarecontainer_capability::privilege::SystemCall;
use softwarecontainer_init::{Answer, Call, CallFilter};

use super::{
    allowed::SeccompFile,
    arguments::depends_on_arguments,
    error::FilterError,
    program::{Machine, export},
};
use crate::host::user_namespace;

/// The list that is installed, for an agent that is run where it is not.
const OWN: &str = include_str!("../../../seccomp/softwarecontainer.calls");
/// libseccomp's level that has notifications (seccomp_api_get(3)).
const API_WITH_NOTIFICATIONS: u32 = 5;
/// The first kernel that tells a listener when nobody is left whom it would hear of.
const FIRST_KERNEL: (u32, u32) = (5, 9);
/// What makes libseccomp sort a program's instructions as a tree (seccomp_attr_set(3)).
const TREE: u32 = 2;

/// The list of system calls that apps may make.
#[derive(Debug)]
pub struct CallList {
    names: BTreeSet<String>,
    /// The errnos of calls that are not on it; ENOSYS for all others.
    answers: BTreeMap<String, i32>,
    /// Whether inits answer.
    listen: bool,
}

impl CallList {
    /// Reads the list, if there is to be one.
    ///
    /// # Errors
    /// [`FilterError::Read`].
    pub fn read(file: &SeccompFile) -> Result<Option<Self>, FilterError> {
        Ok(match file {
            SeccompFile::Off => None,
            SeccompFile::Default => Some(Self::parse(OWN)),
            SeccompFile::File(path) => {
                let text = fs::read_to_string(path).map_err(|source| FilterError::Read {
                    path: path.clone(),
                    source,
                })?;
                Some(Self::parse(&text))
            }
        })
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split('#').next());
        let names = lines.flat_map(str::split_whitespace).map(str::to_owned);
        let kernel = user_namespace::kernel_version();
        Self {
            names: names.collect(),
            answers: BTreeMap::new(),
            listen: libseccomp::get_api() >= API_WITH_NOTIFICATIONS
                && kernel.is_some_and(|kernel| kernel >= FIRST_KERNEL),
        }
    }

    /// Whether a call is on it.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The errnos of calls that are not on it.
    pub(super) fn answer(&mut self, answers: BTreeMap<String, i32>) {
        self.answers = answers;
    }

    /// The filter that lets pass what is on the list and what manifests have `opened`.
    pub(super) fn compile(
        &self,
        machine: Machine,
        opened: &BTreeSet<SystemCall>,
    ) -> Result<CallFilter, FilterError> {
        let failed = |call: Option<&str>| {
            let call = call.map(str::to_owned);
            move |source| FilterError::Compile { call, source }
        };
        let otherwise = if self.listen {
            ScmpAction::Notify
        } else {
            ScmpAction::Errno(libc::ENOSYS)
        };
        let mut filter = Machine::filter(otherwise, with_calls(machine)).map_err(failed(None))?;
        // Instruction sets that the machine has and nobody needs.
        filter
            .set_act_badarch(ScmpAction::Errno(libc::ENOSYS))
            .and_then(|filter| filter.set_ctl_optimize(TREE))
            .map_err(failed(None))?;
        let opened: BTreeSet<_> = opened.iter().map(|call| call.name()).collect();
        for name in self
            .names
            .iter()
            .map(String::as_str)
            .chain(opened.iter().copied())
        {
            // One that this libseccomp does not know gets the answer of all others.
            if let Ok(call) = ScmpSyscall::from_name(name) {
                filter
                    .add_rule(ScmpAction::Allow, call)
                    .map_err(failed(Some(name)))?;
            }
        }
        let answers = self.refusals(&opened);
        if !self.listen {
            for (name, errno) in &answers {
                if let Ok(call) = ScmpSyscall::from_name(name) {
                    filter
                        .add_rule(ScmpAction::Errno(*errno), call)
                        .map_err(failed(Some(name)))?;
                }
            }
        }
        Ok(CallFilter {
            program: export(&filter)?,
            listen: self.listen,
            answers: answers
                .iter()
                .flat_map(|(name, errno)| numbers(machine, name, *errno))
                .collect(),
        })
    }

    /// Calls that do not get ENOSYS, with what they get.
    fn refusals(&self, opened: &BTreeSet<&str>) -> BTreeMap<&str, i32> {
        let by_manifest = SystemCall::ALL
            .iter()
            .filter(|call| !depends_on_arguments(**call))
            .map(|call| (call.name(), libc::EPERM));
        let by_profile = self
            .answers
            .iter()
            .map(|(name, errno)| (name.as_str(), *errno));
        by_manifest
            .chain(by_profile)
            .filter(|(name, _)| !self.has(name) && !opened.contains(name))
            .collect()
    }
}

/// Of a machine's instruction sets those that apps may use. x32 is not: no distribution's programs
/// are made for it.
fn with_calls(machine: Machine) -> impl Iterator<Item = ScmpArch> {
    machine.architectures().filter(|one| *one != ScmpArch::X32)
}

fn is_32_bit(architecture: ScmpArch) -> bool {
    matches!(architecture, ScmpArch::X86 | ScmpArch::Arm)
}

/// A call's numbers, with the errno to answer.
fn numbers(machine: Machine, name: &str, errno: i32) -> Vec<Answer> {
    let number = |one| {
        let call = ScmpSyscall::from_name_by_arch(name, one).ok()?;
        // Negative where the instruction set does not have it.
        let number = u32::try_from(i32::from(call)).ok()?;
        Some(Answer {
            call: Call::new(number, is_32_bit(one)),
            errno,
        })
    };
    with_calls(machine).filter_map(number).collect()
}

/// What a call is called.
#[must_use]
pub fn name(call: Call) -> String {
    let architecture = with_calls(Machine::own()).find(|one| is_32_bit(*one) == call.is_32_bit());
    let number = i32::try_from(call.number()).ok();
    architecture
        .zip(number)
        .and_then(|(one, number)| ScmpSyscall::from(number).get_name_by_arch(one).ok())
        .unwrap_or_else(|| format!("system call {}", call.number()))
}

//! Filters on the system calls of apps (seccomp(2)), by what manifests may open.
//!
//! What no manifest may open is in the profile that LXC loads when a container starts. That profile
//! holds for the container's init, too; the filters here are put on top of it for each process that
//! the init starts.

mod raw_icmp;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
    error::SeccompError,
};
use softwarecontainer_capability::privilege::SystemCall;

/// Which system calls containers are kept from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SeccompProfile {
    /// Those of the installed profile, or, where none is installed, of the agent's own copy.
    #[default]
    Default,
    /// None.
    Off,
    /// Those of the profile in this file.
    File(PathBuf),
}

/// New user, PID, network and IPC namespaces: what browsers' and others' sandboxes are made of.
const NAMESPACES: [libc::c_int; 4] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
];
/// The argument of personality(2) that only asks.
const ASK_PERSONALITY: u64 = 0xffff_ffff;
/// The instruction sets whose programs a machine of the first one runs, too.
const COMPATIBLE: [(ScmpArch, &[ScmpArch]); 2] = [
    (ScmpArch::X8664, &[ScmpArch::X86, ScmpArch::X32]),
    (ScmpArch::Aarch64, &[ScmpArch::Arm]),
];

/// Why there is no filter.
#[derive(Debug)]
#[non_exhaustive]
pub enum FilterError {
    /// libseccomp refused something.
    Compile {
        /// The system call that was at hand, if one was.
        call: Option<SystemCall>,
        /// Why.
        source: SeccompError,
    },
    /// The program could not be taken from libseccomp.
    Export(io::Error),
    /// The profile for LXC could not be written.
    Profile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot make a filter of system calls")?;
        match self {
            Self::Compile {
                call: Some(call),
                source,
            } => write!(f, " with {}: {source}", call.name()),
            Self::Compile { call: None, source } => write!(f, ": {source}"),
            Self::Export(source) => write!(f, ": {source}"),
            Self::Profile { path, source } => {
                write!(f, ": cannot write {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for FilterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Compile { source, .. } => Some(source),
            Self::Export(source) | Self::Profile { source, .. } => Some(source),
        }
    }
}

/// The profile that is installed, for an agent that is run where it is not.
const OWN_PROFILE: &str = include_str!("../../seccomp/softwarecontainer.seccomp");

/// The file with the profile that LXC is to load, if there is to be one. The agent's own copy is
/// written to `directory`.
///
/// # Errors
/// [`FilterError::Profile`].
pub fn profile_file(
    profile: &SeccompProfile,
    directory: &Path,
) -> Result<Option<PathBuf>, FilterError> {
    match profile {
        SeccompProfile::Off => Ok(None),
        SeccompProfile::File(path) => Ok(Some(path.clone())),
        SeccompProfile::Default => {
            let path = directory.join("seccomp.profile");
            fs::write(&path, OWN_PROFILE).map_err(|source| FilterError::Profile {
                path: path.clone(),
                source,
            })?;
            Ok(Some(path))
        }
    }
}

/// What a filter leaves open.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    /// System calls that manifests have opened.
    pub system_calls: BTreeSet<SystemCall>,
    /// The process has CAP_NET_RAW for ICMP only.
    pub raw_icmp: bool,
}

impl Allowed {
    /// Whether there are ways to sockets that no filter sees.
    #[must_use]
    pub fn bypasses_filters(&self) -> bool {
        self.system_calls.contains(&SystemCall::IoUringSetup)
    }
}

/// All filters that were needed so far, each compiled once.
#[derive(Debug)]
pub struct Filters {
    enabled: bool,
    compiled: Mutex<BTreeMap<Allowed, Arc<[u8]>>>,
}

impl Filters {
    /// Without any filter yet; if not `enabled` there will be none.
    pub fn new(enabled: bool) -> Self {
        Self {
            enabled,
            compiled: Mutex::default(),
        }
    }

    /// Whether processes get filters at all.
    #[must_use]
    pub fn are_enabled(&self) -> bool {
        self.enabled
    }

    /// The BPF program, in the kernel's form, that refuses whatever a manifest may open but
    /// `allowed`; empty if there are to be no filters.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn get(&self, allowed: &Allowed) -> Result<Arc<[u8]>, FilterError> {
        if !self.enabled {
            return Ok(Arc::default());
        }
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = compiled.get(allowed) {
            return Ok(program.clone());
        }
        let program: Arc<[u8]> = compile(allowed)?.into();
        compiled.insert(allowed.clone(), program.clone());
        Ok(program)
    }
}

fn compile(allowed: &Allowed) -> Result<Vec<u8>, FilterError> {
    let failed = |call| move |source| FilterError::Compile { call, source };
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow).map_err(failed(None))?;
    // What to do with programs for other instruction sets is up to the container's profile.
    filter
        .set_act_badarch(ScmpAction::Allow)
        .map_err(failed(None))?;
    let native = ScmpArch::native();
    for (_, others) in COMPATIBLE.iter().filter(|(first, _)| *first == native) {
        for &other in *others {
            filter.add_arch(other).map_err(failed(None))?;
        }
    }
    for &call in SystemCall::ALL
        .iter()
        .filter(|call| !allowed.system_calls.contains(call))
    {
        refuse(&mut filter, call).map_err(failed(Some(call)))?;
    }
    if allowed.raw_icmp {
        raw_icmp::restrict(&mut filter).map_err(failed(None))?;
    }
    export(&filter)
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

/// libseccomp before 2.6 writes programs to files only.
fn export(filter: &ScmpFilterContext) -> Result<Vec<u8>, FilterError> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create(c"filter", flags);
    let mut file = File::from(file.map_err(|errno| FilterError::Export(errno.into()))?);
    filter
        .export_bpf(&file)
        .map_err(|source| FilterError::Compile { call: None, source })?;
    let mut program = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut program))
        .map_err(FilterError::Export)?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(calls: &[SystemCall]) -> Allowed {
        Allowed {
            system_calls: calls.iter().copied().collect(),
            raw_icmp: false,
        }
    }

    #[test]
    fn a_filter_is_whole_instructions_and_compiled_once() {
        let filters = Filters::new(true);
        let default = filters.get(&Allowed::default()).unwrap();
        assert!(!default.is_empty());
        assert_eq!(default.len() % 8, 0);
        assert!(Arc::ptr_eq(
            &default,
            &filters.get(&Allowed::default()).unwrap()
        ));
        let wider = filters.get(&opened(&[SystemCall::Ptrace])).unwrap();
        assert!(wider.len() < default.len());
        assert!(!Arc::ptr_eq(&default, &wider));
    }

    #[test]
    fn every_system_call_makes_a_difference() {
        let filters = Filters::new(true);
        let default = filters.get(&Allowed::default()).unwrap();
        for &call in SystemCall::ALL {
            assert_ne!(
                filters.get(&opened(&[call])).unwrap(),
                default,
                "{}",
                call.name()
            );
        }
    }

    #[test]
    fn raw_icmp_is_a_filter_of_its_own() {
        let filters = Filters::new(true);
        let raw_icmp = Allowed {
            raw_icmp: true,
            ..Allowed::default()
        };
        let longer = filters.get(&raw_icmp).unwrap().len();
        assert!(longer > filters.get(&Allowed::default()).unwrap().len());
    }

    #[test]
    fn switched_off_there_is_none() {
        assert!(
            Filters::new(false)
                .get(&Allowed::default())
                .unwrap()
                .is_empty()
        );
    }
}

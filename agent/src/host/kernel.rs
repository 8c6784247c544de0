//! What the running kernel lacks of what containers need, found without a process and without a
//! wait.
//!
//! The options are those of the Yocto layer's kernel fragments; a test keeps the two in step.
//! Nothing is said of what cannot be known, such as what is built into a kernel that has no list of
//! it.

mod needs;
mod probe;

use std::fmt;

use needs::{NEEDS, Need};
use probe::Kernel;

/// Something that the kernel lacks.
#[derive(Debug, Clone, Copy)]
pub struct Lack(&'static Need);

impl Lack {
    /// Whether containers cannot be created without it, at least those with a write buffer.
    #[must_use]
    pub fn is_vital(&self) -> bool {
        self.0.vital
    }

    /// The kernel's options that bring it; one of them is enough.
    #[must_use]
    pub fn options(&self) -> String {
        self.0.options.join(" or ")
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, needed for {}", self.options(), self.0.purpose)?;
        match self.0.evidence.hint() {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// What the running kernel lacks.
#[must_use]
pub fn lacking() -> Vec<Lack> {
    lacking_by(&Kernel::of_the_running_kernel())
}

fn lacking_by(kernel: &Kernel) -> Vec<Lack> {
    let lacks = |need: &&Need| kernel.has(&need.evidence) == Some(false);
    NEEDS.iter().filter(lacks).map(Lack).collect()
}

/// What to add to the message of a container that could not be created, if the kernel may be the
/// reason.
#[must_use]
pub fn explanation(lacks: &[Lack]) -> Option<String> {
    let vital: Vec<_> = lacks
        .iter()
        .filter(|lack| lack.is_vital())
        .map(Lack::options)
        .collect();
    (!vital.is_empty()).then(|| format!("the kernel lacks {}", vital.join(", ")))
}

#[cfg(test)]
mod tests;

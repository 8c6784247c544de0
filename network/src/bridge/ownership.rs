//! How a bridge of ours is known again: a text on the interface itself, which lives exactly as long
//! as it does.

use std::fmt;

use crate::{
    firewall::Family,
    netlink::Link,
    sysctl::{self, SysctlError},
};

const TAG: &str = "softwarecontainer-agent";

/// The switches of forwarding by family, in the order of [`Ownership`].
pub(super) const FORWARDING: [(Family, &str); 2] = [
    (Family::V4, "net/ipv4/ip_forward"),
    (Family::V6, "net/ipv6/conf/all/forwarding"),
];

/// Says that an agent made a bridge, and what the forwarding switches were before it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ownership {
    /// `None`: the switch was not touched.
    before: [Option<bool>; 2],
}

impl Ownership {
    /// A mark for a bridge to be made now.
    pub(super) fn current(families: &[Family]) -> Result<Self, SysctlError> {
        let mut before = [None; 2];
        for (slot, (family, name)) in before.iter_mut().zip(FORWARDING) {
            if families.contains(&family) {
                *slot = Some(sysctl::read(name)? != "0");
            }
        }
        Ok(Self { before })
    }

    /// The mark on an interface.
    pub(super) fn of(link: &Link) -> Option<Self> {
        Self::parse(link.alias.as_deref()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some(TAG) {
            return None;
        }
        let mut before = [None; 2];
        for word in words {
            for (slot, (_, name)) in before.iter_mut().zip(FORWARDING) {
                match word.strip_prefix(name) {
                    Some("=0") => *slot = Some(false),
                    Some("=1") => *slot = Some(true),
                    _ => {}
                }
            }
        }
        Some(Self { before })
    }

    /// This mark, with what `other` knows of the time before: a switch that was off before either
    /// bridge was made was off.
    pub(super) fn earlier(&self, other: &Self) -> Self {
        let mut before = self.before;
        for (slot, other) in before.iter_mut().zip(other.before) {
            *slot = match (*slot, other) {
                (Some(a), Some(b)) => Some(a && b),
                (a, b) => a.or(b),
            };
        }
        Self { before }
    }

    /// Switches back off what was off.
    pub(super) fn restore(&self) -> Result<(), SysctlError> {
        for (before, (_, name)) in self.before.iter().zip(FORWARDING) {
            if *before == Some(false) {
                sysctl::write(name, "0")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TAG)?;
        for (before, (_, name)) in self.before.iter().zip(FORWARDING) {
            if let Some(on) = before {
                write!(f, " {name}={}", u8::from(*on))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_as_it_was_written() {
        for before in [[None, None], [Some(false), None], [Some(true), Some(false)]] {
            let mark = Ownership { before };
            assert_eq!(Ownership::parse(&mark.to_string()), Some(mark));
        }
    }

    #[test]
    fn texts_of_others_are_no_marks() {
        assert_eq!(Ownership::parse(""), None);
        assert_eq!(
            Ownership::parse("softwarecontainer-agents net/ipv4/ip_forward=0"),
            None
        );
    }

    #[test]
    fn a_switch_that_was_off_before_either_bridge_was_off() {
        let first = Ownership {
            before: [Some(false), None],
        };
        let second = Ownership {
            before: [Some(true), Some(true)],
        };
        assert_eq!(second.earlier(&first).before, [Some(false), Some(true)]);
    }
}

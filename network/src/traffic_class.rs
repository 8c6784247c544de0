//! Classes of network packets, as tc(8) and iptables' CLASSIFY have them.

use std::fmt;

/// A class: the upper half of the number is that of a queueing discipline, the lower half that of a
/// class in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficClass(pub u32);

/// `major:minor` in hexadecimal.
impl fmt::Display for TrafficClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{:x}", self.0 >> 16, self.0 & 0xffff)
    }
}

//! Whether the kernel's log tells what containers may not send or receive.
//!
//! Rules in a container say what is to be logged; whether the kernel does so for any network
//! namespace but the first is one switch for all of them.

use softwarecontainer_capability::error_chain::Chain;

use crate::sysctl;

/// Documentation/networking/netfilter-sysctl.rst of the kernel.
const SWITCH: &str = "net/netfilter/nf_log_all_netns";

/// Switches it on if that is wanted, and otherwise says in the log if it is off.
pub fn log_refused_packets(wanted: bool) {
    match (sysctl::read(SWITCH), wanted) {
        (Ok(value), true) if value == "0" => match sysctl::write(SWITCH, "1") {
            Ok(()) => log::info!("the kernel's log tells what containers may not send or receive"),
            Err(error) => log::warn!("log-refused: {}", Chain(&error)),
        },
        (Err(error), true) => log::warn!("log-refused: {}", Chain(&error)),
        (Ok(value), false) if value == "0" => log::info!(
            "the kernel's log does not tell what containers may not send or receive: \
             net.netfilter.nf_log_all_netns is 0, and log-refused is not set"
        ),
        _ => {}
    }
}

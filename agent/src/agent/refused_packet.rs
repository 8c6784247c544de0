//! What the kernel's log says of packets that containers may not send or receive.

use std::net::IpAddr;

/// A packet that rules of a container refuse.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RefusedPacket {
    /// The container's ID, as its rules name it.
    pub(super) container: i32,
    /// The address of the container.
    pub(super) own: IpAddr,
    /// What it was.
    pub(super) what: String,
}

impl RefusedPacket {
    /// From a line such as `SC-0 OUTGOING: IN= OUT=eth0 SRC=… DST=… PROTO=TCP SPT=… DPT=443`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (prefix, fields) = line.strip_prefix("SC-")?.split_once(": ")?;
        let (id, direction) = prefix.split_once(' ')?;
        let value = |key: &str| {
            let mut fields = fields.split(' ');
            fields.find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
        };
        let address = |key: &str| value(key)?.parse::<IpAddr>().ok();
        let (source, destination) = (address("SRC")?, address("DST")?);
        let protocol = value("PROTO")?.to_lowercase();
        let port = value("DPT").and_then(|port| port.parse::<u16>().ok());
        let port = port.map_or_else(String::new, |port| format!(" port {port}"));
        let (own, what) = match direction {
            "OUTGOING" => (
                source,
                format!("outgoing {protocol} to {destination}{port}"),
            ),
            "INCOMING" => {
                let to = if port.is_empty() { "" } else { " to" };
                (
                    destination,
                    format!("incoming {protocol} from {source}{to}{port}"),
                )
            }
            _ => return None,
        };
        Some(Self {
            container: id.parse().ok()?,
            own,
            what,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_says_which_rule_lacks() {
        let line = "SC-7 OUTGOING: IN= OUT=eth0 SRC=10.0.3.9 DST=192.0.2.7 LEN=60 TOS=0x00 PREC=0x00 \
                    TTL=64 ID=1 DF PROTO=TCP SPT=40000 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0";
        let expected = RefusedPacket {
            container: 7,
            own: "10.0.3.9".parse().unwrap(),
            what: "outgoing tcp to 192.0.2.7 port 443".to_owned(),
        };
        assert_eq!(RefusedPacket::parse(line), Some(expected));
        let line =
            "SC-7 INCOMING: IN=eth0 OUT= MAC=01 SRC=fd00::1 DST=fd00::2 PROTO=ICMPv6 TYPE=128";
        let parsed = RefusedPacket::parse(line).unwrap();
        assert_eq!(parsed.what, "incoming icmpv6 from fd00::1");
        assert_eq!(parsed.own.to_string(), "fd00::2");
    }

    #[test]
    fn other_lines_say_nothing() {
        for line in [
            "",
            "SC-7 OUTGOING: ",
            "SC-x OUTGOING: SRC=10.0.3.9 DST=1.2.3.4 PROTO=TCP",
            "SC-7 SIDEWAYS: SRC=10.0.3.9 DST=1.2.3.4 PROTO=TCP",
            "SC-7 OUTGOING: SRC=10.0.3.9 DST=somewhere PROTO=TCP",
            "usb 1-1: new device",
        ] {
            assert_eq!(RefusedPacket::parse(line), None, "{line}");
        }
    }
}

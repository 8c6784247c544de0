//! How fast a container is: the host shapes what it sends and receives, at the host's end of its
//! veth pair, where no app can change anything.
//!
//! What it receives leaves the host by that interface, and waits in a token bucket there. What it
//! sends arrives there, where nothing can wait; so it takes a way round, over an interface of its
//! own (ifb) with a token bucket, and comes back at the same place.

use std::collections::BTreeMap;

use softwarecontainer_capability::error_chain::Chain;

use crate::{
    error::NetworkError,
    netlink::{Link, Netlink, NetlinkError},
    network::Network,
    port::{Control, detour_name, is_detour_of},
    rate_limits::RateLimits,
};

/// What the kernel may lack: the option of its configuration, and the module.
const TOKEN_BUCKETS: (&str, &str) = ("CONFIG_NET_SCH_TBF", "sch_tbf");
const DETOURS: (&str, &str) = ("CONFIG_IFB", "ifb");
const REDIRECTION: (&str, &str) = ("CONFIG_NET_ACT_MIRRED", "act_mirred");

impl Network {
    /// Lets container `id` be as fast as `rates` say; `link` is the host's end of its veth pair.
    pub(crate) fn shape(
        &self,
        netlink: &Netlink,
        id: i32,
        link: &Link,
        rates: RateLimits,
    ) -> Result<(), NetworkError> {
        // Those of the way round are as long: nothing is cut there.
        let frame = link.longest_frame();
        match rates.ingress {
            Some(rate) => need(netlink.set_rate(link, rate, frame), TOKEN_BUCKETS)?,
            None => netlink.clear_rate(link)?,
        }
        let name = detour_name(id, self.device());
        let detour = netlink.find_link(&name)?;
        match (rates.egress, detour) {
            (None, None) => {}
            (None, Some(detour)) => {
                netlink.end_redirect(link)?;
                delete(netlink, &detour)?;
            }
            (Some(rate), detour) => {
                let detour = match detour {
                    Some(detour) => detour,
                    None => need(netlink.create_ifb(&name, &self.mark()), DETOURS)?,
                };
                netlink.set_up(&detour, true)?;
                need(netlink.set_rate(&detour, rate, frame), TOKEN_BUCKETS)?;
                need(netlink.redirect(link, &detour), REDIRECTION)?;
            }
        }
        Ok(())
    }

    /// Removes what is left of the way round of container `id`.
    pub(crate) fn remove_detour(&self, netlink: &Netlink, id: i32) -> Result<(), NetworkError> {
        match netlink.find_link(&detour_name(id, self.device()))? {
            Some(detour) => delete(netlink, &detour),
            None => Ok(()),
        }
    }

    /// Removes the ways round, among `links`, of containers that are not there any more: an agent
    /// that was killed leaves some.
    pub(crate) fn remove_orphans(&self, netlink: &Netlink, links: &[Link]) {
        let mark = self.mark();
        let of_ours = |link: &&Link| link.is_ifb() && link.alias.as_ref() == Some(&mark);
        for detour in links.iter().filter(of_ours) {
            let belongs = |other: &Link| is_detour_of(&detour.name, &other.name);
            if !links.iter().any(belongs)
                && let Err(error) = delete(netlink, detour)
            {
                log::warn!("{}", Chain(&error));
            }
        }
    }

    /// The text on a way round that tells whose it is.
    fn mark(&self) -> String {
        format!("softwarecontainer-agent {}", self.device())
    }
}

/// What there is at the ports of containers; `ports` are the host's ends of their veth pairs, and
/// `links` all interfaces.
pub(crate) fn found(
    network: &Network,
    netlink: &Netlink,
    ports: &BTreeMap<i32, Link>,
    links: &[Link],
) -> Result<BTreeMap<i32, Control>, NetlinkError> {
    if ports.is_empty() {
        return Ok(BTreeMap::new());
    }
    let disciplines = netlink.disciplines()?;
    let rate = |link: &Link| {
        let mut all = disciplines.iter();
        all.find(|one| one.index == link.index && one.root)?.rate
    };
    let mut controls = BTreeMap::new();
    for (id, link) in ports {
        let filters = netlink.filters(link)?;
        let name = detour_name(*id, network.device());
        let detour = links.iter().find(|other| other.name == name && other.up);
        let detour = detour.filter(|detour| filters.redirect == Some(detour.index));
        let control = Control {
            filtered: filters.verdict,
            rates: RateLimits {
                egress: detour.and_then(rate),
                ingress: rate(link),
            },
        };
        controls.insert(*id, control);
    }
    Ok(controls)
}

/// Names what the kernel lacks, if it does.
fn need<T>(
    outcome: Result<T, NetlinkError>,
    (option, module): (&'static str, &'static str),
) -> Result<T, NetworkError> {
    outcome.map_err(|source| match source.errno() {
        Some(libc::ENOENT | libc::EOPNOTSUPP) => NetworkError::CannotShape {
            option,
            module,
            source,
        },
        _ => source.into(),
    })
}

fn delete(netlink: &Netlink, link: &Link) -> Result<(), NetworkError> {
    match netlink.delete_link(link) {
        Err(error) if error.errno() != Some(libc::ENODEV) => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error as _, io};

    use super::*;

    fn refused(errno: i32) -> Result<(), NetlinkError> {
        Err(NetlinkError::Refused {
            attempt: "limit what sc0-lxcbr0 sends (tbf)".to_owned(),
            source: io::Error::from_raw_os_error(errno),
        })
    }

    #[test]
    fn what_the_kernel_lacks_is_named_and_other_failures_are_not_taken_for_it() {
        for errno in [libc::ENOENT, libc::EOPNOTSUPP] {
            let error = need(refused(errno), TOKEN_BUCKETS).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("CONFIG_NET_SCH_TBF"), "{text}");
            assert!(error.source().is_some());
        }
        let error = need(refused(libc::EPERM), TOKEN_BUCKETS).unwrap_err();
        assert!(!error.to_string().contains("CONFIG"), "{error}");
    }
}

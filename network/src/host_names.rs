//! Host names in rules: what they stand for, looked up outside of calls.
//!
//! A call that needs a name gets what is known of it at once, which may be nothing yet. The name
//! is then looked up by [`HostNames::follow`], again when its answer's time to live has ended and
//! when the network changes, for as long as somebody holds it.
//!
//! What a name stands for is what the host's resolver says (getaddrinfo(3)), with all that an
//! integrator has arranged there: nsswitch.conf(5), hosts(5), search domains, caches. It does not
//! tell the time to live, so that alone is then asked of the name servers.

mod message;
mod name;
mod time_to_live;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    io,
    net::{IpAddr, ToSocketAddrs as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use smol::channel::{Receiver, Sender};

use crate::subnet::Subnet;
#[cfg(test)]
use name::AGE_LIMIT;
pub use name::{HostName, NameState};

/// What a look-up has found.
enum Found {
    Addresses(io::Result<BTreeSet<IpAddr>>),
    /// How long they may be remembered.
    Lives(Duration),
}

/// All names in rules of running containers.
#[derive(Debug)]
pub struct HostNames {
    own: Vec<Subnet>,
    names: Mutex<BTreeMap<String, Weak<HostName>>>,
    wake: Sender<()>,
    woken: Receiver<()>,
}

impl HostNames {
    /// No names yet; no answer may be in one of the subnets `own`.
    #[must_use]
    pub fn new(own: impl IntoIterator<Item = Subnet>) -> Self {
        let (wake, woken) = smol::channel::bounded(1);
        Self {
            own: own.into_iter().collect(),
            names: Mutex::default(),
            wake,
            woken,
        }
    }

    /// A name, which is looked up from now on as long as the result is held.
    #[must_use]
    pub fn hold(&self, name: &str) -> Arc<HostName> {
        let mut names = self.names();
        if let Some(known) = names.get(name).and_then(Weak::upgrade) {
            return known;
        }
        let held = Arc::new(HostName::new(name));
        names.retain(|_, other| other.strong_count() > 0);
        names.insert(name.to_owned(), Arc::downgrade(&held));
        drop(names);
        self.wake();
        held
    }

    /// As [`Self::hold`], a name that an earlier agent has found to have `addresses`.
    #[must_use]
    pub fn hold_left(&self, name: &str, addresses: &BTreeSet<IpAddr>) -> Arc<HostName> {
        let held = self.hold(name);
        held.had(addresses);
        held
    }

    /// What is known of a name; `None` if no container has it in its rules.
    #[must_use]
    pub fn state_of(&self, name: &str) -> Option<NameState> {
        let held = self.names().get(name).and_then(Weak::upgrade)?;
        Some(held.known(Instant::now()))
    }

    /// Looks up all names at once: the network may answer now, or answer otherwise.
    pub fn network_changed(&self) {
        let now = Instant::now();
        for name in self.held() {
            let mut state = name.state();
            match &mut state.due {
                Some(due) => *due = now,
                None => state.again = true,
            }
        }
        self.wake();
    }

    /// Looks names up as long as it is polled, and calls `changed` when one has other addresses.
    /// Sleeps for ever while nobody holds a name.
    ///
    /// `spawn` is given one look-up at a time, each of which may block for as long as resolvers
    /// do: one name that nobody answers for does not delay others.
    pub async fn follow<S, F>(self: &Arc<Self>, spawn: S, mut changed: impl FnMut() -> F)
    where
        S: Fn(Box<dyn FnOnce() + Send>),
        F: Future<Output = ()>,
    {
        let (sender, found) = smol::channel::unbounded();
        loop {
            let now = Instant::now();
            for name in self.held() {
                if name.begin(now) {
                    let sender = sender.clone();
                    spawn(Box::new(move || {
                        // The receiver goes with the agent.
                        let tell = |found| drop(sender.try_send((name.clone(), found)));
                        let addresses = look_up(name.name());
                        let is_answered = addresses.is_ok();
                        tell(Found::Addresses(addresses));
                        // Only now: whoever waits for the addresses does not wait for this.
                        if is_answered && let Some(time) = time_to_live::of(name.name()) {
                            tell(Found::Lives(time));
                        }
                    }));
                }
            }
            let next = self.held().iter().filter_map(|name| name.state().due).min();
            let due = async {
                match next {
                    Some(due) => drop(smol::Timer::at(due).await),
                    None => std::future::pending().await,
                }
                None
            };
            let woken = async {
                // The sender is in `self`.
                let _ = self.woken.recv().await;
                None
            };
            let answered = async { found.recv().await.ok() };
            let event = smol::future::or(answered, smol::future::or(woken, due)).await;
            let Some((name, found)) = event else {
                continue;
            };
            match found {
                Found::Lives(time) => name.lives(time),
                Found::Addresses(addresses) => {
                    if name.end(addresses, &self.own, Instant::now()) {
                        drop(name);
                        changed().await;
                    }
                }
            }
        }
    }

    fn held(&self) -> Vec<Arc<HostName>> {
        self.names().values().filter_map(Weak::upgrade).collect()
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Weak<HostName>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Full: woken already.
        let _ = self.wake.try_send(());
    }
}

/// All addresses of a name, as the host's resolver tells them (getaddrinfo(3)).
fn look_up(name: &str) -> io::Result<BTreeSet<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    Ok(found.map(|one| one.ip().to_canonical()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(addresses: &[&str]) -> io::Result<BTreeSet<IpAddr>> {
        Ok(addresses.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn failure() -> io::Result<BTreeSet<IpAddr>> {
        Err(io::Error::other("no answer"))
    }

    #[test]
    fn a_name_is_looked_up_once_at_a_time_and_again_after_a_change_of_the_network() {
        let names = HostNames::new([]);
        let name = names.hold("a.example");
        let now = Instant::now();
        assert!(name.begin(now));
        assert!(!name.begin(now));
        names.network_changed();
        assert!(!name.begin(now), "it is being looked up");
        name.end(answer(&["192.0.2.1"]), &[], now);
        assert!(name.begin(now), "the answer came from before the change");
    }

    #[test]
    fn what_is_known_of_a_name_can_be_seen() {
        let names = HostNames::new([]);
        let name = names.hold("a.example");
        let only = |names: &HostNames| names.state_of("a.example").unwrap();
        assert!(only(&names).pending && only(&names).addresses.is_empty());
        let begin = Instant::now();
        assert!(name.begin(begin));
        name.end(failure(), &[], begin);
        assert_eq!((only(&names).failures, only(&names).pending), (1, true));
        name.end(answer(&["192.0.2.1"]), &[], begin);
        let later = begin + Duration::from_secs(5);
        let state = name.known(later);
        let address = ("192.0.2.1".parse().unwrap(), Duration::from_secs(5));
        assert_eq!(state.addresses, [address]);
        assert_eq!((state.failures, state.pending), (0, false));
        assert!(state.next.is_some_and(|next| !next.is_zero()));
        assert!(name.begin(begin + AGE_LIMIT));
        assert_eq!(only(&names).next, None, "it is being looked up");
        drop(name);
        assert!(names.state_of("a.example").is_none());
    }

    #[test]
    fn a_name_that_nobody_holds_is_forgotten() {
        let names = HostNames::new([]);
        let held = names.hold("a.example");
        assert!(Arc::ptr_eq(&held, &names.hold("a.example")));
        drop(held);
        assert!(names.held().is_empty());
    }

    #[test]
    fn followed_names_get_their_addresses() {
        let names = Arc::new(HostNames::new([]));
        // /etc/hosts has no name of a host outside, so this one stays without an address.
        let held = names.hold("localhost");
        let (sender, called) = smol::channel::bounded(1);
        let follow = names.follow(
            |work| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    work();
                    let _ = sender.try_send(());
                });
            },
            || async {},
        );
        smol::block_on(smol::future::or(follow, async {
            called.recv().await.unwrap();
            // The answer is taken in by the other future.
            while held.state().due.is_none() {
                smol::future::yield_now().await;
            }
        }));
        assert_eq!(held.state().answers, 1);
        assert!(held.addresses().is_empty(), "loopback is not outside");
    }
}

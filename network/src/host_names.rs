//! Host names in rules: what they stand for, looked up outside of calls.
//!
//! A call that needs a name gets what is known of it at once, which may be nothing yet. The name
//! is then looked up by [`HostNames::follow`], again when it is due and when the network changes,
//! for as long as somebody holds it.

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

/// How long an answer counts before the name is looked up anew. getaddrinfo(3) does not tell the
/// time to live that the name's owner has set; those of names with changing addresses are of this
/// order.
const AGE_LIMIT: Duration = Duration::from_secs(60);
/// How long to wait after the first failure; doubled with each further one, up to [`AGE_LIMIT`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// How many addresses a name may stand for: each is a rule in every container that names it.
const MOST_ADDRESSES: usize = 64;

/// A name in a rule of some container, and its addresses.
#[derive(Debug)]
pub struct HostName {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The number of the look-up that has last found each address, and when that was.
    addresses: BTreeMap<IpAddr, (u64, Instant)>,
    /// Answers that do not count, of which one line of the log each has told.
    refused: BTreeSet<IpAddr>,
    answers: u64,
    failures: u32,
    /// When it is to be looked up; `None` while it is.
    due: Option<Instant>,
    /// The network changed while it was looked up.
    again: bool,
}

/// What is known of a name at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameState {
    /// The name.
    pub name: String,
    /// Its addresses, and how long ago each was last answered.
    pub addresses: Vec<(IpAddr, Duration)>,
    /// It is being looked up, or was never answered.
    pub pending: bool,
    /// How many look-ups in a row have failed up to now.
    pub failures: u32,
}

impl HostName {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: Mutex::new(State {
                addresses: BTreeMap::new(),
                refused: BTreeSet::new(),
                answers: 0,
                failures: 0,
                due: Some(Instant::now()),
                again: false,
            }),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All addresses that it was found to have. What was answered once stays: a name may be
    /// answered in turns with different addresses, and an app may use one of an earlier answer.
    #[must_use]
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        self.state().addresses.keys().copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, now: Instant) -> NameState {
        let state = self.state();
        let addresses = state.addresses.iter();
        let age = |at: Instant| now.saturating_duration_since(at);
        NameState {
            name: self.name.clone(),
            addresses: addresses.map(|(one, (_, at))| (*one, age(*at))).collect(),
            pending: state.due.is_none() || state.answers == 0,
            failures: state.failures,
        }
    }

    /// Whether it is time to look it up; it then counts as being looked up.
    fn begin(&self, now: Instant) -> bool {
        let mut state = self.state();
        let begins = state.due.is_some_and(|due| due <= now);
        if begins {
            state.due = None;
        }
        begins
    }

    /// Takes in what a look-up has found, unless it is in one of the subnets `own`; the result is
    /// whether there are other addresses now.
    fn end(&self, found: io::Result<BTreeSet<IpAddr>>, own: &[Subnet], now: Instant) -> bool {
        let mut state = self.state();
        let wait = match &found {
            Ok(_) => AGE_LIMIT,
            Err(_) => FIRST_RETRY
                .saturating_mul(1 << state.failures.min(10))
                .min(AGE_LIMIT),
        };
        let again = std::mem::take(&mut state.again);
        state.due = Some(if again { now } else { now + wait });
        match found {
            Ok(found) => {
                if state.failures > 0 {
                    log::info!("host name {} is found again", self.name);
                }
                state.failures = 0;
                self.add(&mut state, found, own, now)
            }
            Err(error) => {
                // Once for an outage, however long it is.
                if state.failures == 0 {
                    log::warn!(
                        "cannot look up host name {} for now ({error}); {} of its addresses are known",
                        self.name,
                        state.addresses.len()
                    );
                }
                state.failures = state.failures.saturating_add(1);
                false
            }
        }
    }

    fn add(
        &self,
        state: &mut State,
        found: BTreeSet<IpAddr>,
        own: &[Subnet],
        now: Instant,
    ) -> bool {
        let before: Vec<IpAddr> = state.addresses.keys().copied().collect();
        state.answers += 1;
        let answer = state.answers;
        for address in found {
            if is_outside(address, own) {
                state.addresses.insert(address, (answer, now));
            } else if state.refused.len() < MOST_ADDRESSES && state.refused.insert(address) {
                log::warn!(
                    "host name {} is answered with {address}, which is no address outside: ignored",
                    self.name
                );
            }
        }
        while state.addresses.len() > MOST_ADDRESSES {
            let oldest = state.addresses.iter().min_by_key(|(_, answer)| **answer);
            let Some(oldest) = oldest.map(|(address, _)| *address) else {
                break;
            };
            state.addresses.remove(&oldest);
        }
        !state.addresses.keys().eq(&before)
    }
}

/// Whether a name may stand for an address: whoever answers for the name chooses it, and must not
/// open the host or what is beside it (DNS rebinding).
fn is_outside(address: IpAddr, own: &[Subnet]) -> bool {
    let special = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let host = Subnet::host(address);
    !(special
        || address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || own.iter().any(|subnet| subnet.overlaps(&host)))
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

    /// What is known of each name that a container has in its rules.
    #[must_use]
    pub fn states(&self) -> Vec<NameState> {
        let now = Instant::now();
        self.held().iter().map(|name| name.known(now)).collect()
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
                        let addresses = look_up(name.name());
                        // The receiver goes with the agent.
                        let _ = sender.try_send((name, addresses));
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
            if let Some((name, addresses)) = event
                && name.end(addresses, &self.own, Instant::now())
            {
                drop(name);
                changed().await;
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
    fn what_was_answered_once_stays() {
        let name = HostName::new("rotates.example");
        assert!(name.end(answer(&["192.0.2.1"]), &[], Instant::now()));
        assert!(name.end(answer(&["192.0.2.2"]), &[], Instant::now()));
        assert!(!name.end(answer(&["192.0.2.1"]), &[], Instant::now()));
        assert!(!name.end(failure(), &[], Instant::now()));
        assert_eq!(
            name.addresses(),
            answer(&["192.0.2.1", "192.0.2.2"]).unwrap()
        );
    }

    #[test]
    fn a_name_has_a_bounded_number_of_addresses_of_which_the_latest_stay() {
        let name = HostName::new("many.example");
        name.end(answer(&["192.0.2.1"]), &[], Instant::now());
        for number in 0..MOST_ADDRESSES {
            name.end(
                answer(&[&format!("198.51.100.{number}")]),
                &[],
                Instant::now(),
            );
        }
        let addresses = name.addresses();
        assert_eq!(addresses.len(), MOST_ADDRESSES);
        assert!(!addresses.contains(&"192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn an_answer_does_not_open_the_host() {
        let name = HostName::new("rebinds.example");
        let own = [Subnet::new("10.0.3.0".parse().unwrap(), 24)];
        let inside = [
            "10.0.3.7",
            "127.0.0.1",
            "0.0.0.0",
            "169.254.1.1",
            "::1",
            "::",
            "fe80::1",
        ];
        assert!(!name.end(answer(&inside), &own, Instant::now()));
        assert!(name.end(answer(&["127.0.0.1", "192.0.2.1"]), &own, Instant::now()));
        assert_eq!(name.addresses(), answer(&["192.0.2.1"]).unwrap());
    }

    #[test]
    fn a_failure_is_tried_again_later_and_later() {
        let name = HostName::new("away.example");
        let begin = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert!(name.begin(begin + 2 * AGE_LIMIT));
            name.end(failure(), &[], begin);
            waits.push(name.state().due.unwrap() - begin);
        }
        assert_eq!(waits[..3], [1, 2, 4].map(Duration::from_secs));
        assert_eq!(waits.last(), Some(&AGE_LIMIT));
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
        let only = |names: &HostNames| names.states().remove(0);
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
        drop(name);
        assert!(names.states().is_empty());
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

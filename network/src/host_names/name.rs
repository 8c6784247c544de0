//! One host name and what it stands for.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::subnet::Subnet;

/// How long an answer counts of which nobody tells a time to live: one from /etc/hosts, for
/// example.
pub(super) const AGE_LIMIT: Duration = Duration::from_secs(60);
/// The bounds of a time to live. The agent of a car does not wake up again and again for a name
/// that nobody may remember; a name that is wrong stays so for an hour at most.
const LIVES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3600));
/// Added to a time to live: a cache tells whole seconds of what is left.
const ROUNDING: Duration = Duration::from_secs(1);
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
pub(super) struct State {
    /// The number of the look-up that has last found each address, and when that was.
    addresses: BTreeMap<IpAddr, (u64, Instant)>,
    /// Answers that do not count, of which one line of the log each has told.
    refused: BTreeSet<IpAddr>,
    pub(super) answers: u64,
    failures: u32,
    /// When the last answer came, as long as nobody has told its time to live.
    unlimited: Option<Instant>,
    /// When it is to be looked up; `None` while it is.
    pub(super) due: Option<Instant>,
    /// The network changed while it was looked up.
    pub(super) again: bool,
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
    /// How long until it is looked up anew; `None` while it is.
    pub next: Option<Duration>,
}

impl HostName {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: Mutex::new(State {
                addresses: BTreeMap::new(),
                refused: BTreeSet::new(),
                answers: 0,
                failures: 0,
                unlimited: None,
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

    /// What it was found to have by an earlier agent.
    pub(super) fn had(&self, addresses: &BTreeSet<IpAddr>) {
        let now = Instant::now();
        let mut state = self.state();
        for address in addresses {
            state.addresses.entry(*address).or_insert((0, now));
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self, now: Instant) -> NameState {
        let state = self.state();
        let addresses = state.addresses.iter();
        let age = |at: Instant| now.saturating_duration_since(at);
        NameState {
            name: self.name.clone(),
            addresses: addresses.map(|(one, (_, at))| (*one, age(*at))).collect(),
            pending: state.due.is_none() || state.answers == 0,
            failures: state.failures,
            next: state.due.map(|due| due.saturating_duration_since(now)),
        }
    }

    /// Whether it is time to look it up; it then counts as being looked up.
    pub(super) fn begin(&self, now: Instant) -> bool {
        let mut state = self.state();
        let begins = state.due.is_some_and(|due| due <= now);
        if begins {
            state.due = None;
        }
        begins
    }

    /// Takes in what a look-up has found, unless it is in one of the subnets `own`; the result is
    /// whether there are other addresses now.
    pub(super) fn end(
        &self,
        found: io::Result<BTreeSet<IpAddr>>,
        own: &[Subnet],
        now: Instant,
    ) -> bool {
        let mut state = self.state();
        let wait = match &found {
            Ok(_) => AGE_LIMIT,
            Err(_) => FIRST_RETRY
                .saturating_mul(1 << state.failures.min(10))
                .min(AGE_LIMIT),
        };
        let again = std::mem::take(&mut state.again);
        state.unlimited = found.is_ok().then_some(now);
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

    /// Takes in how long the last answer lives, unless it is to be looked up anew before.
    pub(super) fn lives(&self, time: Duration) {
        let (shortest, longest) = LIVES;
        let lives = time.saturating_add(ROUNDING).clamp(shortest, longest);
        let mut state = self.state();
        if let Some(answered) = state.unlimited.take()
            && state.due == Some(answered + AGE_LIMIT)
        {
            state.due = Some(answered + lives);
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
    fn a_name_is_due_when_its_time_to_live_has_ended_within_bounds() {
        let at = Instant::now();
        let after = |seconds| {
            let name = HostName::new("lives.example");
            name.end(answer(&["192.0.2.1"]), &[], at);
            name.lives(Duration::from_secs(seconds));
            (name.state().due.unwrap() - at).as_secs()
        };
        let found = [0, 4, 30, 300, 86_400].map(after);
        assert_eq!(found, [5, 5, 31, 301, 3600]);
    }

    #[test]
    fn a_time_to_live_of_an_earlier_answer_changes_nothing() {
        let name = HostName::new("lives.example");
        let at = Instant::now();
        name.end(answer(&["192.0.2.1"]), &[], at);
        name.lives(Duration::from_secs(30));
        name.lives(Duration::from_secs(7));
        assert_eq!(name.state().due, Some(at + Duration::from_secs(31)));
        assert!(name.begin(at + AGE_LIMIT));
        name.lives(Duration::from_secs(7));
        assert_eq!(name.state().due, None, "it is being looked up");
    }
}

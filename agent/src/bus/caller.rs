//! Who calls: their user and process, as the bus knows them, and how many of their calls are under
//! way.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use smol::lock::OnceCell;
use zbus::{Connection, OwnedVariant, Variant, fdo, message::Header};

use super::peers;
use crate::{agent::Agent, host::credentials::Credentials};

/// From how many known clients on those without pending calls are forgotten. Unique names are never
/// used again on a bus.
const REMEMBERED: usize = 128;

/// One client of the bus.
#[derive(Debug, Default)]
struct Client {
    pending: AtomicU32,
    identity: OnceCell<Identity>,
}

/// What the bus says of a client.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Its user and groups; `None` when the bus does not tell, as when the client has gone.
    pub credentials: Option<Credentials>,
    /// Its process ID.
    pub process: Option<u32>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.credentials {
            Some(credentials) => write!(f, "uid {}", credentials.user)?,
            None => f.write_str("uid unknown")?,
        }
        match self.process {
            Some(process) => write!(f, ", pid {process}"),
            None => f.write_str(", pid unknown"),
        }
    }
}

/// All clients that have called lately.
pub struct Callers {
    limit: u32,
    clients: Mutex<HashMap<String, Arc<Client>>>,
    agent: Arc<Agent>,
}

/// A client does not wait for its replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller has {limit} calls without reply already (max-pending-calls)")]
pub struct TooManyCalls {
    limit: u32,
}

impl From<TooManyCalls> for fdo::Error {
    fn from(error: TooManyCalls) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Call {
    client: Arc<Client>,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.client.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Callers {
    /// None yet; each may have `limit` calls under way, which wait until `agent` has settled.
    pub fn new(limit: u32, agent: Arc<Agent>) -> Self {
        Self {
            limit,
            clients: Mutex::default(),
            agent,
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Arc<Client>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call until what is returned is dropped.
    ///
    /// # Errors
    /// [`TooManyCalls`].
    pub fn admit(&self, header: &Header<'_>) -> Result<Call, TooManyCalls> {
        let sender = header.sender().map(ToString::to_string).unwrap_or_default();
        let mut clients = self.clients();
        if clients.len() >= REMEMBERED {
            clients.retain(|_, client| client.pending.load(Ordering::Relaxed) > 0);
        }
        let client = clients.entry(sender).or_default().clone();
        let pending = client.pending.fetch_add(1, Ordering::Relaxed);
        let call = Call { client };
        if pending >= self.limit {
            return Err(TooManyCalls { limit: self.limit });
        }
        Ok(call)
    }

    /// Counts a call, and says who makes it.
    ///
    /// # Errors
    /// [`TooManyCalls`].
    pub async fn know(
        &self,
        connection: &Connection,
        header: &Header<'_>,
    ) -> Result<(Call, Identity), TooManyCalls> {
        let call = self.admit(header)?;
        self.agent.settled().await;
        let identity = self.identify(&call, connection, header).await;
        Ok((call, identity))
    }

    /// Counts a call that changes something, and logs who makes it.
    ///
    /// # Errors
    /// [`TooManyCalls`].
    pub async fn begin(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        what: String,
    ) -> Result<(Call, Identity), TooManyCalls> {
        let known = self.know(connection, header).await?;
        log::info!("{what} by {}", known.1);
        Ok(known)
    }

    /// What the bus says of the caller; asked once for each client.
    async fn identify(
        &self,
        call: &Call,
        connection: &Connection,
        header: &Header<'_>,
    ) -> Identity {
        let ask = async {
            match header.sender() {
                Some(sender) => ask(connection, sender.as_str()).await,
                None => Identity::default(),
            }
        };
        call.client.identity.get_or_init(|| ask).await.clone()
    }
}

/// `GetConnectionCredentials` (D-Bus specification, "Message Bus Messages").
pub(super) async fn ask(connection: &Connection, name: &str) -> Identity {
    let reply = peers::ask(connection, "GetConnectionCredentials", name).await;
    let answer =
        reply.and_then(|reply| reply.body().deserialize::<HashMap<String, OwnedVariant>>());
    match answer {
        Ok(answer) => identity(&answer),
        Err(error) => {
            log::warn!("the bus does not tell who {name} is: {error}");
            Identity::default()
        }
    }
}

fn identity(answer: &HashMap<String, OwnedVariant>) -> Identity {
    let number = |key: &str| {
        let value = answer.get(key)?;
        u32::try_from(value).ok()
    };
    let groups = match answer.get("UnixGroupIDs").map(|value| &**value) {
        Some(Variant::Array(groups)) => groups
            .iter()
            .filter_map(|group| u32::try_from(group).ok())
            .collect(),
        _ => Vec::new(),
    };
    let process = number("ProcessID");
    Identity {
        credentials: number("UnixUserID").map(|user| Credentials {
            user,
            groups,
            process,
        }),
        process,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bus_answer_is_read_and_may_lack_parts() {
        let answer = HashMap::from([
            ("UnixUserID".to_owned(), OwnedVariant::from(1000_u32)),
            ("ProcessID".to_owned(), OwnedVariant::from(77_u32)),
            (
                "UnixGroupIDs".to_owned(),
                Variant::from(vec![100_u32, 1000]).try_into().unwrap(),
            ),
        ]);
        let known = identity(&answer);
        let credentials = known.credentials.clone().unwrap();
        assert_eq!(credentials.user, 1000);
        assert_eq!(credentials.groups, [100, 1000]);
        assert_eq!(known.to_string(), "uid 1000, pid 77");
        assert_eq!(
            identity(&HashMap::new()).to_string(),
            "uid unknown, pid unknown"
        );
    }
}

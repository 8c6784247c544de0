//! A launcher: a D-Bus client of the agent, with blocking calls.

use std::{
    collections::HashMap,
    os::unix::net::UnixStream,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use smol::{Executor, stream::StreamExt as _};
use softwarecontainer_agent::{
    bus::{NAME, PATH},
    host::credentials::Credentials,
    runtime::SmolRuntime,
};
use zbus::{Connection, DBusError as _, Message, MessageStream, connection::Builder};

use super::PATIENCE;

/// A `ProcessStateChanged` signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub container: i32,
    pub pid: u32,
    pub is_running: bool,
    pub exit_code: u32,
}

/// What has arrived, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The reply of a call, with its number if it returned one.
    Reply(Option<i32>),
    /// A signal.
    Ended(Ended),
}

#[derive(Default)]
struct Signals {
    received: Mutex<Vec<Ended>>,
    /// Signals of other members.
    others: Mutex<Vec<Message>>,
    arrivals: Mutex<Vec<Arrival>>,
    changed: Condvar,
}

/// A connection to the bus, served by a thread of its own.
pub struct Client {
    connection: Connection,
    signals: Arc<Signals>,
    stop: Arc<AtomicBool>,
    executor: Arc<Executor<'static>>,
    thread: Option<JoinHandle<()>>,
}

/// The name and the text of a D-Bus error.
pub type CallError = (String, String);

impl Client {
    pub fn connect(address: &str) -> Self {
        Self::over(Builder::address(address))
    }

    /// A client of user `user`, who is in the group of the same number.
    pub fn connect_as(address: &str, user: u32) -> Self {
        let path = address.strip_prefix("unix:path=").unwrap();
        let path = path.split(',').next().unwrap();
        let groups = vec![user];
        // The bus asks the kernel who has connected the socket.
        let socket = Credentials {
            user,
            groups,
            process: None,
        }
        .act(|| UnixStream::connect(path))
        .unwrap();
        Self::over(Builder::unix_stream(socket.unwrap()).user_id(user))
    }

    fn over(builder: Builder<'_>) -> Self {
        let executor = Arc::new(Executor::new());
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (executor, stop) = (executor.clone(), stop.clone());
            move || {
                smol::block_on(executor.run(async {
                    while !stop.load(Ordering::Relaxed) {
                        smol::Timer::after(std::time::Duration::from_millis(50)).await;
                    }
                }));
            }
        });
        let connection = smol::block_on(async {
            builder
                .runtime(SmolRuntime(executor.clone()))
                .build()
                .await
                .unwrap()
        });
        let signals = Arc::new(Signals::default());
        executor
            .spawn(receive(MessageStream::from(&connection), signals.clone()))
            .detach();
        let rule = format!("type='signal',interface='{NAME}'");
        smol::block_on(connection.call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus"),
            "AddMatch",
            &rule,
        ))
        .unwrap();
        Self {
            connection,
            signals,
            stop,
            executor,
            thread: Some(thread),
        }
    }

    /// Calls any method of the agent.
    pub fn call<B>(&self, method: &str, body: &B) -> Result<Message, CallError>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        self.call_on(PATH, NAME, method, body)
    }

    /// Calls any method of the agent's second interface.
    pub fn manage<B>(&self, method: &str, body: &B) -> Result<Message, CallError>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        self.call_on(PATH, &format!("{NAME}.Manager"), method, body)
    }

    /// Calls any method of any object of the agent.
    pub fn call_on<B>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<Message, CallError>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let call = self
            .connection
            .call_method(Some(NAME), path, Some(interface), method, body);
        smol::block_on(call).map_err(|error| match error {
            zbus::Error::MethodError(name, text, _) => (name.to_string(), text.unwrap_or_default()),
            zbus::Error::FDO(error) => (
                error.name().to_string(),
                error.description().unwrap_or_default().to_owned(),
            ),
            other => (String::new(), other.to_string()),
        })
    }

    /// The introspection data of the agent's object.
    pub fn introspect(&self) -> String {
        self.introspect_at(PATH)
    }

    /// The introspection data of an object of the agent.
    pub fn introspect_at(&self, path: &str) -> String {
        let interface = "org.freedesktop.DBus.Introspectable";
        let reply = self.call_on(path, interface, "Introspect", &());
        reply.unwrap().body().deserialize().unwrap()
    }

    /// Waits for a signal other than `ProcessStateChanged` of which `found` makes something; it is
    /// forgotten then.
    pub fn wait_signal<T>(&self, what: &str, found: impl Fn(&Message) -> Option<T>) -> T {
        let deadline = Instant::now() + *PATIENCE;
        let mut others = self.signals.others.lock().unwrap();
        loop {
            let place = others.iter().enumerate();
            let place = place.filter_map(|(index, message)| Some((index, found(message)?)));
            if let Some((index, value)) = place.into_iter().next() {
                others.remove(index);
                return value;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no signal {what}: {others:?}");
            others = self.signals.changed.wait_timeout(others, left).unwrap().0;
        }
    }

    /// The signals other than `ProcessStateChanged` that have arrived and that nobody has waited
    /// for.
    pub fn other_signals(&self) -> Vec<Message> {
        self.signals.others.lock().unwrap().clone()
    }

    /// Leaves the bus.
    pub fn leave(self) {
        smol::block_on(self.connection.clone().close()).unwrap();
    }

    pub fn list(&self) -> Result<Vec<i32>, CallError> {
        self.call("List", &())
            .map(|reply| reply.body().deserialize().unwrap())
    }

    pub fn list_capabilities(&self) -> Vec<String> {
        self.call("ListCapabilities", &())
            .unwrap()
            .body()
            .deserialize()
            .unwrap()
    }

    pub fn create(&self, config: &str) -> Result<i32, CallError> {
        self.call("Create", &config)
            .map(|reply| reply.body().deserialize().unwrap())
    }

    pub fn destroy(&self, id: i32) -> Result<(), CallError> {
        self.call("Destroy", &id).map(drop)
    }

    pub fn suspend(&self, id: i32) -> Result<(), CallError> {
        self.call("Suspend", &id).map(drop)
    }

    pub fn resume(&self, id: i32) -> Result<(), CallError> {
        self.call("Resume", &id).map(drop)
    }

    pub fn bind_mount(
        &self,
        id: i32,
        host: &str,
        container: &str,
        read_only: bool,
    ) -> Result<(), CallError> {
        self.call("BindMount", &(id, host, container, read_only))
            .map(drop)
    }

    pub fn set_capabilities(&self, id: i32, names: &[&str]) -> Result<(), CallError> {
        self.call("SetCapabilities", &(id, names)).map(drop)
    }

    pub fn execute(
        &self,
        id: i32,
        command: &str,
        directory: &str,
        output: &str,
        environment: &[(&str, &str)],
    ) -> Result<u32, CallError> {
        let environment: HashMap<&str, &str> = environment.iter().copied().collect();
        let reply = self.call("Execute", &(id, command, directory, output, environment))?;
        let pid: i32 = reply.body().deserialize().unwrap();
        Ok(u32::try_from(pid).unwrap())
    }

    /// Waits for the end of a process; the signal is forgotten then.
    pub fn wait_ended(&self, container: i32, pid: u32) -> Ended {
        let deadline = Instant::now() + *PATIENCE;
        let mut received = self.signals.received.lock().unwrap();
        loop {
            let found = received
                .iter()
                .position(|ended| ended.container == container && ended.pid == pid);
            if let Some(index) = found {
                return received.remove(index);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no signal that process {pid} of container {container} ended"
            );
            received = self.signals.changed.wait_timeout(received, left).unwrap().0;
        }
    }

    /// All replies and signals so far, in the order of their arrival.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.signals.arrivals.lock().unwrap().clone()
    }

    /// The signals that have arrived and that nobody has waited for.
    pub fn unclaimed(&self) -> Vec<Ended> {
        self.signals.received.lock().unwrap().clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The task that receives would keep it open.
        let _ = smol::block_on(self.connection.clone().close());
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn receive(mut messages: MessageStream, signals: Arc<Signals>) {
    while let Some(Ok(message)) = messages.next().await {
        if message.message_type() == zbus::message::Type::MethodReturn {
            let number = message.body().deserialize::<i32>().ok();
            signals
                .arrivals
                .lock()
                .unwrap()
                .push(Arrival::Reply(number));
        }
        if message
            .header()
            .member()
            .is_none_or(|member| member != "ProcessStateChanged")
        {
            let header = message.header();
            let of_bus = header
                .sender()
                .is_none_or(|name| name == "org.freedesktop.DBus");
            if message.message_type() == zbus::message::Type::Signal && !of_bus {
                signals.others.lock().unwrap().push(message);
                signals.changed.notify_all();
            }
            continue;
        }
        let (container, pid, is_running, exit_code) = message.body().deserialize().unwrap();
        let ended = Ended {
            container,
            pid,
            is_running,
            exit_code,
        };
        signals.arrivals.lock().unwrap().push(Arrival::Ended(ended));
        signals.received.lock().unwrap().push(ended);
        signals.changed.notify_all();
    }
}

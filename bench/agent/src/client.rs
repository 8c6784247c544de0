//! A launcher whose calls are measured; everything runs in one thread.

use std::{collections::HashMap, num::NonZero, sync::Arc, time::Duration};

use smol::{Executor, Timer, lock::Mutex, stream::StreamExt as _};
use softwarecontainer_agent::{
    bus::{NAME, PATH},
    runtime::SmolRuntime,
};
use zbus::{Connection, MatchRule, Message, MessageStream};

/// A connection to the bus.
#[derive(Clone)]
pub struct Client {
    connection: Connection,
    ends: Arc<Mutex<MessageStream>>,
}

impl Client {
    /// Connects to the bus at `address`.
    pub async fn connect(address: &str, executor: &Arc<Executor<'static>>) -> Self {
        let connection = zbus::connection::Builder::address(address)
            .runtime(SmolRuntime(executor.clone()))
            .build()
            .await
            .unwrap();
        let rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .interface(NAME)
            .build()
            .unwrap();
        let ends = MessageStream::for_match_rule(rule, &connection, NonZero::new(10_000))
            .await
            .unwrap();
        Self {
            connection,
            ends: Arc::new(Mutex::new(ends)),
        }
    }

    async fn try_call<B>(&self, method: &str, body: &B) -> zbus::Result<Message>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        self.connection
            .call_method(Some(NAME), PATH, Some(NAME), method, body)
            .await
    }

    async fn call<B>(&self, method: &str, body: &B) -> Message
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let reply = self.try_call(method, body).await;
        reply.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Waits until the agent owns its name and answers.
    pub async fn wait_for_agent(&self) {
        for _ in 0..100_000 {
            if self.try_call("List", &()).await.is_ok() {
                return;
            }
            Timer::after(Duration::from_micros(100)).await;
        }
        panic!("the agent does not answer");
    }

    pub async fn list(&self) -> Vec<i32> {
        self.call("List", &()).await.body().deserialize().unwrap()
    }

    pub async fn create(&self) -> i32 {
        let config = r#"[{"writeBufferEnabled": false}]"#;
        let reply = self.call("Create", &config).await;
        reply.body().deserialize().unwrap()
    }

    pub async fn destroy(&self, id: i32) {
        self.call("Destroy", &id).await;
    }

    pub async fn suspend(&self, id: i32) {
        self.call("Suspend", &id).await;
    }

    pub async fn resume(&self, id: i32) {
        self.call("Resume", &id).await;
    }

    pub async fn bind_mount(&self, id: i32, host: &str, container: &str) {
        self.call("BindMount", &(id, host, container, true)).await;
    }

    pub async fn set_capabilities(&self, id: i32, name: &str) {
        self.set_all_capabilities(id, &[name]).await;
    }

    pub async fn set_all_capabilities(&self, id: i32, names: &[&str]) {
        self.call("SetCapabilities", &(id, names)).await;
    }

    /// Executes a command and waits for the signal of its end.
    pub async fn run(&self, id: i32, command: &str) {
        let environment: HashMap<&str, &str> = HashMap::new();
        let mut ends = self.ends.lock().await;
        let reply = self
            .call("Execute", &(id, command, "", "", environment))
            .await;
        let pid: i32 = reply.body().deserialize().unwrap();
        while let Some(signal) = ends.next().await {
            let signal = signal.unwrap();
            let (container, process, _, status): (i32, u32, bool, u32) =
                signal.body().deserialize().unwrap();
            if container == id && i32::try_from(process) == Ok(pid) {
                assert_eq!(status, 0, "{command}");
                return;
            }
        }
        panic!("the bus is gone");
    }
}

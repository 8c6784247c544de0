//! The interface `com.pelagicore.SoftwareContainerAgent.Manager`, beside the frozen one.

use zbus::{Connection, message::Header};

use super::{
    desk::Desk,
    error::ManagerError,
    objects,
    options::Options,
    processes, properties,
    service::{Answer, Call, Reply, Service},
    values::Values,
};
use crate::{agent::Creation, container::facts::Label};

/// How many bytes an app's ID or label may have.
const LONGEST_LABEL: usize = 256;

/// The object that launchers and tools call.
pub struct Manager(pub Desk);

type Results = Result<Reply, ManagerError>;

impl Manager {
    async fn subscribe(&self, call: Call<'_>) -> Results {
        let known = self.0.callers.know(call.connection, &call.header).await?;
        let (_call, identity) = known;
        self.0
            .watchers
            .add(call.connection, call.sender()?, identity)
            .await?;
        Ok(Vec::new().into())
    }

    async fn unsubscribe(&self, call: Call<'_>) -> Results {
        self.0
            .watchers
            .remove(call.connection, call.sender()?)
            .await;
        Ok(Vec::new().into())
    }

    async fn wait_ready(&self, call: Call<'_>) -> Results {
        let _call = self.0.callers.admit(&call.header)?;
        self.0.agent.ready().await?;
        Ok(Vec::new().into())
    }

    async fn describe_capabilities(&self, call: Call<'_>) -> Results {
        let _call = self.0.callers.admit(&call.header)?;
        let names: Vec<String> = call.arguments("as")?.next()?;
        let described = self.0.agent.described(&names)?;
        Ok(vec![properties::rules(&described)].into())
    }

    async fn diagnose(&self, call: Call<'_>) -> Results {
        let _call = self.0.callers.admit(&call.header)?;
        let findings = self.0.agent.diagnose().await.into_iter();
        let rows = findings.map(|it| (it.about.to_owned(), it.verdict.name().to_owned(), it.text));
        Ok(vec![rows.collect::<Vec<(String, String, String)>>().into()].into())
    }

    async fn reclaim(&self, call: Call<'_>) -> Results {
        let id: i32 = call.arguments("i")?.next()?;
        let what = format!("Reclaim {id}");
        let begun = self
            .0
            .callers
            .begin(call.connection, &call.header, what)
            .await?;
        let (_call, identity) = begun;
        let bytes = self.0.agent.reclaim(id, identity.credentials.as_ref());
        Ok(vec![bytes.await?.into()].into())
    }

    async fn create_named(&self, call: Call<'_>) -> Results {
        let mut arguments = call.arguments("ssa{sv}")?;
        let config: String = arguments.next()?;
        let app = label("appID", arguments.next()?)?;
        let mut options = Options::new(arguments.next()?)?;
        let what = format!("CreateNamed {app:?}");
        let begun = self
            .0
            .callers
            .begin(call.connection, &call.header, what)
            .await?;
        let (_call, identity) = begun;
        let text = options.take("label", "a string")?.unwrap_or_default();
        let environment = options.strings("environment")?;
        let bound = options.take("bound", "true or false")?.unwrap_or(false);
        let sender = call.sender()?.to_owned();
        options.none_left()?;
        let creation = Creation {
            options: &config,
            label: Label {
                app,
                text: label("label", text)?,
                bound_to: bound.then_some(sender),
            },
            environment,
        };
        let caller = identity.credentials.as_ref();
        let id = self.0.agent.create(creation, caller).await?;
        objects::publish(call.connection, &self.0, id).await;
        let facts = self.0.agent.facts(id, caller)?;
        Ok(vec![id.into(), objects::path(&facts)].into())
    }
}

fn label(what: &str, text: String) -> Result<String, ManagerError> {
    if text.len() > LONGEST_LABEL || text.chars().any(char::is_control) {
        let text = format!("{what}: at most {LONGEST_LABEL} bytes without control characters");
        return Err(ManagerError::invalid(text));
    }
    Ok(text)
}

impl Service for Manager {
    const NAME: &str = "com.pelagicore.SoftwareContainerAgent.Manager";
    const CONTRACT: &str =
        include_str!("../../dbus/com.pelagicore.SoftwareContainerAgent.Manager.xml");

    fn call<'a>(&'a self, name: &str, call: Call<'a>) -> Option<Answer<'a, Reply>> {
        Some(match name {
            "Subscribe" => Box::pin(self.subscribe(call)),
            "Unsubscribe" => Box::pin(self.unsubscribe(call)),
            "WaitReady" => Box::pin(self.wait_ready(call)),
            "Diagnose" => Box::pin(self.diagnose(call)),
            "DescribeCapabilities" => Box::pin(self.describe_capabilities(call)),
            "ExecuteWithFds" => Box::pin(processes::execute(&self.0, call)),
            "Signal" => Box::pin(processes::signal(&self.0, call)),
            "Reclaim" => Box::pin(self.reclaim(call)),
            "CreateNamed" => Box::pin(self.create_named(call)),
            _ => return None,
        })
    }

    fn properties<'a>(&'a self, _: &'a Connection, _: &'a Header<'a>) -> Answer<'a, Values> {
        Box::pin(async { Ok(vec![("Version", env!("CARGO_PKG_VERSION").into())]) })
    }
}

//! What is wrong with the host or the configuration, for people who ask.

use std::{fs, path::Path};

use softwarecontainer_lxc as lxc;
use softwarecontainer_network::name_servers::NameServers;

use super::Agent;
use crate::{container::Shared, error_chain::Chain, host::apparmor, runtime::unblock};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Fine,
    /// Some containers cannot do all that they could.
    Warning,
    /// No container can be created.
    Error,
}

impl Verdict {
    /// What it is called on the bus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub about: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What there is, or what is wrong and what to do.
    pub text: String,
}

fn finding(about: &'static str, verdict: Verdict, text: impl Into<String>) -> Finding {
    let text = text.into();
    Finding {
        about,
        verdict,
        text,
    }
}

/// The warnings, or that everything is fine.
fn warnings(
    about: &'static str,
    texts: impl IntoIterator<Item = String>,
    fine: &str,
) -> Vec<Finding> {
    let warnings = texts.into_iter();
    let mut all: Vec<_> = warnings
        .map(|text| finding(about, Verdict::Warning, text))
        .collect();
    if all.is_empty() {
        all.push(finding(about, Verdict::Fine, fine));
    }
    all
}

impl Agent {
    /// What is right and wrong now.
    pub async fn diagnose(&self) -> Vec<Finding> {
        let names = self.store.names().count();
        let manifests = self.store.warnings().iter().map(ToString::to_string);
        let fine = format!("{names} capabilities, no mistakes");
        let mut all = warnings("manifests", manifests, &fine);
        match self.prepared().await {
            Ok(shared) => all.extend(unblock(move || of_host(&shared)).await),
            Err(error) => {
                let text = Chain(&error).to_string();
                all.push(finding("agent", Verdict::Error, text));
            }
        }
        all
    }
}

fn of_host(shared: &Shared) -> Vec<Finding> {
    let version = format!("liblxc {}", lxc::version());
    let mut all = vec![finding("lxc", Verdict::Fine, version)];
    for lack in &shared.kernel_lacks {
        let verdict = match lack.is_vital() {
            true => Verdict::Error,
            false => Verdict::Warning,
        };
        all.push(finding("kernel", verdict, format!("it lacks {lack}")));
    }
    if shared.kernel_lacks.is_empty() {
        all.push(finding("kernel", Verdict::Fine, "it has what is needed"));
    }
    let cgroups = match shared.unified_cgroups {
        true => "version 2",
        false => "version 1",
    };
    all.push(finding("cgroups", Verdict::Fine, cgroups));
    let obstacle = shared.no_user_namespaces.iter();
    let obstacle = obstacle.map(|why| format!("containers share the host's: {why}"));
    let fine = "each container has its own";
    all.extend(warnings("user namespaces", obstacle, fine));
    let notice = shared.config.apparmor.notice(&apparmor::Kernel::now());
    all.extend(warnings("apparmor", notice, "nothing to say"));
    all.push(match shared.network.get() {
        Ok(network) => {
            let addresses = network.gateway().iter().map(ToString::to_string);
            let addresses = addresses.collect::<Vec<_>>().join(", ");
            let text = format!("the bridge has {addresses}");
            finding("network", Verdict::Fine, text)
        }
        Err(error) => finding("network", Verdict::Error, Chain(&error).to_string()),
    });
    let servers = NameServers::of_host(|path: &Path| fs::read_to_string(path).ok());
    let unreachable = servers.unreachable.into_iter().map(|server| {
        format!("containers cannot reach {server}, which listens on the host only, and nothing stands behind it")
    });
    all.extend(warnings(
        "name servers",
        unreachable,
        "containers reach those of the host",
    ));
    let unwritten = shared.unwritten.sources().into_iter().map(|path| {
        format!(
            "what was written to {} waits to be written to disk: make room, then Destroy again",
            path.display()
        )
    });
    all.extend(warnings("write buffers", unwritten, "nothing waits"));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_complains_of_is_fine() {
        let fine = warnings("kernel", [], "it has what is needed");
        assert_eq!(
            fine,
            [finding("kernel", Verdict::Fine, "it has what is needed")]
        );
        let texts = ["one", "two"].map(str::to_owned);
        let found = warnings("kernel", texts, "");
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|it| it.verdict == Verdict::Warning));
    }
}

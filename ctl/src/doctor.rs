//! `doctor`: what is wrong with the agent and its host, and what to do.

use std::{io, io::IsTerminal as _, time::Duration};

use smol::Timer;
use softwarecontainer_client::{Bus, Client, Error as ClientError, chain};

use crate::{
    error::Error,
    output::{harmless, print, table},
};

/// Exit status when something does not work.
const BROKEN: u8 = 1;
/// How long the agent may take to say whether containers can be created.
const PATIENCE: Duration = Duration::from_secs(30);
const OK: &str = "ok";
const ERROR: &str = "error";

/// What it is about, what it is, and what to do.
type Finding = (String, String, String);

/// Looks, makes a container for a moment, and prints what was found; 0 if containers work.
///
/// # Errors
/// [`Error`]: nothing can be printed.
pub async fn doctor(bus: Bus) -> Result<u8, Error> {
    let mut findings = Vec::new();
    match Client::connect(bus).await {
        Ok(client) => examine(&client, &mut findings).await,
        Err(error) => findings.push(finding("bus", ERROR, chain(&error))),
    }
    let is_broken = findings.iter().any(|(_, verdict, _)| verdict == ERROR);
    let rows = findings.into_iter();
    let rows = rows.map(|(about, verdict, text)| vec![verdict, harmless(&about), harmless(&text)]);
    let text = table(&["", "ABOUT", "FOUND"], &rows.collect::<Vec<_>>());
    print(&match io::stdout().is_terminal() {
        true => coloured(&text),
        false => text,
    })?;
    Ok(if is_broken { BROKEN } else { 0 })
}

fn finding(about: &str, verdict: &str, text: impl Into<String>) -> Finding {
    (about.to_owned(), verdict.to_owned(), text.into())
}

async fn examine(client: &Client, findings: &mut Vec<Finding>) {
    let version = client.manager().version().await.map_err(ClientError::from);
    match version {
        Ok(version) => findings.push(finding("agent", OK, format!("version {version}"))),
        Err(error) => return findings.push(finding("agent", ERROR, explained(&error))),
    }
    let late = async {
        Timer::after(PATIENCE).await;
        let seconds = PATIENCE.as_secs();
        let text = format!("it was not ready after {seconds} s: its log says what it does");
        Err(ClientError::TimedOut(text))
    };
    let diagnosed = smol::future::or(client.manager().diagnose(), late).await;
    match diagnosed {
        Ok(told) => findings.extend(told),
        Err(error) => return findings.push(finding("agent", ERROR, explained(&error))),
    }
    findings.push(match try_one(client).await {
        Ok(()) => finding("container", OK, "one was created and removed"),
        Err(error) => finding("container", ERROR, explained(&error)),
    });
}

async fn try_one(client: &Client) -> Result<(), ClientError> {
    let agent = client.agent();
    let id = agent.create(r#"[{"writeBufferEnabled": false}]"#).await?;
    agent.destroy(id).await
}

/// What went wrong, and what to do about what a person can change.
fn explained(error: &ClientError) -> String {
    let advice = match error {
        ClientError::NotRunning(_) => {
            ": start it (systemctl start softwarecontainer-agent), or use --session-bus if it is there"
        }
        _ => "",
    };
    format!("{}{advice}", chain(error))
}

/// With the verdict that each line begins with in its colour (console_codes(4)).
fn coloured(text: &str) -> String {
    let colours = [(OK, 32), (ERROR, 31), ("warning", 33)];
    let line = |line: &str| {
        let found = colours
            .iter()
            .find(|(verdict, _)| line.starts_with(verdict));
        match found {
            Some((verdict, colour)) => {
                let rest = &line[verdict.len()..];
                format!("\x1b[{colour}m{verdict}\x1b[0m{rest}\n")
            }
            None => format!("{line}\n"),
        }
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_alone_has_a_colour() {
        assert_eq!(
            coloured("ok     a  ok\nx\n"),
            "\x1b[32mok\x1b[0m     a  ok\nx\n"
        );
    }
}

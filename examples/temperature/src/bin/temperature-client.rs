//! An app that uses the temperature service.
//!
//! Usage: `temperature-client [--session] echo TEXT | get | set DEGREES | watch`. `watch` prints a
//! line when it listens, then the first change. A refused call ends it with status 1 and the
//! error's name.

use std::process::ExitCode;

use smol::stream::StreamExt as _;
use softwarecontainer_temperature::{NAME, PATH, connect};
use zbus::{Connection, MatchRule, MessageStream, message::Type};

const USAGE: &str = "usage: temperature-client [--session] echo TEXT | get | set DEGREES | watch";

async fn perform(connection: &Connection, words: &[&str]) -> zbus::Result<Option<String>> {
    let to = Some(NAME);
    match words {
        ["echo", text] => {
            let reply = connection.call_method(to, PATH, to, "Echo", text).await?;
            Ok(Some(reply.body().deserialize()?))
        }
        ["get"] => {
            let reply = connection
                .call_method(to, PATH, to, "GetTemperature", &())
                .await?;
            Ok(Some(reply.body().deserialize::<f64>()?.to_string()))
        }
        ["set", degrees] => {
            let Ok(degrees) = degrees.parse::<f64>() else {
                return Ok(None);
            };
            connection
                .call_method(to, PATH, to, "SetTemperature", &degrees)
                .await?;
            Ok(Some(format!("set to {degrees}")))
        }
        ["watch"] => {
            let rule = MatchRule::builder()
                .msg_type(Type::Signal)
                .interface(NAME)
                .member("TemperatureChanged")
                .build()?;
            let mut changes = MessageStream::for_match_rule(rule, connection, None).await?;
            println!("watching");
            match changes.next().await {
                Some(change) => Ok(Some(format!(
                    "changed to {}",
                    change?.body().deserialize::<f64>()?
                ))),
                None => Ok(Some("the bus has gone".to_owned())),
            }
        }
        _ => Ok(None),
    }
}

fn main() -> ExitCode {
    let done = smol::block_on(async {
        let arguments = std::env::args().skip(1).collect();
        let (connection, words) = connect(arguments).await?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        perform(&connection, &words).await
    });
    match done {
        Ok(Some(text)) => println!("{text}"),
        Ok(None) => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

//! `run`: a container for one command. It goes with the command, and with this program.

use softwarecontainer_client::{Client, Details};

use crate::{
    cli::{Exec, Run},
    error::Error,
    exec,
    signals::Signals,
};

/// Makes the container, runs the command to its end there, and removes the container; the command's
/// exit status, as of [`exec::exec`].
///
/// # Errors
/// [`Error`].
pub async fn run(client: &Client, run: Run, signals: &Signals) -> Result<u8, Error> {
    let config = format!(r#"[{{"writeBufferEnabled": {}}}]"#, run.write_buffer);
    // Whatever ends this program, the agent hears of it.
    let options = Details::from([("bound", true.into())]);
    let manager = client.manager();
    let (id, _) = manager.create_named(&config, &run.app, options).await?;
    let status = fill(client, id, run, signals).await;
    let removed = client.agent().destroy(id).await;
    let status = status?;
    removed?;
    Ok(status)
}

async fn fill(client: &Client, id: i32, run: Run, signals: &Signals) -> Result<u8, Error> {
    let agent = client.agent();
    agent.set_capabilities(id, &run.capabilities).await?;
    for mount in run.mounts {
        let host = std::path::absolute(&mount.host).map_err(Error::Directory)?;
        let host = host.to_string_lossy();
        agent
            .bind_mount(id, &host, &mount.container, mount.read_only)
            .await?;
    }
    let command = Exec { id, ..run.exec };
    exec::exec(client, &command, signals).await
}

//! What a proxy needs of the host: its program, the buses, and users to be on them.

use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use softwarecontainer_capability::{Settings as _, gateway::dbus::DbusSettings};
use softwarecontainer_dbus_proxy::{
    address::SocketAddress,
    client::{BusAccess, Hook, Options, Refused, Spawn},
};

use super::super::{error::Cause, target::Target};
use crate::install;

/// The variable that names the proxy's program file, for an agent that is run from a build tree.
const PROGRAM_VARIABLE: &str = "SOFTWARECONTAINER_DBUS_PROXY";
const PROGRAM: &str = "softwarecontainer-dbus-proxy";
/// Where a system bus listens unless a variable says otherwise (D-Bus specification, "System
/// message bus").
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
const PASSWD: &str = "/etc/passwd";
/// Users to be on the system bus, the first that exists. It must have an entry in passwd:
/// dbus-daemon turns others away.
const USERS: [&str; 2] = ["softwarecontainer-dbus", "nobody"];

/// How to start the proxy of a container, in cgroups of its helpers.
///
/// # Errors
/// [`Cause`] when no user can be found, or the system bus's address cannot be used.
pub(super) fn options(target: &Target<'_>) -> Result<Options, Cause> {
    let passwd = fs::read_to_string(PASSWD).map_err(|source| Cause::File {
        action: "read",
        path: PASSWD.into(),
        source,
    })?;
    let user = USERS.iter().find_map(|name| find_user(&passwd, name));
    let (uid, gid) = user.ok_or_else(|| {
        let [first, second] = USERS;
        Cause::Other(format!("{PASSWD} has neither user {first} nor {second}"))
    })?;
    let system = match env::var("DBUS_SYSTEM_BUS_ADDRESS") {
        Ok(text) => SocketAddress::parse(&text).map_err(|e| Cause::Other(e.to_string()))?,
        Err(_) => SocketAddress::Path(SYSTEM_BUS.into()),
    };
    let refused = target.refused.clone();
    let (helpers, watch) = (target.helpers.clone(), target.watch.clone());
    Ok(Options {
        program: install::program(PROGRAM, PROGRAM_VARIABLE),
        name: target.name.to_owned(),
        session: session_bus(),
        system: BusAccess {
            address: system,
            uid,
        },
        gid,
        connections: target.config.bus_connections,
        pending_calls: target.config.bus_calls,
        spawn: Spawn::with(move |command| helpers.spawn(command)),
        // What is kept for the next agent is of the process that has ended.
        restarted: Hook::new(move || watch.tell()),
        refused: Some(Refused::new(move |what| {
            refused.tell(DbusSettings::ID, what)
        })),
    })
}

/// User and group ID of a user. Read from the file itself: the name service would load its modules
/// into the agent.
fn find_user(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        found.then_some((uid, gid))
    })
}

/// The bus of the session that the agent belongs to. Without one, the container's socket is there,
/// but leads nowhere: manifests that block the session bus, as the temperature service's, are to
/// work on hosts that have none.
fn session_bus() -> Option<BusAccess> {
    let address = match env::var("DBUS_SESSION_BUS_ADDRESS") {
        Ok(text) => match SocketAddress::parse(&text) {
            Ok(address) => address,
            Err(error) => {
                log::warn!("session bus: {error}");
                return None;
            }
        },
        Err(_) => {
            let directory = PathBuf::from(env::var_os("XDG_RUNTIME_DIR")?);
            SocketAddress::Path(directory.join("bus"))
        }
    };
    let uid = owner(&address);
    Some(BusAccess { address, uid })
}

/// Whose bus it is: most session buses let only their owner in.
fn owner(address: &SocketAddress) -> u32 {
    let metadata = match address {
        SocketAddress::Path(path) => [Some(path.as_path()), path.parent()]
            .into_iter()
            .flatten()
            .find_map(|path: &Path| path.metadata().ok()),
        SocketAddress::Abstract(_) => None,
    };
    metadata.map_or_else(
        || nix::unistd::geteuid().as_raw(),
        |metadata| metadata.uid(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_names() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbad line\nnobody2:x:7:8::/:\nnobody:x:65534:65533::/:\n";
        assert_eq!(find_user(passwd, "nobody"), Some((65534, 65533)));
        assert_eq!(find_user(passwd, "bad line"), None);
        assert_eq!(find_user(passwd, "x"), None);
    }
}

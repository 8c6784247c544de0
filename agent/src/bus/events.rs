//! What happens to containers, told on the bus.

use std::{sync::Arc, time::SystemTime};

use smol::channel::Receiver;
use zbus::{Connection, Variant};

use super::{
    desk::Desk,
    manager::Manager,
    name::PATH,
    object::{self, ContainerObject},
    objects::{self, ObjectManager},
    properties,
    service::{Service as _, body},
    values::dictionary,
};
use crate::{
    container::{
        ending::{Ended, Ending},
        facts::{Event, Facts, News},
    },
    runtime::unblock,
};

/// Tells everything that is sent to `events` to who watches.
pub async fn tell(connection: Connection, desk: Desk, events: Receiver<Event>) {
    let teller = Teller {
        connection: &connection,
        desk: &desk,
    };
    while let Ok(Event { facts, news }) = events.recv().await {
        teller.tell(&facts, news).await;
    }
}

/// A signal of one of the agent's objects.
struct Signal<'a> {
    path: &'a str,
    interface: &'static str,
    name: &'static str,
}

impl Signal<'_> {
    fn of_manager(name: &'static str) -> Signal<'static> {
        Signal {
            path: PATH,
            interface: Manager::NAME,
            name,
        }
    }
}

struct Teller<'a> {
    connection: &'a Connection,
    desk: &'a Desk,
}

impl Teller<'_> {
    /// Tells the clients that watch.
    async fn tell(&self, facts: &Arc<Facts>, news: News) {
        let id = facts.id;
        match news {
            News::Created => {
                objects::publish(self.connection, self.desk, id).await;
                let added = || objects::described(facts).into();
                self.send(facts, of_objects("InterfacesAdded"), &added)
                    .await;
                self.desk.bound.add(self.connection, facts).await;
            }
            News::Removed => {
                objects::withdraw(self.connection, self.desk, id).await;
                self.desk.bound.remove(self.connection, facts).await;
                let interfaces = [ContainerObject::NAME];
                let removed = || vec![objects::path(facts), Variant::from(&interfaces[..])];
                self.send(facts, of_objects("InterfacesRemoved"), &removed)
                    .await;
            }
            News::ProcessStarted { pid, command } => {
                let started = || vec![id.into(), pid.into(), command.clone().into()];
                self.send(facts, Signal::of_manager("ProcessStarted"), &started)
                    .await;
                self.tell_changed(facts, &[properties::PROCESSES]).await;
            }
            News::ProcessEnded {
                pid,
                command,
                status,
                calls,
            } => self.tell_end(facts, (pid, command), status, calls).await,
            News::Refused {
                gateway,
                what,
                count,
            } => {
                let refused = || {
                    let what = what.clone();
                    vec![id.into(), gateway.into(), what.into(), count.into()]
                };
                self.send(facts, Signal::of_manager("AccessRefused"), &refused)
                    .await;
            }
            News::Status(status, reason) => {
                let changed = || vec![id.into(), status.name().into(), reason.name().into()];
                self.send(facts, Signal::of_manager("ContainerStateChanged"), &changed)
                    .await;
                self.tell_changed(facts, &properties::STATE).await;
            }
            News::Capabilities => self.tell_changed(facts, &[properties::CAPABILITIES]).await,
            News::Mounts => self.tell_changed(facts, &[properties::MOUNTS]).await,
        }
    }

    async fn tell_end(
        &self,
        facts: &Arc<Facts>,
        (pid, command): (u32, String),
        status: i32,
        calls: Vec<String>,
    ) {
        let id = facts.id;
        let was_killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
        let looked = facts.clone();
        // An end without failure has nothing to be found out about.
        let (kills, short_of_tasks) = match status {
            0 => (0, false),
            _ => {
                let look = move || {
                    let kills = if was_killed {
                        looked.new_oom_kills()
                    } else {
                        0
                    };
                    (kills, looked.was_short_of_tasks())
                };
                unblock(look).await
            }
        };
        if kills > 0 {
            let killed = || vec![id.into(), kills.into()];
            self.send(facts, Signal::of_manager("OutOfMemory"), &killed)
                .await;
        }
        let killed = kills > 0 || facts.ended_for_memory();
        let ending = Ending::of(status, killed, calls, short_of_tasks);
        if let Some(advice) = ending.advice() {
            let words = ending.cause.words();
            log::warn!("container {id}: process {pid} {words}: {advice}");
        }
        let ended = || {
            let status = status.cast_unsigned();
            let details = dictionary(properties::ending(&ending));
            vec![id.into(), pid.into(), status.into(), details]
        };
        self.send(facts, Signal::of_manager("ProcessEnded"), &ended)
            .await;
        facts.remember_end(Ended {
            pid,
            command,
            time: SystemTime::now(),
            ending,
        });
        self.tell_changed(facts, &[properties::PROCESSES]).await;
    }

    /// `PropertiesChanged` of the container's object.
    async fn tell_changed(&self, facts: &Facts, names: &[&'static str]) {
        let changed = || {
            let invalidated: &[&str] = &[];
            let changed = dictionary(properties::some(facts, names));
            vec![ContainerObject::NAME.into(), changed, invalidated.into()]
        };
        let path = object::path(facts.id);
        let signal = Signal {
            path: &path,
            interface: "org.freedesktop.DBus.Properties",
            name: "PropertiesChanged",
        };
        self.send(facts, signal, &changed).await;
    }

    /// Sends a signal to the clients that watch and may see the container.
    async fn send(
        &self,
        facts: &Facts,
        signal: Signal<'_>,
        values: &(dyn Fn() -> Vec<Variant<'static>> + Sync),
    ) {
        let watchers = self.desk.watchers.of(facts);
        let Some(body) = (!watchers.is_empty()).then(values).and_then(body) else {
            return;
        };
        let Signal {
            path,
            interface,
            name,
        } = signal;
        for watcher in watchers {
            let to = Some(watcher.as_str());
            let sent = self
                .connection
                .emit_signal(to, path, interface, name, &body)
                .await;
            if let Err(error) = sent {
                log::error!("container {}: {name} could not be told: {error}", facts.id);
            }
        }
    }
}

fn of_objects(name: &'static str) -> Signal<'static> {
    Signal {
        path: PATH,
        interface: ObjectManager::NAME,
        name,
    }
}

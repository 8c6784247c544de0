//! The containers of an agent that has ended without destroying them.

use std::{collections::BTreeSet, sync::Arc};

use smol::lock::Mutex as AsyncMutex;

use super::{Agent, Slot};
use crate::{
    container::{
        Container, Shared,
        adopt::{self, Left},
        recover::{self, Kept},
    },
    error_chain::Chain,
    runtime::unblock,
};

impl Agent {
    /// Goes on with what is `left`, and destroys the rest of it.
    pub(super) async fn adopt(&self, shared: &Arc<Shared>, left: Vec<Left>) {
        if left.is_empty() {
            return;
        }
        let all = shared.clone();
        for container in unblock(move || adopt_all(&all, left)).await {
            let facts = container.facts().clone();
            let slot = Slot {
                facts: facts.clone(),
                container: Some(Arc::new(AsyncMutex::new(Some(container)))),
            };
            self.slots().insert(facts.id, slot);
            facts.created();
            log::info!("container {} of an earlier agent goes on", facts.id);
        }
        // Servers may have restarted meanwhile, files been replaced, devices come and gone.
        shared.watch.tell();
        self.stop.note_change();
    }
}

fn adopt_all(shared: &Arc<Shared>, left: Vec<Left>) -> Vec<Container> {
    let (mut adopted, mut remains) = (Vec::new(), Vec::new());
    for one in left {
        let (id, of_one) = (one.id(), one.remains());
        match Container::adopt(shared, one) {
            Ok(container) => adopted.push(container),
            Err(error) => {
                adopt::log_refusal(id, &error);
                remains.push((id, of_one));
            }
        }
    }
    if remains.is_empty() {
        shared.store.forget_left(&BTreeSet::new());
        return adopted;
    }
    let mut kept = Kept::default();
    for container in &adopted {
        let (name, path) = container.lxc_name();
        kept.names.insert(name.to_owned());
        kept.lxc_paths.insert(path.to_owned());
    }
    let errors = recover::remove_all(
        shared.lxc.path(),
        &shared.cgroup_parents,
        &shared.config.shared_mounts_dir,
        &shared.unwritten,
        &kept,
    );
    for error in errors {
        log::error!("removing what an earlier agent left: {}", Chain(&error));
    }
    for (id, of_one) in remains {
        if let Ok(network) = shared.network.get()
            && let Err(error) = network.detach(id)
        {
            log::error!("container {id} of an earlier agent: {}", Chain(&error));
        }
        of_one.give_up(&shared.store);
        for report in of_one.ends() {
            // Fails only when the agent is about to end, and leaves it to the next one.
            let _ = shared.reports.try_send(report);
        }
    }
    shared.store.forget_left(&BTreeSet::new());
    adopted
}

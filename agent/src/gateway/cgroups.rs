//! Cgroups gateway: limits and shares of a container, and the class of its network packets.

mod cpu_weight;
pub mod error;
mod files;
mod plan;

use serde_json::Value;
use softwarecontainer_capability::{
    Settings as _,
    gateway::cgroups::{CgroupValue, CgroupsSettings},
};
use softwarecontainer_network::Network;

use super::{
    contract::{self, Gateway},
    error::GatewayError,
    target::Target,
};
use crate::{
    error_chain::Chain,
    host::{cgroup::Cgroups, descriptor_store::Shelf},
};
pub use error::{CgroupsGatewayError, PlanError};
use files::Files;

/// What the gateway has done to one container.
#[derive(Clone, Debug, Default)]
pub struct ContainerCgroup {
    files: Files,
}

impl ContainerCgroup {
    /// Makes the cgroup of container `id`, in which process `init` is, as `settings` say; all but
    /// the device rules. On a failure it is left as it was.
    ///
    /// # Errors
    /// [`CgroupsGatewayError`].
    pub fn set(
        &mut self,
        network: &Network,
        id: i32,
        init: u32,
        settings: &CgroupsSettings,
    ) -> Result<(), CgroupsGatewayError> {
        if settings.values.is_empty() && self.files.is_empty() && network.class(id).is_none() {
            return Ok(());
        }
        let cgroups = Cgroups::of_process(init)?;
        let writes = plan::plan(settings, |controller| cgroups.version(controller))?;
        let before = self.files.clone();
        self.files.change(&cgroups, writes)?;
        if let Err(error) = network.set_class(id, settings.class()) {
            if let Err(undo) = self.files.restore(&before) {
                log::warn!(
                    "container {id}: while taking back a change of its limits, {}",
                    Chain(&undo)
                );
            }
            return Err(CgroupsGatewayError::Class(error));
        }
        Ok(())
    }
}

/// Takes the device rules of a container from what `from` says to what `to` says.
fn change_device_rules(
    target: &Target<'_>,
    from: &CgroupsSettings,
    to: &CgroupsSettings,
) -> Result<(), CgroupsGatewayError> {
    let set = |setting: &'static str, rule: &str| {
        let refused = |source| CgroupsGatewayError::Device {
            setting,
            rule: rule.to_owned(),
            source,
        };
        target.lxc.set_cgroup_item(setting, rule).map_err(refused)
    };
    for (rule, opposite) in [
        ("devices.allow", "devices.deny"),
        ("devices.deny", "devices.allow"),
    ] {
        let (old, new) = (device_rule(from, rule), device_rule(to, rule));
        match (old, new) {
            (old, Some(new)) if old != Some(new) => set(rule, new)?,
            (Some(old), None) => set(opposite, old)?,
            _ => {}
        }
    }
    Ok(())
}

fn device_rule<'a>(settings: &'a CgroupsSettings, rule: &str) -> Option<&'a str> {
    match settings.values.get(rule) {
        Some(CgroupValue::Text(text)) => Some(text),
        _ => None,
    }
}

impl Gateway for ContainerCgroup {
    type Settings = CgroupsSettings;

    fn keep(&mut self, _: &Shelf<'_>) -> Option<Value> {
        serde_json::to_value(&self.files).ok()
    }

    fn adopt(
        &mut self,
        target: &Target<'_>,
        settings: &CgroupsSettings,
        kept: &Value,
        _: &Shelf<'_>,
    ) -> Result<(), GatewayError> {
        let failed = |cause| GatewayError::new(CgroupsSettings::ID, cause);
        self.files = contract::read(kept).map_err(failed)?;
        target
            .network
            .set_class(target.id, settings.class())
            .map_err(|error| failed(Box::new(CgroupsGatewayError::Class(error)).into()))
    }

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &CgroupsSettings,
        to: &CgroupsSettings,
    ) -> Result<(), GatewayError> {
        let failed = |error| GatewayError::new(CgroupsSettings::ID, Box::new(error));
        self.set(target.network, target.id, target.init, to)
            .map_err(failed)?;
        if let Err(error) = change_device_rules(target, from, to) {
            // The rule that was refused changed nothing.
            if let Err(undo) = self.set(target.network, target.id, target.init, from) {
                log::warn!(
                    "container {}: while taking back a change of its limits, {}",
                    target.id,
                    Chain(&undo)
                );
            }
            return Err(GatewayError::new(CgroupsSettings::ID, Box::new(error)));
        }
        Ok(())
    }
}

//! What a gateway opens for each display or sound zone that the container's capabilities name.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value;
use softwarecontainer_capability::{Settings, place::Place};

use super::{
    config::GatewaysConfig,
    contract::{Gateway, ProcessGrants},
    error::{Cause, GatewayError},
    server_socket,
    target::Target,
};
use crate::{error_chain::Chain, host::descriptor_store::Shelf};

/// A server's socket in a container.
pub(super) trait Opening: Default + Send {
    /// What all capabilities together ask of the gateway.
    type Settings: Settings;
    /// What is asked of one socket.
    type Wanted: PartialEq;

    /// The places that the settings name.
    fn places(settings: &Self::Settings) -> BTreeMap<Place, Self::Wanted>;

    /// The variables by which clients find the socket of this name in `/gateways`.
    fn environment(name: String) -> Vec<(&'static str, String)>;

    /// Where the socket of a place is on the host, and its name in `/gateways`.
    ///
    /// # Errors
    /// [`Cause`]: nothing says where it is.
    fn find(config: &GatewaysConfig, place: &Place) -> Result<(PathBuf, String), Cause>;

    /// Shows the socket, or its successor, unless that is there already.
    ///
    /// # Errors
    /// [`Cause`]; what was shown before stays.
    fn show(
        &mut self,
        target: &Target<'_>,
        socket: (PathBuf, String),
        wanted: &Self::Wanted,
    ) -> Result<(), Cause>;

    /// Takes the socket away.
    ///
    /// # Errors
    /// [`Cause`]: it stays.
    fn hide(&mut self, target: &Target<'_>) -> Result<(), Cause>;

    /// What the next agent has to know to go on with it, as [`Gateway::keep`]. What is on the shelf
    /// is called `item`.
    fn keep(&mut self, shelf: &Shelf<'_>, item: &str) -> Option<Value>;

    /// Goes on with what an earlier agent has kept, as [`Gateway::adopt`].
    ///
    /// # Errors
    /// [`Cause`]: it is not there.
    fn adopt(
        &mut self,
        target: &Target<'_>,
        wanted: &Self::Wanted,
        kept: &Value,
        shelf: &Shelf<'_>,
        item: &str,
    ) -> Result<(), Cause>;
}

/// The gateway of one container that opens these: wayland, pulseaudio, pipewire.
#[derive(Debug)]
pub(super) struct Places<O> {
    open: BTreeMap<Place, O>,
    /// Those of which something may be on the shelf.
    shelved: BTreeSet<Place>,
}

impl<O> Default for Places<O> {
    fn default() -> Self {
        Self {
            open: BTreeMap::new(),
            shelved: BTreeSet::new(),
        }
    }
}

impl<O: Opening> Gateway for Places<O> {
    type Settings = O::Settings;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &O::Settings,
        to: &O::Settings,
    ) -> Result<(), GatewayError> {
        let changed = self.go_over(target, &O::places(from), &O::places(to));
        changed.map_err(|cause| GatewayError::new(O::Settings::ID, cause))
    }

    fn refresh(&mut self, target: &Target<'_>, settings: &O::Settings) -> Result<(), GatewayError> {
        let followed = self.follow_all(target, &O::places(settings));
        followed.map_err(|cause| GatewayError::new(O::Settings::ID, cause))
    }

    fn keep(&mut self, shelf: &Shelf<'_>) -> Option<Value> {
        for closed in self
            .shelved
            .iter()
            .filter(|it| !self.open.contains_key(*it))
        {
            O::default().keep(shelf, &item::<O>(closed));
        }
        self.shelved = self.open.keys().cloned().collect();
        let kept = self.open.iter_mut().map(|(place, opening)| {
            let kept = opening.keep(shelf, &item::<O>(place))?;
            Some((key(place).to_owned(), kept))
        });
        kept.collect::<Option<_>>().map(Value::Object)
    }

    fn adopt(
        &mut self,
        target: &Target<'_>,
        settings: &O::Settings,
        kept: &Value,
        shelf: &Shelf<'_>,
    ) -> Result<(), GatewayError> {
        for (place, wanted) in O::places(settings) {
            let kept = kept.get(key(&place)).unwrap_or(&Value::Null);
            let opening = self.open.entry(place.clone()).or_default();
            opening
                .adopt(target, &wanted, kept, shelf, &item::<O>(&place))
                .map_err(|cause| GatewayError::new(O::Settings::ID, cause))?;
            if let Ok((host, _)) = O::find(target.config, &place) {
                server_socket::watch(target, &host);
            }
        }
        self.shelved = self.open.keys().cloned().collect();
        Ok(())
    }

    fn grant(&self, target: &Target<'_>, settings: &O::Settings, process: &mut ProcessGrants) {
        let places = O::places(settings);
        let first = places.keys().next();
        if let Some(Ok((_, name))) = first.map(|place| O::find(target.config, place)) {
            let variables = O::environment(name).into_iter();
            let variables = variables.map(|(name, value)| (name.to_owned(), value));
            process.environment.extend(variables);
        }
    }
}

impl<O: Opening> Places<O> {
    /// Takes the container from one set of places to another, or leaves it as it was.
    ///
    /// # Errors
    /// [`Cause`] of the first place that failed.
    fn go_over(
        &mut self,
        target: &Target<'_>,
        from: &BTreeMap<Place, O::Wanted>,
        to: &BTreeMap<Place, O::Wanted>,
    ) -> Result<(), Cause> {
        for place in from.keys().filter(|place| !to.contains_key(place)) {
            self.close(target, place)?;
        }
        let mut changed = Vec::new();
        for (place, wanted) in to {
            let before = from.get(place);
            let shown = if before == Some(wanted) {
                // The server may be restarting just now.
                self.follow(target, place, wanted)
            } else {
                changed.push(place);
                self.show(target, place, wanted)
            };
            if let Err(failure) = shown {
                for place in changed.into_iter().rev() {
                    let undone = match from.get(place) {
                        Some(before) => self.show(target, place, before),
                        None => self.close(target, place),
                    };
                    if let Err(error) = undone {
                        let id = target.id;
                        log::error!("container {id}: taking back: {}", Chain(&error));
                    }
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Goes over to the successor of each socket, if there is one. While there is none, because its
    /// server restarts, everything stays.
    ///
    /// # Errors
    /// [`Cause`] of the last one that failed; the others were followed.
    fn follow_all(
        &mut self,
        target: &Target<'_>,
        wanted: &BTreeMap<Place, O::Wanted>,
    ) -> Result<(), Cause> {
        let mut failure = Ok(());
        for (place, wanted) in wanted {
            if let Err(error) = self.follow(target, place, wanted) {
                failure = Err(error);
            }
        }
        failure
    }

    fn follow(
        &mut self,
        target: &Target<'_>,
        place: &Place,
        wanted: &O::Wanted,
    ) -> Result<(), Cause> {
        match O::find(target.config, place) {
            Ok((host, _)) if host.exists() => self.show(target, place, wanted),
            _ => Ok(()),
        }
    }

    fn show(
        &mut self,
        target: &Target<'_>,
        place: &Place,
        wanted: &O::Wanted,
    ) -> Result<(), Cause> {
        let socket = O::find(target.config, place)?;
        let opening = self.open.entry(place.clone()).or_default();
        opening.show(target, socket, wanted)
    }

    fn close(&mut self, target: &Target<'_>, place: &Place) -> Result<(), Cause> {
        if let Some(opening) = self.open.get_mut(place) {
            opening.hide(target)?;
        }
        self.open.remove(place);
        Ok(())
    }
}

/// What stands for a place in what is written down.
fn key(place: &Place) -> &str {
    place.name().unwrap_or_default()
}

/// What stands for a place on the shelf; names of places have no dots.
fn item<O: Opening>(place: &Place) -> String {
    format!("{}.{}", O::Settings::ID, key(place))
}

/// Where the socket of a place is, as the agent's configuration says it with keys such as
/// `wayland-display.rear`; `None` for the default place.
pub(super) fn configured(
    sockets: &BTreeMap<Place, PathBuf>,
    place: &Place,
    key: &str,
) -> Option<Result<PathBuf, Cause>> {
    let name = place.name()?;
    let found = sockets.get(place).cloned();
    let missing = || Cause::Other(format!("the agent's configuration has no {key}.{name}"));
    Some(found.ok_or_else(missing))
}

//! Typed access to the entries of a key file, with errors that name file, line, group and key.

use std::{
    collections::BTreeMap,
    fmt::Display,
    net::Ipv4Addr,
    ops::RangeInclusive,
    path::{Component, Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use nix::unistd::User;
use softwarecontainer_capability::{nearest::suggestion, place::Place};

use super::error::{ConfigError, GROUP};
use crate::{
    host::apparmor::AppArmor,
    keyfile::{Entry, Group, KeyFile, unescape},
};

/// What follows `family` and a point in a key.
fn name_in<'a>(family: &str, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(family)?.strip_prefix('.')
}

/// Hands out values by key and remembers which keys were asked for; the others are unknown.
pub(super) struct Reader<'a> {
    file: &'a Path,
    entries: &'a [Entry],
    known: Vec<&'static str>,
    /// Keys that are continued with a point and a name.
    families: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a Path, key_file: &'a KeyFile) -> Result<Self, ConfigError> {
        match key_file.groups.iter().find(|group| group.name != GROUP) {
            Some(Group { name, line }) => Err(ConfigError::UnknownGroup {
                file: file.to_owned(),
                line: *line,
                group: name.clone(),
            }),
            None => Ok(Self {
                file,
                entries: &key_file.entries,
                known: Vec::new(),
                families: Vec::new(),
            }),
        }
    }

    /// Refuses keys that no one has asked for.
    pub fn finish(self) -> Result<(), ConfigError> {
        let is_known = |key: &str| {
            let mut families = self.families.iter();
            self.known.contains(&key) || families.any(|family| name_in(family, key).is_some())
        };
        match self.entries.iter().find(|entry| !is_known(&entry.key)) {
            Some(Entry {
                group, key, line, ..
            }) => Err(ConfigError::UnknownKey {
                file: self.file.to_owned(),
                line: *line,
                group: group.clone(),
                key: key.clone(),
                suggestion: suggestion(key, self.known.iter().copied()),
            }),
            None => Ok(()),
        }
    }

    /// Sets `targets` to the absolute paths of all keys that are `key` with a point and a name.
    pub fn paths_of_places(
        &mut self,
        key: &'static str,
        targets: &mut BTreeMap<Place, PathBuf>,
    ) -> Result<(), ConfigError> {
        self.families.push(key);
        for entry in self.entries {
            let Some(name) = name_in(key, &entry.key) else {
                continue;
            };
            let wrong = |why: &str| ConfigError::Value {
                file: self.file.to_owned(),
                line: entry.line,
                key: entry.key.clone(),
                value: entry.value.clone(),
                why: why.to_owned(),
            };
            let place = Place::named(name).ok_or_else(|| {
                wrong(
                    "cannot be named so: letters, digits, \"-\" and \"_\", a letter first, at \
                     most 32",
                )
            })?;
            let path = unescape(&entry.value)
                .filter(|path| path.starts_with('/') && !path.contains('\0'))
                .ok_or_else(|| wrong("is not an absolute path"))?;
            targets.insert(place, path.into());
        }
        Ok(())
    }

    fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.known.push(key);
        self.entries.iter().rfind(|entry| entry.key == key)
    }

    /// The error that `key` has `value`, which it has from the file or by default; `why` ends the
    /// sentence. What people bring along from other syntaxes is called by its name.
    pub fn error(
        &self,
        key: &'static str,
        value: impl ToString,
        why: impl Into<String>,
    ) -> ConfigError {
        let (file, value, mut why) = (self.file.to_owned(), value.to_string(), why.into());
        if value.contains(" #") {
            why += "; a comment needs a line of its own";
        } else if value.starts_with('"') {
            why += "; quotes belong to the value here: leave them out";
        }
        match self.entries.iter().rfind(|entry| entry.key == key) {
            Some(Entry { line, .. }) => ConfigError::Value {
                file,
                line: *line,
                key: key.to_owned(),
                value,
                why,
            },
            None => ConfigError::Default {
                file,
                key,
                value,
                why,
            },
        }
    }

    /// Sets `target` if the file has `key`.
    pub fn parsed<T: FromStr>(
        &mut self,
        key: &'static str,
        target: &mut T,
        why: &str,
    ) -> Result<(), ConfigError> {
        if let Some(entry) = self.entry(key) {
            *target = entry
                .value
                .parse()
                .map_err(|_| self.error(key, &entry.value, why))?;
        }
        Ok(())
    }

    pub fn bool(&mut self, key: &'static str, target: &mut bool) -> Result<(), ConfigError> {
        self.choice(
            key,
            target,
            &[("true", true), ("false", false), ("1", true), ("0", false)],
        )
    }

    pub fn seconds(&mut self, key: &'static str, target: &mut Duration) -> Result<(), ConfigError> {
        let mut seconds = None;
        if let Some(entry) = self.entry(key) {
            let parsed = entry.value.parse::<u32>();
            seconds =
                Some(parsed.map_err(|_| {
                    self.error(key, &entry.value, "is not a whole number of seconds")
                })?);
        }
        if let Some(seconds) = seconds {
            *target = Duration::from_secs(seconds.into());
        }
        Ok(())
    }

    /// Sets `target` if the file has `key`; the number must be in `range`.
    pub fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        key: &'static str,
        target: &mut T,
        range: RangeInclusive<T>,
    ) -> Result<(), ConfigError> {
        let Some(entry) = self.entry(key) else {
            return Ok(());
        };
        let number = entry.value.parse().ok();
        *target = number.filter(|it| range.contains(it)).ok_or_else(|| {
            let (first, last) = (range.start(), range.end());
            let why = format!("is not a whole number from {first} to {last}");
            self.error(key, &entry.value, why)
        })?;
        Ok(())
    }

    /// Sets `target` if the file has `key`; the number must be in `range`.
    pub fn some_number<T: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        key: &'static str,
        target: &mut Option<T>,
        range: RangeInclusive<T>,
    ) -> Result<(), ConfigError> {
        let mut number = *range.start();
        self.number(key, &mut number, range)?;
        if self.entries.iter().any(|entry| entry.key == key) {
            *target = Some(number);
        }
        Ok(())
    }

    /// Sets `target` to the port numbers, separated by semicolons, if the file has `key`.
    pub fn ports(&mut self, key: &'static str, target: &mut Vec<u16>) -> Result<(), ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(());
        };
        let parts = text.split(';').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        let ports = parts.map(|part| match part.parse() {
            Ok(0) | Err(_) => Err(self.error(key, part, "is not a port from 1 to 65535")),
            Ok(port) => Ok(port),
        });
        *target = ports.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Sets `target` to the IPv4 addresses, separated by semicolons, if the file has `key`.
    pub fn ipv4_addresses(
        &mut self,
        key: &'static str,
        target: &mut Vec<Ipv4Addr>,
    ) -> Result<(), ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(());
        };
        let parts = text.split(';').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        let addresses = parts.map(|part| {
            let parsed = part.parse();
            parsed.map_err(|_| self.error(key, part, "is not an IPv4 address"))
        });
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(self.error(key, &text, "has no address"));
        }
        *target = addresses;
        Ok(())
    }

    /// Sets `target` to the absolute paths, separated by semicolons, if the file has `key`.
    pub fn absolute_paths(
        &mut self,
        key: &'static str,
        target: &mut Vec<PathBuf>,
    ) -> Result<(), ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(());
        };
        let parts = text.split(';').map(str::trim);
        let paths: Vec<PathBuf> = parts
            .filter(|part| !part.is_empty())
            .map(PathBuf::from)
            .collect();
        let is_plain = |path: &PathBuf| {
            path.is_absolute() && !path.components().any(|it| it == Component::ParentDir)
        };
        if let Some(path) = paths.iter().find(|path| !is_plain(path)) {
            let why = "is not an absolute path without \"..\"";
            return Err(self.error(key, path.display(), why));
        }
        *target = paths;
        Ok(())
    }

    /// Sets `target` to the users, names or numbers separated by semicolons, if the file has `key`.
    pub fn users(&mut self, key: &'static str, target: &mut Vec<u32>) -> Result<(), ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(());
        };
        let names = text.split(';').map(str::trim);
        let mut users = Vec::new();
        for name in names.filter(|name| !name.is_empty()) {
            let found = match name.parse() {
                Ok(number) => Some(number),
                Err(_) => User::from_name(name)
                    .ok()
                    .flatten()
                    .map(|user| user.uid.as_raw()),
            };
            users.push(found.ok_or_else(|| self.error(key, name, "is no user of this system"))?);
        }
        *target = users;
        Ok(())
    }

    /// Sets `target` to the absolute paths below `roots`, separated by semicolons, if the file has
    /// `key`.
    pub fn paths_below(
        &mut self,
        key: &'static str,
        roots: &[&str],
        target: &mut Vec<PathBuf>,
    ) -> Result<(), ConfigError> {
        self.absolute_paths(key, target)?;
        let is_below = |path: &PathBuf| {
            roots
                .iter()
                .any(|root| path.starts_with(root) && path.as_path() != Path::new(root))
        };
        match target.iter().find(|path| !is_below(path)) {
            Some(path) => {
                let why = format!("is not below {}", roots.join(" or "));
                Err(self.error(key, path.display(), why))
            }
            None => Ok(()),
        }
    }

    pub fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        target: &mut T,
        choices: &[(&str, T)],
    ) -> Result<(), ConfigError> {
        let Some(entry) = self.entry(key) else {
            return Ok(());
        };
        let Some((_, choice)) = choices.iter().find(|(name, _)| *name == entry.value) else {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            return Err(self.error(
                key,
                &entry.value,
                format!("is none of {}", names.join(", ")),
            ));
        };
        *target = *choice;
        Ok(())
    }

    /// Sets `target` if the file has `key`: `auto`, `off`, or the name of a profile.
    pub fn app_armor(
        &mut self,
        key: &'static str,
        target: &mut AppArmor,
    ) -> Result<(), ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(());
        };
        *target = match text.as_str() {
            "auto" => AppArmor::Auto,
            "off" => AppArmor::Off,
            // What stands for something else in lxc.apparmor.profile
            "" | "generated" | "unchanged" | "unconfined" => {
                let why = "is none of auto, off, and the name of a profile";
                return Err(self.error(key, text, why));
            }
            _ if text.contains(char::is_control) => {
                return Err(self.error(key, text, "contains a control character"));
            }
            _ => AppArmor::Required(text),
        };
        Ok(())
    }

    pub fn string(&mut self, key: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(entry) = self.entry(key) else {
            return Ok(None);
        };
        let text = unescape(&entry.value).ok_or_else(|| {
            self.error(
                key,
                &entry.value,
                "contains a backslash that is no escape (write \\\\)",
            )
        })?;
        if text.contains('\0') {
            return Err(self.error(key, text, "contains a NUL character"));
        }
        Ok(Some(text))
    }

    /// Sets `target` if the file has `key`, and tells whether it has.
    pub fn absolute_path(
        &mut self,
        key: &'static str,
        target: &mut PathBuf,
    ) -> Result<bool, ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(false);
        };
        if !text.starts_with('/') {
            return Err(self.error(key, text, "is not an absolute path"));
        }
        *target = PathBuf::from(text);
        Ok(true)
    }
}

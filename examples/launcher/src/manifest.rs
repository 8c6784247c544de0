//! App manifests: what an app is and what it may have.
//!
//! The agent opens bind-mounted paths as root. Therefore a manifest that somebody else could have
//! written is refused.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{error::Error, manifest_error::ManifestError};

type Keys = Map<String, Value>;

/// An app.
#[derive(Debug, PartialEq)]
pub struct App {
    /// Name: one word for directories and messages.
    pub name: String,
    /// Command line in the container.
    pub command: String,
    /// Capabilities of the agent's manifests.
    pub capabilities: Vec<String>,
    /// The user of the container that the app is; `None` is its root.
    pub user: Option<u32>,
    /// Home directory on the host; `None` is one that the launcher keeps for the app.
    pub home: Option<PathBuf>,
    /// The user of the host to whom the files in the home directory belong, and those in `mounts`;
    /// `None` is the launcher's own. Only a launcher that is root can name another.
    pub home_owner: Option<u32>,
    /// Where the home directory appears in the container, and the value of `HOME` there.
    pub home_in_container: PathBuf,
    /// More directories or files of the host, such as the app itself.
    pub mounts: Vec<Mount>,
    /// Environment variables beside `HOME`.
    pub environment: BTreeMap<String, String>,
    /// Working directory in the container.
    pub directory: PathBuf,
    /// File of the host for standard output and error; `None` relays both to the launcher's own
    /// output.
    pub output: Option<PathBuf>,
    /// Whether writes are kept back until the container is destroyed.
    pub write_buffer: bool,
}

/// A bind mount.
#[derive(Debug, PartialEq)]
pub struct Mount {
    /// Path on the host.
    pub host: PathBuf,
    /// Absolute path in the container.
    pub container: PathBuf,
    /// Whether the app may not write.
    pub read_only: bool,
}

/// The manifest that an argument of `run` means: a path if it has a slash, else a name in the
/// directory of apps.
pub fn find(apps: &Path, argument: &str) -> PathBuf {
    if argument.contains('/') {
        PathBuf::from(argument)
    } else {
        apps.join(format!("{argument}.json"))
    }
}

impl App {
    /// Reads a manifest that only root or the caller can have written.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let failed = |action| {
            move |source| Error::File {
                action,
                path: path.to_owned(),
                source,
            }
        };
        let mut file = File::open(path).map_err(failed("open"))?;
        let status = file.metadata().map_err(failed("look at"))?;
        let wrong = |source| Error::Manifest {
            path: path.to_owned(),
            source,
        };
        let (owner, mode) = (status.uid(), status.mode() & 0o7777);
        if (owner != 0 && owner != nix::unistd::geteuid().as_raw()) || mode & 0o022 != 0 {
            return Err(wrong(ManifestError::Writable { owner, mode }));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed("read"))?;
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        Self::parse(&text, name).map_err(wrong)
    }

    /// Parses a manifest; `name` counts if it has none itself.
    pub fn parse(text: &str, name: &str) -> Result<Self, ManifestError> {
        let Value::Object(mut keys) = serde_json::from_str(text).map_err(ManifestError::Syntax)?
        else {
            return Err(ManifestError::NoObject);
        };
        let name = string(&mut keys, "name")?.unwrap_or_else(|| name.to_owned());
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(wrong("name", "a name for an app", name.into()));
        }
        let home_in_container = absolute(&mut keys, "home-in-container")?
            .unwrap_or_else(|| Path::new("/home").join(&name));
        let app = Self {
            command: string(&mut keys, "command")?.ok_or_else(|| missing("", "command"))?,
            capabilities: strings(&mut keys, "capabilities")?,
            user: number(&mut keys, "user")?,
            home: absolute(&mut keys, "home")?,
            home_owner: number(&mut keys, "home-owner")?,
            directory: absolute(&mut keys, "working-directory")?
                .unwrap_or_else(|| home_in_container.clone()),
            home_in_container,
            mounts: mounts(&mut keys)?,
            environment: environment(&mut keys)?,
            output: absolute(&mut keys, "output")?,
            write_buffer: boolean(&mut keys, "write-buffer")?,
            name,
        };
        // A misspelt key would silently take something from the app or give it something.
        nothing_left(keys)?;
        Ok(app)
    }
}

fn wrong(key: &str, expected: &'static str, found: Value) -> ManifestError {
    ManifestError::Value {
        key: key.to_owned(),
        expected,
        found,
    }
}

fn missing(place: &'static str, key: &'static str) -> ManifestError {
    ManifestError::Missing { place, key }
}

fn nothing_left(keys: Keys) -> Result<(), ManifestError> {
    keys.into_iter()
        .next()
        .map_or(Ok(()), |(key, _)| Err(ManifestError::Unknown(key)))
}

fn string(keys: &mut Keys, key: &'static str) -> Result<Option<String>, ManifestError> {
    match keys.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(key, "a string", other)),
    }
}

fn boolean(keys: &mut Keys, key: &'static str) -> Result<bool, ManifestError> {
    match keys.remove(key) {
        None => Ok(false),
        Some(Value::Bool(value)) => Ok(value),
        Some(other) => Err(wrong(key, "true or false", other)),
    }
}

fn number(keys: &mut Keys, key: &'static str) -> Result<Option<u32>, ManifestError> {
    let Some(value) = keys.remove(key) else {
        return Ok(None);
    };
    let number = value.as_u64().and_then(|number| number.try_into().ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(wrong(key, "the number of a user", value)),
    }
}

fn absolute(keys: &mut Keys, key: &'static str) -> Result<Option<PathBuf>, ManifestError> {
    match string(keys, key)? {
        Some(path) if !path.starts_with('/') => Err(wrong(key, "an absolute path", path.into())),
        path => Ok(path.map(PathBuf::from)),
    }
}

fn strings(keys: &mut Keys, key: &'static str) -> Result<Vec<String>, ManifestError> {
    match keys.remove(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => values
            .into_iter()
            .map(|value| match value {
                Value::String(text) => Ok(text),
                other => Err(wrong(key, "an array of strings", other)),
            })
            .collect(),
        Some(other) => Err(wrong(key, "an array of strings", other)),
    }
}

fn environment(keys: &mut Keys) -> Result<BTreeMap<String, String>, ManifestError> {
    match keys.remove("environment") {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(variables)) => variables
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name, text)),
                other => Err(wrong(&format!("environment.{name}"), "a string", other)),
            })
            .collect(),
        Some(other) => Err(wrong("environment", "an object", other)),
    }
}

fn mounts(keys: &mut Keys) -> Result<Vec<Mount>, ManifestError> {
    let values = match keys.remove("mounts") {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(other) => return Err(wrong("mounts", "an array of objects", other)),
    };
    values
        .into_iter()
        .map(|value| {
            let Value::Object(mut keys) = value else {
                return Err(wrong("mounts", "an array of objects", value));
            };
            let missing = |key| missing("a mount: ", key);
            let mount = Mount {
                host: absolute(&mut keys, "host")?.ok_or_else(|| missing("host"))?,
                container: absolute(&mut keys, "container")?.ok_or_else(|| missing("container"))?,
                read_only: boolean(&mut keys, "read-only")?,
            };
            nothing_left(keys)?;
            Ok(mount)
        })
        .collect()
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;

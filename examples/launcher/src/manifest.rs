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

use crate::error::Error;

/// An app.
#[derive(Debug, PartialEq)]
pub struct App {
    /// Name: one word for directories and messages.
    pub name: String,
    /// Command line in the container.
    pub command: String,
    /// Capabilities of the agent's manifests.
    pub capabilities: Vec<String>,
    /// Home directory on the host; `None` is one that the launcher keeps for the app.
    pub home: Option<PathBuf>,
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
        let wrong = |reason: String| Error::Manifest {
            path: path.to_owned(),
            reason,
        };
        let owner = status.uid();
        if (owner != 0 && owner != nix::unistd::geteuid().as_raw()) || status.mode() & 0o022 != 0 {
            return Err(wrong(format!(
                "others could have written it (owner {owner}, mode {:o})",
                status.mode() & 0o7777
            )));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed("read"))?;
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        Self::parse(&text, name).map_err(wrong)
    }

    /// Parses a manifest; `name` counts if it has none itself. The error is the reason.
    pub fn parse(text: &str, name: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Value::Object(mut keys) = value else {
            return Err("the manifest is no object".to_owned());
        };
        let name = string(&mut keys, "name")?.unwrap_or_else(|| name.to_owned());
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(format!("\"{name}\" is no name for an app"));
        }
        let command =
            string(&mut keys, "command")?.ok_or_else(|| "\"command\" is missing".to_owned())?;
        let home_in_container = absolute(&mut keys, "home-in-container")?
            .unwrap_or_else(|| Path::new("/home").join(&name));
        let app = Self {
            command,
            capabilities: strings(&mut keys, "capabilities")?,
            home: absolute(&mut keys, "home")?,
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
        nothing_left(&keys)?;
        Ok(app)
    }
}

fn nothing_left(keys: &Map<String, Value>) -> Result<(), String> {
    keys.keys()
        .next()
        .map_or(Ok(()), |key| Err(format!("unknown key \"{key}\"")))
}

fn string(keys: &mut Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match keys.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("\"{key}\" is no string but {other}")),
    }
}

fn boolean(keys: &mut Map<String, Value>, key: &str) -> Result<bool, String> {
    match keys.remove(key) {
        None => Ok(false),
        Some(Value::Bool(value)) => Ok(value),
        Some(other) => Err(format!("\"{key}\" is no boolean but {other}")),
    }
}

fn absolute(keys: &mut Map<String, Value>, key: &str) -> Result<Option<PathBuf>, String> {
    match string(keys, key)? {
        Some(path) if !path.starts_with('/') => {
            Err(format!("\"{key}\" is no absolute path but \"{path}\""))
        }
        path => Ok(path.map(PathBuf::from)),
    }
}

fn strings(keys: &mut Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    match keys.remove(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => values
            .into_iter()
            .map(|value| match value {
                Value::String(text) => Ok(text),
                other => Err(format!("\"{key}\" holds {other}, which is no string")),
            })
            .collect(),
        Some(other) => Err(format!("\"{key}\" is no array but {other}")),
    }
}

fn environment(keys: &mut Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    match keys.remove("environment") {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(variables)) => variables
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name, text)),
                other => Err(format!("environment: {name} is no string but {other}")),
            })
            .collect(),
        Some(other) => Err(format!("\"environment\" is no object but {other}")),
    }
}

fn mounts(keys: &mut Map<String, Value>) -> Result<Vec<Mount>, String> {
    let values = match keys.remove("mounts") {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(other) => return Err(format!("\"mounts\" is no array but {other}")),
    };
    values
        .into_iter()
        .map(|value| {
            let Value::Object(mut keys) = value else {
                return Err("\"mounts\" holds something that is no object".to_owned());
            };
            let missing = |key| format!("a mount has no \"{key}\"");
            let mount = Mount {
                host: absolute(&mut keys, "host")?.ok_or_else(|| missing("host"))?,
                container: absolute(&mut keys, "container")?.ok_or_else(|| missing("container"))?,
                read_only: boolean(&mut keys, "read-only")?,
            };
            nothing_left(&keys)?;
            Ok(mount)
        })
        .collect()
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;

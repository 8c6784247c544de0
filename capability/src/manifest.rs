//! One service manifest: a JSON document that defines capabilities.

use crate::error::shown;
use crate::gateway::{Element, known_keys};
use crate::json::{JsonPath, Position, duplicate_keys, locate};
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The only version of the format.
pub const VERSION: &str = "1";

/// What one capability asks of one gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayConfig {
    /// ID of the gateway. Whether it exists is checked when the capability is set.
    pub id: String,
    /// The gateway's configuration: from a manifest always an array of objects, possibly empty.
    pub config: Value,
    /// Where it was read.
    pub origin: Origin,
}

/// Where a gateway configuration was read: identifies it, and tells people where to look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The manifest.
    pub file: Arc<Path>,
    /// Name of the capability.
    pub capability: Arc<str>,
    /// The gateway's object in the manifest, such as `capabilities[0].gateways[1]`.
    pub path: JsonPath,
}

impl Origin {
    /// The `gateway`-th gateway of the `index`-th capability, which is called `capability`, of
    /// manifest `file`.
    #[must_use]
    pub fn new(file: &Path, capability: &str, index: usize, gateway: usize) -> Self {
        let path = JsonPath::default()
            .join("capabilities")
            .join(index)
            .join("gateways")
            .join(gateway);
        Self {
            file: file.into(),
            capability: capability.into(),
            path,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "capability {} in {}",
            self.capability,
            self.file.display()
        )
    }
}

/// A capability as one manifest defines it; others may add to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Capability {
    /// Its name, in reverse DNS by convention.
    pub name: String,
    /// What it asks of gateways, in the order of the manifest.
    pub gateways: Vec<GatewayConfig>,
}

/// The contents of one manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Capabilities in the order of the file; a name may come more than once.
    pub capabilities: Vec<Capability>,
    /// What is probably wrong but does not stop anything.
    pub warnings: Vec<Warning>,
}

/// Something in a manifest that is probably a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The manifest.
    pub file: PathBuf,
    /// Where in it; `None` when it is about the whole file.
    pub position: Option<Position>,
    /// What is odd.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(position) = self.position {
            write!(f, ":{position}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A manifest, or a place of manifests, that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ManifestError {
    /// A file or directory could not be read.
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The path is one that cannot hold manifests.
    Refused {
        /// The path.
        path: PathBuf,
        /// Why, as the end of a sentence.
        why: &'static str,
    },
    /// The file is larger than allowed.
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The most bytes.
        limit: u32,
    },
    /// The file is no JSON.
    Syntax {
        /// The file.
        file: PathBuf,
        /// Where the JSON ends to be JSON.
        position: Position,
        /// What is wrong.
        message: String,
    },
    /// The file is JSON, but no manifest.
    Format {
        /// The file.
        file: PathBuf,
        /// Where the wrong value, or the object that lacks a key, starts.
        position: Position,
        /// The value or missing key, such as `capabilities[0].name`; empty for the whole document.
        path: JsonPath,
        /// What is wrong, as the end of a sentence.
        message: String,
    },
}

impl ManifestError {
    /// The file or directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. } | Self::Refused { path, .. } => path,
            Self::TooLarge { file, .. } | Self::Syntax { file, .. } | Self::Format { file, .. } => {
                file
            }
        }
    }

    /// Where in the file; `None` when it was not even read.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Syntax { position, .. } | Self::Format { position, .. } => Some(*position),
            Self::Read { .. } | Self::Refused { .. } | Self::TooLarge { .. } => None,
        }
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Read { source, .. } => format!("cannot be read: {source}"),
            Self::Refused { why, .. } => (*why).to_owned(),
            Self::TooLarge { limit, .. } => {
                format!("is larger than the {limit} bytes of max-manifest-size")
            }
            Self::Syntax { message, .. } => message.clone(),
            Self::Format { path, message, .. } if path.0.is_empty() => {
                format!("manifest: {message}")
            }
            Self::Format { path, message, .. } => format!("{path}: {message}"),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path().display())?;
        if let Some(position) = self.position() {
            write!(f, ":{position}")?;
        }
        write!(f, ": {}", self.message())
    }
}

impl std::error::Error for ManifestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Reads a manifest from `source`, the contents of `file`.
///
/// # Errors
/// `source` is no JSON, or does not have the structure of a manifest.
pub fn parse(file: &Path, source: &[u8]) -> Result<Manifest, ManifestError> {
    let document: Value = serde_json::from_slice(source).map_err(|e| ManifestError::Syntax {
        file: file.to_owned(),
        position: Position {
            line: e.line(),
            column: e.column(),
        },
        message: without_position(&e.to_string()),
    })?;
    let mut reader = Reader {
        file,
        source,
        warnings: Vec::new(),
    };
    let capabilities = reader.document(&document)?;
    Ok(Manifest {
        capabilities,
        warnings: reader.warnings,
    })
}

/// serde_json's message without its " at line 1 column 2": the caller tells the position its own
/// way.
fn without_position(message: &str) -> String {
    message
        .rfind(" at line ")
        .map_or(message, |end| &message[..end])
        .to_owned()
}

struct Reader<'a> {
    file: &'a Path,
    source: &'a [u8],
    warnings: Vec<Warning>,
}

impl Reader<'_> {
    fn document(&mut self, document: &Value) -> Result<Vec<Capability>, ManifestError> {
        let top = JsonPath::default();
        let object = self.object(document, &top)?;
        for path in duplicate_keys(self.source) {
            self.warn(
                &path,
                format!("{path}: the key comes twice in its object, the last one counts"),
            );
        }
        self.warn_of_unknown_keys(object, &top, &["version", "capabilities"]);
        match object.get("version") {
            None => self.warn(&top, format!("version is missing; {VERSION:?} is assumed")),
            Some(Value::String(version)) if version == VERSION => {}
            Some(other) => {
                let message = format!("must be {VERSION:?}, but is {}", shown(other));
                return Err(self.error(&top.join("version"), message));
            }
        }
        let path = top.join("capabilities");
        let Some(capabilities) = object.get("capabilities") else {
            return Err(self.error(&path, "is missing"));
        };
        self.array(capabilities, &path)?
            .iter()
            .enumerate()
            .map(|(i, c)| self.capability(c, i, &path.join(i)))
            .collect()
    }

    fn capability(
        &mut self,
        value: &Value,
        index: usize,
        at: &JsonPath,
    ) -> Result<Capability, ManifestError> {
        let object = self.object(value, at)?;
        self.warn_of_unknown_keys(object, at, &["name", "gateways"]);
        let name = self.name(object, at, "name")?;
        let path = at.join("gateways");
        let Some(gateways) = object.get("gateways") else {
            return Ok(Capability {
                name,
                gateways: Vec::new(),
            });
        };
        let gateways = self
            .array(gateways, &path)?
            .iter()
            .enumerate()
            .map(|(i, gateway)| self.gateway(gateway, Origin::new(self.file, &name, index, i)))
            .collect::<Result<_, _>>()?;
        Ok(Capability { name, gateways })
    }

    fn gateway(&mut self, value: &Value, origin: Origin) -> Result<GatewayConfig, ManifestError> {
        let at = &origin.path;
        let object = self.object(value, at)?;
        self.warn_of_unknown_keys(object, at, &["id", "config"]);
        let id = self.name(object, at, "id")?;
        let path = at.join("config");
        let Some(config) = object.get("config") else {
            return Err(self.error(&path, "is missing"));
        };
        for (i, element) in self.array(config, &path)?.iter().enumerate() {
            self.object(element, &path.join(i))?;
            if let Some(keys) = known_keys(&id) {
                self.warn_of_unknown_keys_inside(element, &path.join(i), keys);
            }
        }
        Ok(GatewayConfig {
            id,
            config: config.clone(),
            origin,
        })
    }

    fn object<'v>(&self, value: &'v Value, at: &JsonPath) -> Result<&'v Element, ManifestError> {
        value
            .as_object()
            .ok_or_else(|| self.error(at, format!("must be an object, but is {}", shown(value))))
    }

    fn array<'v>(&self, value: &'v Value, at: &JsonPath) -> Result<&'v [Value], ManifestError> {
        let array = value
            .as_array()
            .ok_or_else(|| self.error(at, format!("must be an array, but is {}", shown(value))))?;
        Ok(array)
    }

    /// The string at `key`, which must be there and must not be empty.
    fn name(&self, object: &Element, at: &JsonPath, key: &str) -> Result<String, ManifestError> {
        match object.get(key) {
            Some(Value::String(name)) if !name.is_empty() => Ok(name.clone()),
            Some(other) => Err(self.error(
                &at.join(key),
                format!("must be a non-empty string, but is {}", shown(other)),
            )),
            None => Err(self.error(&at.join(key), "is missing")),
        }
    }

    fn error(&self, path: &JsonPath, message: impl Into<String>) -> ManifestError {
        ManifestError::Format {
            file: self.file.to_owned(),
            position: locate(self.source, path),
            path: path.clone(),
            message: message.into(),
        }
    }

    fn warn(&mut self, path: &JsonPath, message: String) {
        let position = Some(locate(self.source, path));
        self.warnings.push(Warning {
            file: self.file.to_owned(),
            position,
            message,
        });
    }

    fn warn_of_unknown_keys(&mut self, object: &Element, at: &JsonPath, known: &[&str]) {
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            let path = at.join(key.as_str());
            self.warn(&path, format!("{path}: unknown key, ignored"));
        }
    }

    /// A key that a gateway does not know may be a typing mistake that opens more than was meant
    /// ("port" for "ports").
    fn warn_of_unknown_keys_inside(&mut self, value: &Value, at: &JsonPath, known: &[&str]) {
        match value {
            Value::Object(object) => {
                self.warn_of_unknown_keys(object, at, known);
                for (key, inner) in object {
                    self.warn_of_unknown_keys_inside(inner, &at.join(key.as_str()), known);
                }
            }
            Value::Array(elements) => {
                for (i, inner) in elements.iter().enumerate() {
                    self.warn_of_unknown_keys_inside(inner, &at.join(i), known);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;

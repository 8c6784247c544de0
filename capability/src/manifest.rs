//! One service manifest: a JSON document that defines capabilities.

mod error;

pub use error::{FormatError, ManifestError};

use crate::{
    element::Element,
    gateway::{doubts, known_keys},
    gateway_config::{GatewayConfig, Origin},
    json::{JsonPath, Position, duplicate_keys, locate, shown},
    nearest::{nearest, suggestion},
};
use serde_json::Value;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The only version of the format.
pub const VERSION: &str = "1";

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

/// Reads a manifest from `source`, the contents of `file`.
///
/// # Errors
/// `source` is no JSON, or does not have the structure of a manifest.
pub fn parse(file: &Path, source: &[u8]) -> Result<Manifest, FormatError> {
    // Editors of some systems put a byte order mark before UTF-8.
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    let document: Value = serde_json::from_slice(source).map_err(|e| FormatError {
        file: file.to_owned(),
        position: Position {
            line: e.line(),
            column: e.column(),
        },
        message: syntax_message(source, &e),
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

/// serde_json's message without its " at line 1 column 2", which the caller tells its own way, and
/// with what people bring along from other languages called by its name.
fn syntax_message(source: &[u8], error: &serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.rfind(" at line ").map_or(&*text, |end| &text[..end]);
    let line = source.split(|&b| b == b'\n').nth(error.line() - 1);
    let rest = line.and_then(|line| line.get(error.column().saturating_sub(1)..));
    let advice = match rest {
        Some([b'/', b'/' | b'*', ..] | [b'#', ..]) => "; JSON has no comments: remove it",
        Some([b'\'', ..]) => "; JSON takes \"double quotes\" only",
        _ => "",
    };
    format!("{message}{advice}")
}

struct Reader<'a> {
    file: &'a Path,
    source: &'a [u8],
    warnings: Vec<Warning>,
}

impl Reader<'_> {
    fn document(&mut self, document: &Value) -> Result<Vec<Capability>, FormatError> {
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
    ) -> Result<Capability, FormatError> {
        let object = self.object(value, at)?;
        self.warn_of_unknown_keys(object, at, &["name", "gateways"]);
        let name = self.name(object, at, "name")?;
        let path = at.join("gateways");
        let Some(gateways) = object.get("gateways") else {
            // Without them the capability would open nothing, and nobody would know why.
            if let Some(key) = object
                .keys()
                .find(|key| !matches!(key.as_str(), "name") && nearest(key, ["gateways"]).is_some())
            {
                let path = at.join(key.as_str());
                return Err(self.error(&path, "unknown key; did you mean \"gateways\"?"));
            }
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

    fn gateway(&mut self, value: &Value, origin: Origin) -> Result<GatewayConfig, FormatError> {
        let at = &origin.path;
        let object = self.object(value, at)?;
        self.warn_of_unknown_keys(object, at, &["id", "config"]);
        let id = self.name(object, at, "id")?;
        let path = at.join("config");
        let Some(config) = object.get("config") else {
            return Err(self.error(&path, "is missing"));
        };
        let elements = self.array(config, &path)?;
        if let Some(keys) = known_keys(&id) {
            for (i, element) in elements.iter().enumerate() {
                self.warn_of_unknown_keys_inside(element, &path.join(i), keys);
            }
        }
        for (i, element) in elements.iter().enumerate() {
            let element = element.as_object();
            for (key, doubt) in element.map_or_else(Vec::new, |element| doubts(&id, element)) {
                let path = path.join(i).join(key);
                self.warn(&path, format!("{path}: {doubt}"));
            }
        }
        Ok(GatewayConfig {
            id,
            config: config.clone(),
            origin,
        })
    }

    fn object<'v>(&self, value: &'v Value, at: &JsonPath) -> Result<&'v Element, FormatError> {
        value
            .as_object()
            .ok_or_else(|| self.error(at, format!("must be an object, but is {}", shown(value))))
    }

    fn array<'v>(&self, value: &'v Value, at: &JsonPath) -> Result<&'v [Value], FormatError> {
        let array = value
            .as_array()
            .ok_or_else(|| self.error(at, format!("must be an array, but is {}", shown(value))))?;
        Ok(array)
    }

    /// The string at `key`, which must be there and must not be empty.
    fn name(&self, object: &Element, at: &JsonPath, key: &str) -> Result<String, FormatError> {
        match object.get(key) {
            // No message of D-Bus can hold it.
            Some(Value::String(name)) if name.contains('\0') => {
                Err(self.error(&at.join(key), format!("{name:?} contains a NUL character")))
            }
            Some(Value::String(name)) if !name.is_empty() => Ok(name.clone()),
            Some(other) => Err(self.error(
                &at.join(key),
                format!("must be a non-empty string, but is {}", shown(other)),
            )),
            None => Err(self.error(&at.join(key), "is missing")),
        }
    }

    fn error(&self, path: &JsonPath, message: impl Into<String>) -> FormatError {
        let message = message.into();
        FormatError {
            file: self.file.to_owned(),
            position: locate(self.source, path),
            message: if path.0.is_empty() {
                format!("manifest: {message}")
            } else {
                format!("{path}: {message}")
            },
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
            let suggestion = suggestion(key, known.iter().copied());
            self.warn(&path, format!("{path}: unknown key, ignored{suggestion}"));
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

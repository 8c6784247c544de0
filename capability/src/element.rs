//! Reading typed values out of one element of a gateway configuration.
//!
//! Strings end up as paths, environment variables and rule arguments, all of which end at a NUL for
//! the kernel; hence no string with a NUL is accepted anywhere.

use crate::error::ConfigError;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};

/// One object of a gateway's `config` array.
pub type Element = serde_json::Map<String, Value>;

/// The string at `key`, or `None` when the key is absent.
///
/// # Errors
/// The value is no string, or has a NUL in it.
pub fn optional_str<'a>(element: &'a Element, key: &str) -> Result<Option<&'a str>, ConfigError> {
    let Some(value) = element.get(key) else {
        return Ok(None);
    };
    let Value::String(text) = value else {
        return Err(ConfigError::wrong_type(key, "a string", value));
    };
    if text.contains('\0') {
        return Err(ConfigError::invalid(key, value, "contains a NUL character"));
    }
    Ok(Some(text))
}

/// The string at `key`, which must be there and must not be empty.
///
/// # Errors
/// The key is missing, or its value is no string, is empty or has a NUL in it.
pub fn required_str<'a>(element: &'a Element, key: &str) -> Result<&'a str, ConfigError> {
    match optional_str(element, key)? {
        None => Err(ConfigError::missing(key)),
        Some("") => Err(ConfigError::invalid(
            key,
            &Value::from(""),
            "must not be empty",
        )),
        Some(text) => Ok(text),
    }
}

/// The boolean at `key`, or `None` when the key is absent.
///
/// # Errors
/// The value is no boolean.
pub fn optional_bool(element: &Element, key: &str) -> Result<Option<bool>, ConfigError> {
    match element.get(key) {
        None => Ok(None),
        Some(_) => required_bool(element, key).map(Some),
    }
}

/// The boolean at `key`, which must be there.
///
/// # Errors
/// The key is missing or its value is no boolean.
pub fn required_bool(element: &Element, key: &str) -> Result<bool, ConfigError> {
    match element.get(key) {
        None => Err(ConfigError::missing(key)),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(ConfigError::wrong_type(key, "true or false", other)),
    }
}

/// The absolute path of the host at `key`, as [`required_absolute_path`]. What only a shell would
/// replace is refused: it would be taken for the name of a file.
///
/// # Errors
/// As for [`required_absolute_path`], and a path with `~`, a variable or wildcards.
pub fn required_host_path(element: &Element, key: &str) -> Result<PathBuf, ConfigError> {
    let text = required_str(element, key)?;
    let why = if text.starts_with('~') {
        "begins with \"~\", which only a shell replaces: write the whole path"
    } else if text.split('/').any(|part| part.starts_with('$')) {
        "has a variable in it, which only a shell replaces: write the whole path"
    } else if text.contains(['*', '?']) {
        "has wildcards in it, which mean nothing here: name each file, or the directory"
    } else if !text.starts_with('/') {
        "is not an absolute path: begin with \"/\""
    } else {
        return Ok(Path::new(text).components().collect());
    };
    Err(ConfigError::invalid(key, &text.into(), why))
}

/// The absolute path at `key`, which must be there, without doubled or trailing slashes and `.`
/// parts.
///
/// # Errors
/// The key is missing, or its value is no string, or no absolute path, or the root directory
/// itself.
pub fn required_absolute_path(element: &Element, key: &str) -> Result<PathBuf, ConfigError> {
    let text = required_str(element, key)?;
    let path: PathBuf = Path::new(text).components().collect();
    if !path.is_absolute() {
        return Err(ConfigError::invalid(
            key,
            &text.into(),
            "is not an absolute path",
        ));
    }
    if !path
        .components()
        .any(|part| matches!(part, Component::Normal(_)))
    {
        return Err(ConfigError::invalid(
            key,
            &text.into(),
            "is the root directory",
        ));
    }
    Ok(path)
}

//! The options of one container: the argument of `Create`.

use serde_json::{Map, Value};
use softwarecontainer_capability::json::shown;
use thiserror::Error;

/// How a container is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerOptions {
    /// What apps write to the root tree and to directories bind-mounted into it goes to a buffer,
    /// until `Destroy`.
    pub write_buffer: bool,
    /// Size of the tmpfs that holds the root tree and the buffer, in bytes, if the launcher says.
    pub size: Option<u64>,
    /// The user of the container that apps are; 0 is its root.
    pub user: u32,
    /// The user of the host to whom the files belong that apps make in mounts.
    pub host_user: Option<u32>,
}

const ENABLED: &str = "writeBufferEnabled";
const SIZE_ENABLED: &str = "temporaryFileSystemWriteBufferEnabled";
const SIZE: &str = "temporaryFileSystemSize";
const USER: &str = "userID";
const HOST_USER: &str = "hostUserID";
const KEYS: [&str; 5] = [ENABLED, SIZE_ENABLED, SIZE, USER, HOST_USER];
/// The last user that a container can have: the next one is nobody.
pub const LAST_USER: u32 = 65533;
/// The last user that a host can have: the next one stands for none (chown(2)).
const LAST_HOST_USER: u32 = u32::MAX - 1;

/// An argument of `Create` that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The argument is empty.
    #[error("container options: the text is empty; \"[]\" stands for all defaults")]
    Empty,
    /// It is no JSON.
    #[error("container options: no JSON")]
    Syntax(#[source] serde_json::Error),
    /// It is JSON, but no array.
    #[error("container options: must be an array of objects, but are {found}")]
    NoArray {
        /// The value.
        found: String,
    },
    /// An element is no object.
    #[error("container options: [{element}] must be an object, but is {found}")]
    NoObject {
        /// Index of the element.
        element: usize,
        /// The element.
        found: String,
    },
    /// A key that each element must have is missing.
    #[error("container options: [{element}].{key} is missing")]
    Missing {
        /// Index of the element.
        element: usize,
        /// The key.
        key: &'static str,
    },
    /// A key has a value that cannot be used.
    #[error("container options: [{element}].{key} must be {expected}, but is {found}")]
    Value {
        /// Index of the element.
        element: usize,
        /// The key.
        key: &'static str,
        /// What is needed, with its article.
        expected: &'static str,
        /// The value.
        found: String,
    },
}

/// Reads the argument of `Create`. Keys of later elements win. Unknown keys are ignored, so that
/// newer launchers work with older agents; they are returned for a warning in the log.
///
/// # Errors
/// Anything but a JSON array of objects that each have a boolean `writeBufferEnabled` and, if they
/// have them, the other keys with values of their type.
pub fn parse(text: &str) -> Result<(ContainerOptions, Vec<String>), OptionsError> {
    if text.trim().is_empty() {
        return Err(OptionsError::Empty);
    }
    let elements = match serde_json::from_str(text).map_err(OptionsError::Syntax)? {
        Value::Array(elements) => elements,
        other => {
            return Err(OptionsError::NoArray {
                found: shown(&other),
            });
        }
    };
    let mut write_buffer = None;
    let mut size_enabled = None;
    let mut size = None;
    let (mut user, mut host_user) = (None, None);
    let mut unknown = Vec::new();
    for (element, value) in elements.iter().enumerate() {
        let Value::Object(object) = value else {
            return Err(OptionsError::NoObject {
                element,
                found: shown(value),
            });
        };
        let enabled = boolean(object, element, ENABLED)?;
        write_buffer = Some(enabled.ok_or(OptionsError::Missing {
            element,
            key: ENABLED,
        })?);
        size_enabled = boolean(object, element, SIZE_ENABLED)?.or(size_enabled);
        size = bytes(object, element, SIZE)?.or(size);
        let expected = "a whole number from 0 to 65533";
        user = user_id(object, element, USER, LAST_USER, expected)?.or(user);
        let expected = "the number of a user of the host";
        host_user = user_id(object, element, HOST_USER, LAST_HOST_USER, expected)?.or(host_user);
        unknown.extend(
            object
                .keys()
                .filter(|key| !KEYS.contains(&key.as_str()))
                .cloned(),
        );
    }
    let options = ContainerOptions {
        write_buffer: write_buffer.unwrap_or_default(),
        size: size.filter(|_| size_enabled == Some(true)),
        user: user.unwrap_or_default(),
        host_user,
    };
    Ok((options, unknown))
}

fn boolean(
    object: &Map<String, Value>,
    element: usize,
    key: &'static str,
) -> Result<Option<bool>, OptionsError> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(other) => Err(OptionsError::Value {
            element,
            key,
            expected: "true or false",
            found: shown(other),
        }),
    }
}

fn user_id(
    object: &Map<String, Value>,
    element: usize,
    key: &'static str,
    last: u32,
    expected: &'static str,
) -> Result<Option<u32>, OptionsError> {
    let Some(value) = object.get(key) else {
        return Ok(None);
    };
    let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
    match id.filter(|id| *id <= last) {
        Some(id) => Ok(Some(id)),
        None => Err(OptionsError::Value {
            element,
            key,
            expected,
            found: shown(value),
        }),
    }
}

/// A size of 0 is refused: for a tmpfs it would mean no limit at all.
fn bytes(
    object: &Map<String, Value>,
    element: usize,
    key: &'static str,
) -> Result<Option<u64>, OptionsError> {
    let Some(value) = object.get(key) else {
        return Ok(None);
    };
    match value.as_u64() {
        Some(size) if size > 0 => Ok(Some(size)),
        _ => Err(OptionsError::Value {
            element,
            key,
            expected: "a positive whole number of bytes",
            found: shown(value),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options(text: &str) -> ContainerOptions {
        parse(text).unwrap().0
    }

    fn error(text: &str) -> String {
        crate::error_chain::Chain(&parse(text).unwrap_err()).to_string()
    }

    #[test]
    fn an_empty_array_is_a_container_with_all_defaults() {
        assert_eq!(
            options("[]"),
            ContainerOptions {
                write_buffer: false,
                size: None,
                user: 0,
                host_user: None
            }
        );
    }

    #[test]
    fn keys_of_later_elements_win() {
        assert!(
            !options(r#"[{"writeBufferEnabled": true}, {"writeBufferEnabled": false}]"#)
                .write_buffer
        );
        assert!(
            options(r#"[{"writeBufferEnabled": false}, {"writeBufferEnabled": true}]"#)
                .write_buffer
        );
    }

    #[test]
    fn the_user_is_one_that_a_container_has() {
        let user = |id: &str| {
            parse(&format!(
                r#"[{{"writeBufferEnabled": true, "userID": {id}}}]"#
            ))
        };
        assert_eq!(user("1000").unwrap().0.user, 1000);
        assert_eq!(user("0").unwrap().0.user, 0);
        for wrong in [
            "-1",
            "65534",
            "4294967296",
            "1.5",
            "\"1000\"",
            "true",
            "null",
        ] {
            assert!(user(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_host_user_is_one_that_a_host_can_have() {
        let user = |id: &str| {
            let text = format!(r#"[{{"writeBufferEnabled": true, "hostUserID": {id}}}]"#);
            parse(&text).map(|(options, _)| options.host_user)
        };
        assert_eq!(user("0").unwrap(), Some(0));
        assert_eq!(user("70000").unwrap(), Some(70000));
        for wrong in ["-1", "4294967295", "1.5", "\"app\"", "null"] {
            let text = crate::error_chain::Chain(&user(wrong).unwrap_err()).to_string();
            assert!(text.contains("[0].hostUserID must be the number"), "{text}");
        }
    }

    #[test]
    fn the_size_counts_only_when_it_is_enabled() {
        let size = |text: &str| options(text).size;
        let size_1000 = r#""writeBufferEnabled": true, "temporaryFileSystemSize": 1000"#;
        assert_eq!(size(&format!("[{{{size_1000}}}]")), None);
        assert_eq!(
            size(&format!(
                r#"[{{{size_1000}, "temporaryFileSystemWriteBufferEnabled": true}}]"#
            )),
            Some(1000)
        );
        assert_eq!(
            size(&format!(
                r#"[{{{size_1000}, "temporaryFileSystemWriteBufferEnabled": false}}]"#
            )),
            None
        );
        let in_two = format!(
            r#"[{{{size_1000}}}, {{"writeBufferEnabled": true, "temporaryFileSystemWriteBufferEnabled": true}}]"#
        );
        assert_eq!(size(&in_two), Some(1000));
        assert_eq!(
            size(
                r#"[{"writeBufferEnabled": true, "temporaryFileSystemWriteBufferEnabled": true}]"#
            ),
            None
        );
    }

    #[test]
    fn unknown_keys_are_ignored_and_told() {
        let (read, unknown) =
            parse(r#"[{"writeBufferEnabled": true, "newInVersion2": {}}]"#).unwrap();
        assert!(read.write_buffer);
        assert_eq!(unknown, ["newInVersion2"]);
    }

    #[test]
    fn what_is_not_an_array_of_objects_with_the_required_key_is_refused() {
        for (text, expected) in [
            ("", "the text is empty"),
            (" \n", "the text is empty"),
            ("[", "no JSON: EOF while parsing a list at line 1 column 1"),
            ("writeBufferEnabled", "no JSON"),
            ("[] x", "no JSON"),
            (
                "{\"writeBufferEnabled\": true}",
                "must be an array of objects, but are {\"writeBufferEnabled\":true}",
            ),
            ("null", "must be an array of objects, but are null"),
            ("[true]", "[0] must be an object, but is true"),
            ("[{}]", "[0].writeBufferEnabled is missing"),
            (
                "[{\"writeBufferEnabled\": true}, {}]",
                "[1].writeBufferEnabled is missing",
            ),
            (
                "[{\"writeBufferEnabled\": \"true\"}]",
                "[0].writeBufferEnabled must be true or false, but is \"true\"",
            ),
            (
                "[{\"writeBufferEnabled\": 1}]",
                "[0].writeBufferEnabled must be true or false, but is 1",
            ),
            (
                "[{\"writeBufferEnabled\": true, \"temporaryFileSystemSize\": 0}]",
                "[0].temporaryFileSystemSize must be a positive whole number of bytes, but is 0",
            ),
            (
                "[{\"writeBufferEnabled\": true, \"temporaryFileSystemSize\": -5}]",
                "but is -5",
            ),
            (
                "[{\"writeBufferEnabled\": true, \"temporaryFileSystemSize\": 1.5}]",
                "but is 1.5",
            ),
            (
                "[{\"writeBufferEnabled\": true, \"temporaryFileSystemSize\": 99999999999999999999}]",
                "whole number",
            ),
            (
                "[{\"writeBufferEnabled\": true, \"temporaryFileSystemWriteBufferEnabled\": 1}]",
                "true or false, but is 1",
            ),
        ] {
            let error = error(text);
            assert!(
                error.starts_with("container options: ") && error.contains(expected),
                "{text}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = parse(&text);
        }

        #[test]
        fn text_that_looks_like_options_is_read_or_refused(
            text in r#"\[(\{("(writeBufferEnabled|temporaryFileSystemSize|temporaryFileSystemWriteBufferEnabled|x)": ?(true|false|[0-9]{1,25}|-1|null|"a"),?){0,3}\},?){0,3}\]"#
        ) {
            if let Ok((options, _)) = parse(&text) {
                prop_assert!(options.size != Some(0));
            }
        }
    }
}

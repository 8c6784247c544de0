//! File gateway: files and directories of the host in a container.

use crate::{
    element::{Element, required_absolute_path, required_bool, required_host_path},
    error::ConfigError,
    settings::Settings,
};
use std::{collections::BTreeMap, path::PathBuf};

/// Merged configuration of the file gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct FileSettings {
    /// What to mount, by absolute path in the container. A parent comes before what lies in it.
    pub mounts: BTreeMap<PathBuf, FileMount>,
}

/// One file or directory of the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileMount {
    /// Path on the host.
    pub host: PathBuf,
    /// The container may not write to it.
    pub read_only: bool,
}

impl Settings for FileSettings {
    const ID: &'static str = "file";
    const KEYS: &'static [&'static str] = &["path-host", "path-container", "read-only"];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        let host = required_host_path(element, "path-host")?;
        let container = required_absolute_path(element, "path-container")?;
        let read_only = required_bool(element, "read-only")?;

        match self.mounts.get_mut(&container) {
            None => {
                self.mounts.insert(container, FileMount { host, read_only });
            }
            Some(old) if old.host == host => old.read_only &= read_only,
            Some(old) => {
                let with = format!("{:?} that {} already is", old.host, container.display());
                return Err(ConfigError::conflict(
                    "path-host",
                    &host.to_string_lossy().into(),
                    with,
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::merged;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::path::Path;

    fn file(host: &str, container: &str, read_only: bool) -> Value {
        json!({"path-host": host, "path-container": container, "read-only": read_only})
    }

    fn mounts(config: Value) -> Vec<(String, String, bool)> {
        let settings: FileSettings = merged(config).unwrap();
        let text = |path: &Path| path.display().to_string();
        settings
            .mounts
            .iter()
            .map(|(at, m)| (text(at), text(&m.host), m.read_only))
            .collect()
    }

    #[test]
    fn the_same_pair_twice_is_one_mount_and_read_write_wins() {
        let config = json!([
            file("/h", "/c", true),
            file("/h/", "/c//.", false),
            file("/h", "/c", true)
        ]);
        assert_eq!(mounts(config), [("/c".into(), "/h".into(), false)]);
    }

    #[test]
    fn one_host_path_may_appear_at_several_places() {
        assert_eq!(
            mounts(json!([file("/h", "/b", true), file("/h", "/a", false)])).len(),
            2
        );
    }

    #[test]
    fn another_host_path_at_the_same_place_is_an_error() {
        let error =
            merged::<FileSettings>(json!([file("/h", "/c", true), file("/i", "/c/", true)]))
                .unwrap_err();
        assert_eq!(
            error.to_string(),
            "gateway \"file\", config[1].path-host: \"/i\" contradicts \"/h\" that /c already is"
        );
    }

    #[test]
    fn refuses_incomplete_elements_and_unusable_paths() {
        for (config, wrong) in [
            (json!([{}]), "path-host: is missing"),
            (
                json!([{"path-host": "/h", "read-only": true}]),
                "path-container: is missing",
            ),
            (
                json!([{"path-host": "/h", "path-container": "/c"}]),
                "read-only: is missing",
            ),
            (
                json!([{"path-host": "/h", "path-container": "/c", "read-only": "false"}]),
                "read-only: must be true or false",
            ),
            (
                json!([file("", "/c", true)]),
                "path-host: \"\" must not be empty",
            ),
            (json!([file("/h\0", "/c", true)]), "NUL"),
            (
                json!([file("/h", "c", true)]),
                "path-container: \"c\" is not an absolute path",
            ),
            (
                json!([file("/h", "//.", true)]),
                "path-container: \"//.\" is the root directory",
            ),
            (json!([file("/h", "/..", true)]), "is the root directory"),
        ] {
            let error = merged::<FileSettings>(config).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_elements_does_not_matter(pairs in prop::collection::vec(("[a-c]", any::<bool>()), 1..12)) {
            let elements: Vec<Value> = pairs.iter().map(|(name, ro)| file(&format!("/h/{name}"), &format!("/c/{name}"), *ro)).collect();
            let mut reversed = elements.clone();
            reversed.reverse();
            prop_assert_eq!(mounts(elements.into()), mounts(reversed.into()));
        }

        #[test]
        fn merging_twice_changes_nothing(pairs in prop::collection::vec(("[a-c]", any::<bool>()), 1..12)) {
            let elements: Vec<Value> = pairs.iter().map(|(name, ro)| file(&format!("/h/{name}"), &format!("/c/{name}"), *ro)).collect();
            let twice = [elements.clone(), elements.clone()].concat();
            prop_assert_eq!(mounts(elements.into()), mounts(twice.into()));
        }
    }
}

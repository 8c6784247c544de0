//! Devices by what they are, not by the number that their node has on one board.

use crate::{
    element::{Element, optional_str, required_str},
    error::ConfigError,
    nearest::suggestion,
};
use serde_json::Value;
use std::fmt;

/// The key that makes an element a selector.
pub(super) const CLASS: &str = "class";
/// What narrows a class down.
const NARROWING: [&str; 4] = ["driver", "seat", "parent", "by-path"];

/// Classes whose devices are made for apps. Another class of the kernel can be named, too, with
/// something that narrows it down: `{"class": "tty"}` alone would be every terminal of the host.
const FOR_APPS: [&str; 10] = [
    "accel",
    "dma-heap",
    "drm-card",
    "drm-render",
    "input",
    "media",
    "sound",
    "sound-capture",
    "sound-playback",
    "video4linux",
];

/// All devices of a class, or those of them for which everything holds that is given.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DeviceSelector {
    /// The class: `drm-render`, `drm-card`, `sound-playback`, `sound-capture` and `dma-heap`, or a
    /// class as `/sys/class` names it.
    pub class: String,
    /// The kernel driver of the device or of one that it is on.
    pub driver: Option<String>,
    /// The seat that udev has put the device on.
    pub seat: Option<String>,
    /// The kernel's name of a device that it is on, such as `fd4a0000.gpu` or `1-1.2`.
    pub parent: Option<String>,
    /// The name of a link to it in a directory `by-path`, as udev makes them.
    pub by_path: Option<String>,
}

impl DeviceSelector {
    /// The selector that an element is, if it is one.
    ///
    /// # Errors
    /// An element that has a name as well, a selecting key without a class, a value that is no
    /// name, or a class that would open the whole host.
    pub(super) fn of(element: &Element) -> Result<Option<Self>, ConfigError> {
        let Some(class) = name_at(element, CLASS)? else {
            return match NARROWING.iter().find(|key| element.contains_key(**key)) {
                Some(_) => Err(ConfigError::missing(CLASS)),
                None => Ok(None),
            };
        };
        if let Some(name) = element.get("name") {
            let why = "cannot be given together with a class";
            return Err(ConfigError::invalid("name", name, why));
        }
        let selector = Self {
            class,
            driver: name_at(element, "driver")?,
            seat: name_at(element, "seat")?,
            parent: name_at(element, "parent")?,
            by_path: name_at(element, "by-path")?,
        };
        if !FOR_APPS.contains(&selector.class.as_str()) && selector.narrowing().next().is_none() {
            let why = format!(
                "is not a class made for apps, and needs one of {} beside it{}",
                NARROWING.join(", "),
                suggestion(&selector.class, FOR_APPS)
            );
            let class = Value::from(selector.class);
            return Err(ConfigError::invalid(CLASS, &class, &why));
        }
        Ok(Some(selector))
    }

    fn narrowing(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let values = [&self.driver, &self.seat, &self.parent, &self.by_path];
        NARROWING
            .into_iter()
            .zip(values)
            .filter_map(|(key, value)| Some((key, value.as_ref()?)))
    }
}

impl fmt::Display for DeviceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "class {}", self.class)?;
        self.narrowing()
            .try_for_each(|(key, value)| write!(f, ", {key} {value}"))
    }
}

/// What is probably wrong with the class of an element.
pub(super) fn doubt(element: &Element) -> Option<String> {
    let class = element.get(CLASS)?.as_str()?;
    let meant = suggestion(class, FOR_APPS);
    (!FOR_APPS.contains(&class) && !meant.is_empty())
        .then(|| format!("{class:?} is not a class made for apps{meant}"))
}

/// The name at `key`, if the key is there: what a directory of sysfs can be called.
fn name_at(element: &Element, key: &str) -> Result<Option<String>, ConfigError> {
    if optional_str(element, key)?.is_none() {
        return Ok(None);
    }
    let name = required_str(element, key)?;
    if name.contains('/') || name == "." || name == ".." {
        let why = "is a path, not a name";
        return Err(ConfigError::invalid(key, &name.into(), why));
    }
    Ok(Some(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{devicenode::DeviceNodeSettings, tests::merged};
    use serde_json::json;

    fn selector(element: Value) -> DeviceSelector {
        let settings: DeviceNodeSettings = merged(json!([element])).unwrap();
        settings.selected.into_keys().next().unwrap()
    }

    #[test]
    fn class_is_narrowed_down_by_everything_that_is_given() {
        let all = selector(json!({"class": "input"}));
        assert_eq!(all.to_string(), "class input");
        let one = selector(json!({
            "class": "drm-render", "driver": "panfrost", "seat": "seat1",
            "parent": "fd4a0000.gpu", "by-path": "platform-fd4a0000.gpu-render",
        }));
        assert_eq!(one.driver.as_deref(), Some("panfrost"));
        assert_eq!(
            one.to_string(),
            "class drm-render, driver panfrost, seat seat1, parent fd4a0000.gpu, \
             by-path platform-fd4a0000.gpu-render"
        );
    }

    #[test]
    fn class_that_is_not_made_for_apps_has_to_be_narrowed_down() {
        assert_eq!(
            selector(json!({"class": "tty", "driver": "cp210x"})).class,
            "tty"
        );
        for class in ["tty", "block", "misc", "drm-rendr"] {
            let error = merged::<DeviceNodeSettings>(json!([{"class": class}])).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("config[0].class"), "{error}");
            assert!(
                error.contains("needs one of driver, seat, parent, by-path"),
                "{error}"
            );
            assert_eq!(error.contains("did you mean"), class == "drm-rendr");
        }
    }

    #[test]
    fn refuses_what_selects_nothing_or_two_things() {
        for (element, wrong) in [
            (json!({"driver": "panfrost"}), "class: is missing"),
            (
                json!({"name": "/dev/x", "seat": "seat0"}),
                "class: is missing",
            ),
            (
                json!({"class": "input", "name": "/dev/x"}),
                "name: \"/dev/x\" cannot be given together with a class",
            ),
            (json!({"class": ""}), "class: \"\" must not be empty"),
            (json!({"class": 7}), "class: must be a string"),
            (
                json!({"class": "../block"}),
                "class: \"../block\" is a path",
            ),
            (json!({"class": ".."}), "class: \"..\" is a path"),
            (
                json!({"class": "input", "by-path": "/dev/input/by-path/x"}),
                "by-path: \"/dev/input/by-path/x\" is a path, not a name",
            ),
            (
                json!({"class": "input", "driver": ""}),
                "driver: \"\" must not be empty",
            ),
        ] {
            let error = merged::<DeviceNodeSettings>(json!([element]))
                .unwrap_err()
                .to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn class_that_is_probably_misspelt_is_doubted() {
        let doubt = |class: &str| {
            let element = json!({"class": class, "driver": "x"});
            doubt(element.as_object().unwrap())
        };
        assert_eq!(
            doubt("drm-rendr").unwrap(),
            "\"drm-rendr\" is not a class made for apps; did you mean \"drm-render\"?"
        );
        for class in ["drm-render", "tty", "kgsl"] {
            assert_eq!(doubt(class), None, "{class}");
        }
    }
}

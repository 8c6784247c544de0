//! The nodes that a selector stands for, as sysfs(5) and udev(7) tell.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use softwarecontainer_capability::gateway::devicenode::DeviceSelector;

/// Where the kernel keeps what it knows of its devices.
const DEVICES: &str = "/sys/devices";
/// What udev knows of character and block devices, by their numbers; a line `E:NAME=value` for each
/// property.
const UDEV: &str = "/run/udev/data";
/// The seat of what udev has put on none (sd-login(3)).
const FIRST_SEAT: &str = "seat0";

/// What the kernel calls a class.
pub(super) struct Class<'a> {
    /// Its subsystem, as messages of the kernel name it.
    pub subsystem: &'a str,
    /// Links to its devices.
    directory: PathBuf,
    /// How its devices' names begin and end, where the kernel's class has more.
    names: &'a [(&'a str, &'a str)],
    /// The directory below `/dev` that holds `by-path`.
    links: &'a str,
}

impl<'a> Class<'a> {
    pub fn of(selector: &'a DeviceSelector) -> Self {
        const ALL: &[(&str, &str)] = &[("", "")];
        let (subsystem, names, links) = match selector.class.as_str() {
            "drm-render" => ("drm", &[("renderD", "")][..], "dri"),
            "drm-card" => ("drm", &[("card", "")][..], "dri"),
            "dma-heap" => ("dma_heap", ALL, "dma_heap"),
            // Not `mice`, which is every pointer at once.
            "input" => ("input", &[("event", ""), ("js", "")][..], "input"),
            "sound" => ("sound", ALL, "snd"),
            "sound-playback" => ("sound", &[("pcm", "p"), ("controlC", "")][..], "snd"),
            "sound-capture" => ("sound", &[("pcm", "c"), ("controlC", "")][..], "snd"),
            "video4linux" => ("video4linux", ALL, "v4l"),
            "tty" => ("tty", ALL, "serial"),
            "block" => ("block", ALL, "disk"),
            other => (other, ALL, other),
        };
        // The media controller's is a bus, not a class.
        let directory = match subsystem {
            "media" => PathBuf::from("/sys/bus/media/devices"),
            class => Path::new("/sys/class").join(class),
        };
        Self {
            subsystem,
            directory,
            names,
            links,
        }
    }

    fn has(&self, name: &str) -> bool {
        let fits = |(start, end): &(&str, &str)| name.starts_with(start) && name.ends_with(end);
        self.names.iter().any(fits)
    }

    /// The link `by-path` of that name, whether or not there is one.
    pub fn link(&self, name: &str) -> PathBuf {
        Path::new("/dev")
            .join(self.links)
            .join("by-path")
            .join(name)
    }
}

/// The nodes for which everything holds that `selector` says. What goes while we look is not there.
pub(super) fn nodes(selector: &DeviceSelector) -> BTreeSet<PathBuf> {
    let class = Class::of(selector);
    let entries = fs::read_dir(&class.directory);
    entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|it| class.has(it)))
        .filter_map(|entry| node(&entry.path(), selector, &class))
        .collect()
}

/// The node of the device at `entry` of sysfs, if the selector means it and it has one.
fn node(entry: &Path, selector: &DeviceSelector, class: &Class<'_>) -> Option<PathBuf> {
    let uevent = fs::read_to_string(entry.join("uevent")).ok()?;
    let property = |name: &str| value(&uevent, "", name);
    let node = Path::new("/dev").join(property("DEVNAME")?);
    let device = fs::canonicalize(entry).ok()?;
    let is =
        |wanted: &Option<String>, holds: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(holds);
    let on_seat = |wanted: &str| {
        let kind = if class.subsystem == "block" { 'b' } else { 'c' };
        let number = property("MAJOR").zip(property("MINOR"));
        let name = number.map(|(major, minor)| format!("{kind}{major}:{minor}"));
        name.and_then(|name| seat(Path::new(UDEV), &name))
            .is_some_and(|seat| seat == wanted)
    };
    let linked = |name: &str| fs::canonicalize(class.link(name)).is_ok_and(|it| it == node);
    let selected = is(&selector.driver, &|driver| has_driver(&device, driver))
        && is(&selector.parent, &|parent| is_on(&device, parent))
        && is(&selector.seat, &on_seat)
        && is(&selector.by_path, &linked);
    selected.then_some(node)
}

/// The seat of the device that udev knows by `name` in the directory `udev`. One that it has not
/// gone through yet is on none: the kernel tells of it first, and it may turn out to be somebody
/// else's. Without udev all are on the first seat.
fn seat(udev: &Path, name: &str) -> Option<String> {
    let known = match fs::read_to_string(udev.join(name)) {
        Ok(known) => known,
        Err(_) if udev.is_dir() => return None,
        Err(_) => String::new(),
    };
    let seat = value(&known, "E:", "ID_SEAT").unwrap_or(FIRST_SEAT);
    Some(seat.to_owned())
}

/// The value of `name` in lines such as `NAME=value`, each of which begins with `start`.
fn value<'a>(lines: &'a str, start: &str, name: &str) -> Option<&'a str> {
    lines.lines().find_map(|line| {
        let line = line.strip_prefix(start)?;
        line.strip_prefix(name)?.strip_prefix('=')
    })
}

/// The device and those that it is on.
fn upwards(device: &Path) -> impl Iterator<Item = &Path> {
    device
        .ancestors()
        .take_while(|path| path.starts_with(DEVICES) && *path != Path::new(DEVICES))
}

fn has_driver(device: &Path, driver: &str) -> bool {
    upwards(device).any(|device| {
        let link = fs::read_link(device.join("driver"));
        link.is_ok_and(|link| link.file_name().is_some_and(|name| name == driver))
    })
}

fn is_on(device: &Path, parent: &str) -> bool {
    upwards(device)
        .skip(1)
        .any(|device| device.file_name().is_some_and(|name| name == parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(class: &str) -> DeviceSelector {
        DeviceSelector {
            class: class.to_owned(),
            driver: None,
            seat: None,
            parent: None,
            by_path: None,
        }
    }

    fn has(class: &str, name: &str) -> bool {
        Class::of(&selector(class)).has(name)
    }

    #[test]
    fn classes_have_what_their_names_say() {
        assert!(has("drm-render", "renderD128") && !has("drm-render", "card0"));
        assert!(has("drm-card", "card0") && !has("drm-card", "renderD128"));
        assert!(has("input", "event3") && has("input", "js0") && !has("input", "mice"));
        assert!(has("sound-playback", "pcmC0D0p") && !has("sound-playback", "pcmC0D0c"));
        assert!(has("sound-capture", "pcmC0D0c") && !has("sound-capture", "pcmC0D0p"));
        assert!(has("sound-capture", "controlC0") && has("sound", "seq"));
    }

    #[test]
    fn memory_devices_of_this_machine_are_found() {
        let mut memory = selector("mem");
        let found = nodes(&memory);
        assert!(found.contains(Path::new("/dev/null")), "{found:?}");
        memory.parent = Some("mem".to_owned());
        assert_eq!(nodes(&memory), found);
        memory.seat = Some(FIRST_SEAT.to_owned());
        assert_eq!(nodes(&memory), found);
        for (driver, seat, parent, by_path) in [
            (Some("no-driver"), None, None, None),
            (None, Some("seat7"), None, None),
            (None, None, Some("null"), None),
            (None, None, None, Some("no-link")),
        ] {
            let none = DeviceSelector {
                class: "mem".to_owned(),
                driver: driver.map(str::to_owned),
                seat: seat.map(str::to_owned),
                parent: parent.map(str::to_owned),
                by_path: by_path.map(str::to_owned),
            };
            assert!(nodes(&none).is_empty(), "{none}");
        }
        assert!(nodes(&selector("no-such-class")).is_empty());
    }

    #[test]
    fn a_device_is_on_no_seat_until_udev_has_said_on_which() {
        let udev = tempfile::tempdir().unwrap();
        let of = |name: &str| seat(udev.path(), name);
        assert_eq!(of("c13:64"), None);
        fs::write(udev.path().join("c13:64"), "I:1\nE:ID_SEAT=seat1\n").unwrap();
        fs::write(udev.path().join("c13:65"), "I:1\n").unwrap();
        assert_eq!(of("c13:64").as_deref(), Some("seat1"));
        assert_eq!(of("c13:65").as_deref(), Some(FIRST_SEAT));
        let without = seat(&udev.path().join("no-udev"), "c13:64");
        assert_eq!(without.as_deref(), Some(FIRST_SEAT));
    }

    #[test]
    fn properties_are_whole_names() {
        assert_eq!(
            value("E:ID_SEAT_X=a\nE:ID_SEAT=b\n", "E:", "ID_SEAT"),
            Some("b")
        );
        assert_eq!(value("MAJOR=1\n", "", "MINOR"), None);
    }
}

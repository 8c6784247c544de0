//! AppArmor, on kernels that have it.

use std::{fs, path::Path};

/// The profile that liblxc puts a container under unless its configuration names another.
const LXC_PROFILE: &str = "lxc-container-default-cgns";

/// Whether the kernel has AppArmor switched on, but nobody has loaded LXC's profile into it (a
/// kernel with AppArmor in a system that does not use it): liblxc would not start any container
/// then.
///
/// False where that cannot be found out, because securityfs is not mounted.
#[must_use]
pub fn lacks_lxc_profile() -> bool {
    lacks(
        Path::new("/sys/module/apparmor/parameters/enabled"),
        Path::new("/sys/kernel/security/apparmor/profiles"),
    )
}

fn lacks(enabled: &Path, profiles: &Path) -> bool {
    let enabled = fs::read_to_string(enabled).is_ok_and(|text| text.trim() == "Y");
    enabled
        && fs::read_to_string(profiles).is_ok_and(|text| {
            !text
                .lines()
                .any(|line| line.split(" (").next() == Some(LXC_PROFILE))
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_missed_only_where_apparmor_is_on_and_its_list_lacks_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (on, off) = (file("on", "Y\n"), file("off", "N\n"));
        let without = file(
            "without",
            "lxc-container-default (enforce)\nman_filter (enforce)\n",
        );
        let with = file("with", "lxc-container-default-cgns (enforce)\n");
        let absent = directory.path().join("absent");
        assert!(lacks(&on, &without));
        assert!(lacks(&on, &file("empty", "")));
        assert!(!lacks(&on, &with));
        assert!(!lacks(&off, &without));
        assert!(!lacks(&absent, &absent));
        assert!(!lacks(&on, &absent), "unknown");
    }
}

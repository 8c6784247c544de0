use std::cell::RefCell;

use super::*;

/// A host, and the copies of its `etc`.
struct Lab {
    dir: tempfile::TempDir,
    looked_at: RefCell<BTreeSet<PathBuf>>,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        for name in ["usr", "etc", "private", "own"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let looked_at = RefCell::default();
        Self { dir, looked_at }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    /// Copies `etc` to `own/etc`; containers see `usr`.
    fn copy(&self) {
        let usr = fs::canonicalize(self.path("usr")).unwrap();
        let is_seen = |path: &Path| path.starts_with(&usr);
        let look = |directory: &Path, _: Option<&OsStr>| {
            self.looked_at.borrow_mut().insert(directory.to_owned());
        };
        let own = self.path("own");
        Copier::new(&own, &is_seen, &look)
            .copy(&self.path("etc"), &own.join("etc"))
            .unwrap();
    }

    fn copied(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("own/etc").join(name)).ok()
    }
}

#[test]
fn a_copy_becomes_what_the_host_has_whatever_it_was() {
    let lab = Lab::new();
    lab.put("etc/file", "one");
    lab.put("etc/tree/inner/file", "two");
    symlink(lab.path("usr/share/zone"), lab.path("etc/zone")).unwrap();
    lab.copy();
    assert_eq!(lab.copied("file").unwrap(), "one");
    assert_eq!(lab.copied("tree/inner/file").unwrap(), "two");
    let zone = || fs::read_link(lab.path("own/etc/zone")).unwrap();
    assert!(zone().ends_with("usr/share/zone"));
    // Each becomes another kind.
    fs::remove_file(lab.path("etc/file")).unwrap();
    lab.put("etc/file/in", "three");
    fs::remove_dir_all(lab.path("etc/tree")).unwrap();
    lab.put("etc/tree", "four");
    fs::remove_file(lab.path("etc/zone")).unwrap();
    symlink("../usr/other", lab.path("etc/zone")).unwrap();
    lab.copy();
    assert_eq!(lab.copied("file/in").unwrap(), "three");
    assert_eq!(lab.copied("tree").unwrap(), "four");
    assert_eq!(
        zone(),
        fs::canonicalize(lab.path("usr")).unwrap().join("other")
    );
    fs::remove_dir_all(lab.path("etc")).unwrap();
    lab.copy();
    assert!(!lab.path("own/etc").exists());
}

#[test]
fn what_is_the_same_is_not_written_again() {
    use std::os::unix::fs::MetadataExt as _;
    let lab = Lab::new();
    lab.put("etc/file", "one");
    lab.copy();
    let inode = || fs::metadata(lab.path("own/etc/file")).unwrap().ino();
    let before = inode();
    lab.copy();
    assert_eq!(inode(), before);
    lab.put("etc/file", "two");
    lab.copy();
    // Replaced, so that who has it open reads it whole.
    assert_ne!(inode(), before);
}

#[test]
fn what_others_may_not_read_is_left_out_and_taken_away_again() {
    let lab = Lab::new();
    lab.put("etc/key", "secret");
    lab.put("etc/closed/file", "secret");
    lab.put("private/file", "secret");
    symlink(lab.path("private/file"), lab.path("etc/link")).unwrap();
    symlink(lab.path("private"), lab.path("etc/all")).unwrap();
    let set = |name: &str, mode| {
        fs::set_permissions(lab.path(name), Permissions::from_mode(mode)).unwrap();
    };
    lab.copy();
    for name in ["key", "closed/file", "link", "all/file"] {
        assert_eq!(lab.copied(name).as_deref(), Some("secret"), "{name}");
    }
    set("etc/key", 0o640);
    set("etc/closed", 0o711);
    set("private", 0o700);
    lab.copy();
    for name in ["key", "closed", "link", "all"] {
        assert!(!lab.path("own/etc").join(name).exists(), "{name}");
    }
}

#[test]
fn links_to_what_containers_do_not_see_are_followed_and_watched_on_their_way() {
    let lab = Lab::new();
    lab.put("run/real", "one");
    fs::create_dir(lab.path("var")).unwrap();
    symlink("../run/real", lab.path("var/hop")).unwrap();
    symlink("../var/hop", lab.path("etc/conf")).unwrap();
    symlink("loop", lab.path("etc/loop")).unwrap();
    symlink("none/at/all", lab.path("etc/dangling")).unwrap();
    lab.copy();
    assert_eq!(lab.copied("conf").unwrap(), "one");
    assert_eq!(lab.copied("loop"), None);
    assert_eq!(lab.copied("dangling"), None);
    let looked_at = lab.looked_at.borrow();
    for name in ["etc", "var", "run"] {
        let directory = fs::canonicalize(lab.path(name)).unwrap();
        assert!(looked_at.contains(&directory), "{name}: {looked_at:?}");
    }
}

#[test]
fn a_tree_that_does_not_end_is_given_up() {
    let lab = Lab::new();
    symlink(lab.path("etc"), lab.path("etc/self")).unwrap();
    let own = lab.path("own");
    let copied = Copier::new(&own, &|_| false, &|_, _| {}).copy(&lab.path("etc"), &own.join("etc"));
    assert!(
        matches!(copied, Err(HostFilesError::TooMuch { .. })),
        "{copied:?}"
    );
    lab.put("big", "");
    File::options()
        .write(true)
        .open(lab.path("big"))
        .unwrap()
        .set_len(MAX_FILE + 1)
        .unwrap();
    let copied = Copier::new(&own, &|_| false, &|_, _| {}).copy(&lab.path("big"), &own.join("big"));
    assert!(
        matches!(copied, Err(HostFilesError::TooMuch { .. })),
        "{copied:?}"
    );
    assert!(!own.join("big").exists());
}

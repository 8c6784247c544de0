use super::*;
use crate::error_chain::Chain;
use std::os::unix::fs::PermissionsExt as _;

fn paths(allowed: &[&Path]) -> HostPaths {
    HostPaths {
        allowed: allowed.iter().map(|path| path.to_path_buf()).collect(),
        ..HostPaths::default()
    }
}

fn everything() -> HostPaths {
    paths(&[Path::new("/")])
}

#[test]
fn a_path_counts_by_where_it_leads() {
    let dir = tempfile::TempDir::new().unwrap();
    let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&inside).unwrap();
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
    std::os::unix::fs::symlink(&inside, outside.join("back")).unwrap();
    let paths = paths(&[&dir.path().join("absent"), &inside]);
    let open = |path: PathBuf| HostSource::open(&path, false, &paths);
    assert!(open(inside.clone()).is_ok());
    assert!(open(outside.join("back")).is_ok());
    for path in [
        outside.clone(),
        inside.join("link"),
        inside.join("../out"),
        dir.path().join("in2"),
    ] {
        let error = Chain(&open(path.clone()).unwrap_err()).to_string();
        assert!(
            error.contains(path.to_str().unwrap()),
            "{error} does not name {path:?}"
        );
    }
    assert!(HostSource::open(&outside, false, &everything()).is_ok());
}

#[test]
fn a_source_stays_the_same_when_its_name_is_swapped() {
    let dir = tempfile::TempDir::new().unwrap();
    let (file, other) = (dir.path().join("f"), dir.path().join("other"));
    fs::write(&file, "good").unwrap();
    fs::write(&other, "bad").unwrap();
    let source = HostSource::open(&file, false, &everything()).unwrap();
    fs::rename(&other, &file).unwrap();
    let held = format!("/proc/self/fd/{}", source.as_fd().as_raw_fd());
    assert_eq!(fs::read(held).unwrap(), b"good");
    assert_eq!(source.kind(), FileType::RegularFile);
}

#[test]
fn what_the_agent_keeps_for_itself_is_written_to_by_no_app() {
    let dir = tempfile::TempDir::new().unwrap();
    let own = dir.path().join("run/containers");
    fs::create_dir_all(own.join("SC-0")).unwrap();
    fs::create_dir(dir.path().join("run/containers2")).unwrap();
    let paths = HostPaths {
        own: vec![own.canonicalize().unwrap()],
        ..everything()
    };
    let open =
        |name: &str, writable| HostSource::open(&dir.path().join(name), writable, &paths).map(drop);
    open("run/containers2", true).unwrap();
    for name in ["", "run", "run/containers", "run/containers/SC-0"] {
        open(name, true).unwrap_err();
        open(name, false).unwrap();
    }
}

#[test]
fn a_caller_gets_what_that_user_could_open_and_no_more() {
    let dir = tempfile::TempDir::new().unwrap();
    let mode = |name: &str, mode| {
        let path = dir.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("", 0o755);
    for name in ["closed", "read", "both"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("file"), "x").unwrap();
        mode(&format!("{name}/file"), 0o666);
    }
    mode("closed", 0o700);
    mode("read", 0o755);
    mode("both", 0o777);
    let open = |name: &str, writable, user| {
        let caller = Credentials {
            user,
            groups: vec![user],
            process: None,
        };
        HostSource::open_for(
            &dir.path().join(name),
            writable,
            Some(&caller),
            &everything(),
        )
        .map_err(|error| Chain(&error).to_string())
    };
    for name in ["closed", "closed/file"] {
        let error = open(name, false, 1000).unwrap_err();
        assert!(error.contains("Permission denied"), "{error}");
        open(name, true, 0).unwrap();
    }
    open("read", false, 1000).unwrap();
    let error = open("read", true, 1000).unwrap_err();
    assert!(
        error.contains("user 1000 has no right to write to"),
        "{error}"
    );
    open("read/file", true, 1000).unwrap();
    open("both", true, 1000).unwrap();
}

//! Output files: what a caller or an app could turn against the host.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, symlink},
    path::Path,
    process::Command,
};

use crate::world::Attack;

fn execute_to(attack: &Attack, path: &Path) -> Result<(), String> {
    let client = attack.agent.client();
    match client.execute(attack.id, "true", "", path.to_str().unwrap(), &[]) {
        Ok(pid) => {
            client.wait_ended(attack.id, pid);
            Ok(())
        }
        Err(error) => Err(format!("{error:?}")),
    }
}

fn refused(attack: &Attack, path: &Path, why: &str) {
    let error = execute_to(attack, path).unwrap_err();
    assert!(error.contains(why), "{error}");
    attack.check_health();
}

#[test]
fn a_link_as_output_file_is_refused() {
    let attack = Attack::new();
    let victim = attack.agent.path("precious");
    fs::write(&victim, "precious").unwrap();
    let link = attack.agent.path("output-link");
    symlink(&victim, &link).unwrap();
    refused(&attack, &link, "symbolic link");
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

/// The launcher writes its logs below a directory that the app may write to.
#[test]
fn a_link_that_an_app_made_on_the_way_is_refused() {
    let attack = Attack::new();
    let (home, etc) = (attack.agent.path("app-home"), attack.agent.path("host-etc"));
    fs::create_dir_all(home.join("logs")).unwrap();
    fs::create_dir(&etc).unwrap();
    fs::write(etc.join("passwd"), "precious").unwrap();
    let client = attack.agent.client();
    client
        .bind_mount(attack.id, home.to_str().unwrap(), "/home/app", false)
        .unwrap();
    let log = home.join("logs/passwd");
    execute_to(&attack, &log).unwrap();
    let swap = format!(
        "rm -r /home/app/logs && ln -s {} /home/app/logs",
        etc.display()
    );
    attack.agent.shell_ok(attack.id, &swap);
    refused(&attack, &log, "symbolic link");
    assert_eq!(fs::read(etc.join("passwd")).unwrap(), b"precious");
}

/// The launcher reads what an app printed in the container's own root tree.
#[test]
fn a_link_in_the_root_tree_on_the_way_is_refused() {
    let attack = Attack::new();
    let victim = attack.agent.path("victims");
    fs::create_dir(&victim).unwrap();
    let link = format!("ln -s {} /tmp/logs", victim.display());
    attack.agent.shell_ok(attack.id, &link);
    let tmp = attack.agent.container_dir(attack.id).join("rootfs/tmp");
    execute_to(&attack, &tmp.join("log")).unwrap();
    refused(&attack, &tmp.join("logs/log"), "symbolic link");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
}

#[test]
fn a_second_name_of_a_file_is_refused() {
    let attack = Attack::new();
    let (victim, link) = (
        attack.agent.path("hard-precious"),
        attack.agent.path("hard-link"),
    );
    fs::write(&victim, "precious").unwrap();
    fs::hard_link(&victim, &link).unwrap();
    refused(&attack, &link, "hard links");
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn a_device_as_output_file_is_refused() {
    let attack = Attack::new();
    refused(
        &attack,
        Path::new("/dev/kmsg"),
        "neither a regular file nor a FIFO",
    );
}

#[test]
fn a_fifo_without_reader_does_not_hold_up_the_agent() {
    let attack = Attack::new();
    let fifo = attack.agent.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    refused(&attack, &fifo, "nobody reads");
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
}

/// As the descriptor is open for writing only, and on the host's file.
#[test]
fn an_app_cannot_read_or_reach_beyond_its_output_file() {
    let attack = Attack::new();
    let (_, output) = attack.agent.shell(
        attack.id,
        "cat <&1 2>/dev/null || echo unreadable; ls /proc/self/fd/1/.. 2>/dev/null || echo nothing above",
    );
    assert!(output.contains("unreadable"), "{output}");
    assert!(output.contains("nothing above"), "{output}");
}

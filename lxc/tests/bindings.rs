//! The committed bindings against the header of the liblxc that is installed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fmt::Write as _, fs, mem::offset_of, path::Path, process::Command};

#[rustfmt::skip]
#[allow(non_camel_case_types, missing_docs, dead_code)]
#[path = "../src/bindings.rs"]
mod bindings;

use bindings::{lxc_attach_options_t, lxc_container};

/// Pairs of a member, as C and Rust name it, and its offset in Rust.
macro_rules! offsets {
    ($structure:ty: $($member:ident)*) => {
        [$((stringify!($structure), stringify!($member), offset_of!($structure, $member))),*]
    };
}

#[test]
fn the_bindings_are_what_the_installed_headers_give() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bindings/update");
    let status = Command::new(script).arg("--check").status().unwrap();
    assert!(status.success());
}

/// The C compiler's own view, whatever the script makes of a header.
#[test]
fn members_are_where_the_c_compiler_has_them() {
    let members = offsets!(lxc_container: error_string state is_running freeze unfreeze init_pid
        load_config start stop want_daemonize want_close_all_fds wait set_config_item save_config
        get_config_item set_cgroup_item attach);
    let options = offsets!(lxc_attach_options_t: attach_flags namespaces personality initial_cwd
        uid gid env_policy extra_env_vars extra_keep_env stdin_fd stdout_fd stderr_fd log_fd
        lsm_label groups);
    let mut program = String::from(
        "#include <stddef.h>\n#include <lxc/lxccontainer.h>\n\
         typedef struct lxc_container lxc_container;\n",
    );
    for (structure, member, offset) in members.iter().chain(&options) {
        writeln!(
            program,
            "_Static_assert(offsetof({structure}, {member}) == {offset}, \"{member}\");"
        )
        .unwrap();
    }
    let size = size_of::<lxc_attach_options_t>();
    writeln!(
        program,
        "_Static_assert(sizeof(lxc_attach_options_t) == {size}, \"options\");"
    )
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("layout.c");
    fs::write(&source, program).unwrap();
    let compiled = Command::new("cc")
        .arg("-fsyntax-only")
        .arg(&source)
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
}

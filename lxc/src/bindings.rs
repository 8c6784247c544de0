//! The part of liblxc's interface that this crate uses. Made by lxc/bindings/update from
//! <lxc/lxccontainer.h> and <lxc/attach_options.h>: change nothing here.
//!
//! The same for LXC 5 to 7; LXC 4 does not look at the last member of the options. A member whose
//! type is `Unused` only keeps its place.

use std::ffi::{c_char, c_int, c_long, c_void};

/// A member that is not used: a pointer to data or to a function.
type Unused = *const c_void;

pub type lxc_attach_exec_t = Option<unsafe extern "C" fn(payload: *mut c_void) -> c_int>;

#[repr(C)]
#[derive(Debug)]
pub struct lxc_groups_t {
    pub size: usize,
    pub list: *mut libc::gid_t,
}

#[repr(C)]
#[derive(Debug)]
pub struct lxc_attach_options_t {
    pub attach_flags: c_int,
    pub namespaces: c_int,
    pub personality: c_long,
    pub initial_cwd: *mut c_char,
    pub uid: libc::uid_t,
    pub gid: libc::gid_t,
    pub env_policy: u32,
    pub extra_env_vars: *mut *mut c_char,
    pub extra_keep_env: *mut *mut c_char,
    pub stdin_fd: c_int,
    pub stdout_fd: c_int,
    pub stderr_fd: c_int,
    pub log_fd: c_int,
    pub lsm_label: *mut c_char,
    pub groups: lxc_groups_t,
}

#[repr(C)]
#[derive(Debug)]
pub struct lxc_container {
    name: Unused,
    configfile: Unused,
    pidfile: Unused,
    slock: Unused,
    privlock: Unused,
    numthreads: c_int,
    lxc_conf: Unused,
    pub error_string: *mut c_char,
    error_num: c_int,
    daemonize: bool,
    config_path: Unused,
    is_defined: Unused,
    pub state: Option<unsafe extern "C" fn(c: *mut lxc_container) -> *const c_char>,
    pub is_running: Option<unsafe extern "C" fn(c: *mut lxc_container) -> bool>,
    pub freeze: Option<unsafe extern "C" fn(c: *mut lxc_container) -> bool>,
    pub unfreeze: Option<unsafe extern "C" fn(c: *mut lxc_container) -> bool>,
    pub init_pid: Option<unsafe extern "C" fn(c: *mut lxc_container) -> libc::pid_t>,
    pub load_config: Option<unsafe extern "C" fn(c: *mut lxc_container, alt_file: *const c_char) -> bool>,
    pub start: Option<unsafe extern "C" fn(c: *mut lxc_container, useinit: c_int, argv: *const *mut c_char) -> bool>,
    startl: Unused,
    pub stop: Option<unsafe extern "C" fn(c: *mut lxc_container) -> bool>,
    pub want_daemonize: Option<unsafe extern "C" fn(c: *mut lxc_container, state: bool) -> bool>,
    pub want_close_all_fds: Option<unsafe extern "C" fn(c: *mut lxc_container, state: bool) -> bool>,
    config_file_name: Unused,
    pub wait: Option<unsafe extern "C" fn(c: *mut lxc_container, state: *const c_char, timeout: c_int) -> bool>,
    pub set_config_item: Option<unsafe extern "C" fn(c: *mut lxc_container, key: *const c_char, value: *const c_char) -> bool>,
    destroy: Unused,
    pub save_config: Option<unsafe extern "C" fn(c: *mut lxc_container, alt_file: *const c_char) -> bool>,
    create: Unused,
    createl: Unused,
    rename: Unused,
    reboot: Unused,
    shutdown: Unused,
    clear_config: Unused,
    clear_config_item: Unused,
    pub get_config_item: Option<unsafe extern "C" fn(c: *mut lxc_container, key: *const c_char, retv: *mut c_char, inlen: c_int) -> c_int>,
    get_running_config_item: Unused,
    get_keys: Unused,
    get_interfaces: Unused,
    get_ips: Unused,
    get_cgroup_item: Unused,
    pub set_cgroup_item: Option<unsafe extern "C" fn(c: *mut lxc_container, subsys: *const c_char, value: *const c_char) -> bool>,
    get_config_path: Unused,
    set_config_path: Unused,
    clone: Unused,
    console_getfd: Unused,
    console: Unused,
    pub attach: Option<unsafe extern "C" fn(c: *mut lxc_container, exec_function: lxc_attach_exec_t, exec_payload: *mut c_void, options: *mut lxc_attach_options_t, attached_process: *mut libc::pid_t) -> c_int>,
}

#[link(name = "lxc")]
unsafe extern "C" {
    pub fn lxc_container_new(name: *const c_char, configpath: *const c_char) -> *mut lxc_container;
    pub fn lxc_container_put(c: *mut lxc_container) -> c_int;
    pub fn lxc_get_global_config_item(key: *const c_char) -> *const c_char;
    pub fn lxc_get_version() -> *const c_char;
}

//! The thin layer that touches the kernel: mounts, cgroups, namespaces.

pub mod app_directory;
pub mod app_user;
pub mod apparmor;
pub mod cgroup;
pub mod container_path;
pub mod credentials;
pub mod in_root;
pub mod kernel;
pub mod lxc_calls;
pub mod mount;
pub mod mountinfo;
pub mod namespace;
pub mod open_to_all;
pub mod output_file;
pub mod own_directory;
pub mod process_limits;
pub mod program;
pub mod random;
pub mod seccomp;
pub mod socket_access;
pub mod sys;
pub mod unfollow;
pub mod user_namespace;
pub mod wait;
pub mod walk;
pub mod watch;

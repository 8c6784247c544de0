//! POSIX shared memory and semaphores: a container's own `/dev/shm`.

/// A shared memory file is a page at least.
const BYTES_PER_SHM_FILE: u64 = 4096;

/// The container's own `/dev/shm` (shm_overview(7)): as on any host, but bounded.
pub(super) fn item(size: u64) -> (&'static str, String) {
    let files = (size / BYTES_PER_SHM_FILE).max(64);
    let options = format!("rw,nosuid,nodev,mode=1777,size={size},nr_inodes={files},create=dir");
    let text = format!("tmpfs dev/shm tmpfs {options} 0 0");
    ("lxc.mount.entry", text)
}

//! Takes the memory of processes that do not run: it goes to swap, where there is some (zram, for
//! example), and to the files that it is of, and comes back page by page when it is used.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    os::fd::AsFd as _,
    path::Path,
    time::{Duration, Instant},
};

use super::{CgroupError, Cgroups, Version, members, read, used, write};
use crate::host::sys::{self, Range};

/// How many bytes are asked for at once.
const STEP: u64 = 32 << 20;
/// How many ranges of addresses one process_madvise(2) takes (`UIO_MAXIOV`).
const RANGES: usize = 1024;

/// Takes as much memory as it gets within `limit` from the processes in `cgroups`; how many bytes
/// that was.
///
/// With cgroup v2 the kernel does it (`memory.reclaim`, Linux 5.19), else each process is gone
/// through (process_madvise(2) with `MADV_PAGEOUT`, Linux 5.10).
///
/// # Errors
/// [`CgroupError`]; neither is there.
pub fn reclaim(cgroups: &Cgroups, limit: Duration) -> Result<u64, CgroupError> {
    let deadline = Instant::now() + limit;
    if cgroups.version("memory") == Some(Version::V2) {
        let directory = cgroups.directory("memory")?;
        if directory.join("memory.reclaim").exists() {
            return by_cgroup(&directory, deadline);
        }
    }
    by_process(cgroups, deadline)
}

fn by_cgroup(directory: &Path, deadline: Instant) -> Result<u64, CgroupError> {
    let current = directory.join("memory.current");
    let before = used(&current)?;
    let mut now = before;
    while now > 0 && Instant::now() < deadline {
        let asked = now.min(STEP).to_string();
        match write(&directory.join("memory.reclaim"), &asked) {
            Ok(()) => {}
            // There was less to take.
            Err(CgroupError::Write { source, .. })
                if source.raw_os_error() == Some(libc::EAGAIN) => {}
            Err(error) => return Err(error),
        }
        let then = used(&current)?;
        if then >= now {
            break;
        }
        now = then;
    }
    Ok(before.saturating_sub(now))
}

fn by_process(cgroups: &Cgroups, deadline: Instant) -> Result<u64, CgroupError> {
    let directory = cgroups.directory("freezer")?;
    let mut taken = 0;
    for pid in members::pids(&directory) {
        if Instant::now() >= deadline {
            break;
        }
        let before = resident(pid);
        // One that has ended has given back all of it, and is counted by nobody.
        let Ok(process) = members::pidfd(pid) else {
            continue;
        };
        let advised = ranges(pid)
            .chunks(RANGES)
            .try_for_each(|some| sys::page_out(process.as_fd(), some));
        advised.map_err(|source| CgroupError::Write {
            path: format!("/proc/{pid}/mem").into(),
            value: "MADV_PAGEOUT".to_owned(),
            source,
        })?;
        taken += before.saturating_sub(resident(pid));
    }
    Ok(taken)
}

/// The bytes of a process that are in memory (proc_pid_status(5)); 0 when it has ended.
fn resident(pid: u32) -> u64 {
    let text = read(Path::new(&format!("/proc/{pid}/status"))).unwrap_or_default();
    let size = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = size.and_then(|size| size.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0_u64).saturating_mul(1024)
}

/// What a process has mapped (proc_pid_maps(5)).
fn ranges(pid: u32) -> Vec<Range> {
    let Ok(file) = File::open(format!("/proc/{pid}/maps")) else {
        return Vec::new();
    };
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    lines.filter_map(|line| parse(&line)).collect()
}

fn parse(line: &[u8]) -> Option<Range> {
    let addresses = line.split(|byte| *byte == b' ').next()?;
    let (start, end) = str::from_utf8(addresses).ok()?.split_once('-')?;
    let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).ok());
    let (start, end) = (start?, end?);
    Some(Range {
        start,
        length: end.checked_sub(start)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_is_read_and_nonsense_is_not() {
        let line = b"7f0000001000-7f0000003000 rw-p 00000000 00:00 0   [stack]";
        let wanted = Range {
            start: 0x7f00_0000_1000,
            length: 0x2000,
        };
        assert_eq!(parse(line), Some(wanted));
        for other in [&b""[..], b"x-y r", b"20-10 r", b"\xff-\xff"] {
            assert_eq!(parse(other), None);
        }
        assert!(!ranges(std::process::id()).is_empty());
        assert!(resident(std::process::id()) > 0);
    }
}

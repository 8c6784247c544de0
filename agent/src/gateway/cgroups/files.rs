//! The files of a container's cgroup that the agent has written, and what was in them before.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::plan::{Value, Write};
use crate::host::cgroup::{self, CgroupError, Cgroups};

/// What was written, by file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Files {
    written: BTreeMap<PathBuf, Written>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    /// What the container had from LXC; `None` for a file that cannot be read.
    original: Option<String>,
    value: Value,
}

impl Files {
    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Writes what is not yet as `writes` say, and gives files that they do not name their original
    /// values back. On a failure all files are as before.
    pub(super) fn change(
        &mut self,
        cgroups: &Cgroups,
        writes: Vec<Write>,
    ) -> Result<(), CgroupError> {
        let mut wanted = BTreeMap::new();
        for write in writes {
            let path = cgroups.directory(&write.controller)?.join(&write.file);
            let original = match self.written.get(&path) {
                Some(known) => known.original.clone(),
                None => cgroup::read(&path).ok(),
            };
            let value = write.value;
            wanted.insert(path, Written { original, value });
        }
        self.restore(&Self { written: wanted })
    }

    /// Makes all files as `wanted` says.
    pub(super) fn restore(&mut self, wanted: &Self) -> Result<(), CgroupError> {
        let before = self.clone();
        let result = write_all(before.steps_to(wanted));
        if result.is_err() {
            // Step by step back: what was not reached is written with the value that it has.
            let back = wanted.steps_to(&before);
            if let Err(undo) = write_all(back) {
                log::warn!("while taking back a change of limits, {undo}");
            }
        } else {
            self.written.clone_from(&wanted.written);
        }
        result
    }

    fn steps_to(&self, wanted: &Self) -> Vec<(PathBuf, Value)> {
        let mut steps = Vec::new();
        for (path, now) in &self.written {
            if let (false, Some(original)) = (wanted.written.contains_key(path), &now.original) {
                steps.push((path.clone(), Value::Text(original.clone())));
            }
        }
        for (path, new) in &wanted.written {
            if self.written.get(path).map(|now| &now.value) != Some(&new.value) {
                steps.push((path.clone(), new.value.clone()));
            }
        }
        steps
    }
}

/// Writes files in an order that the kernel takes: `memory.memsw.limit_in_bytes` may never be below
/// `memory.limit_in_bytes`, so which of them is first depends on where they come from. What is
/// refused as invalid is tried again as long as something else has got through.
fn write_all(mut steps: Vec<(PathBuf, Value)>) -> Result<(), CgroupError> {
    loop {
        let mut refused = None;
        let count = steps.len();
        let mut left = Vec::new();
        for (path, value) in steps {
            match write(&path, &value) {
                Ok(()) => {}
                Err(error @ CgroupError::Write { .. }) if is_invalid(&error) => {
                    refused.get_or_insert(error);
                    left.push((path, value));
                }
                Err(error) => return Err(error),
            }
        }
        match refused {
            None => return Ok(()),
            Some(error) if left.len() == count => return Err(error),
            Some(_) => steps = left,
        }
    }
}

fn is_invalid(error: &CgroupError) -> bool {
    matches!(error, CgroupError::Write { source, .. } if source.raw_os_error() == Some(libc::EINVAL))
}

fn write(path: &Path, value: &Value) -> Result<(), CgroupError> {
    match value {
        Value::Text(text) => cgroup::write(path, text),
        Value::MemoryMax(bytes) => cgroup::limit_memory(path.parent().unwrap_or(path), *bytes),
    }
}

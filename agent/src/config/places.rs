//! Where the configuration file has named something that turns out not to be there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::error::{ConfigError, GROUP};
use crate::keyfile::KeyFile;

/// The lines of a configuration file's keys; none where there is no file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    file: PathBuf,
    lines: BTreeMap<String, usize>,
}

impl Places {
    /// Those of a file. Of equal keys the last one counts.
    pub(super) fn new(file: &Path, key_file: &KeyFile) -> Self {
        let entries = key_file.entries.iter();
        Self {
            file: file.to_owned(),
            lines: entries.map(|it| (it.key.clone(), it.line)).collect(),
        }
    }

    /// File, line, group and key; the key alone where no file has it.
    #[must_use]
    pub fn of(&self, key: &str) -> String {
        match self.lines.get(key) {
            Some(line) => format!("{}:{line}: [{GROUP}] {key}", self.file.display()),
            None => key.to_owned(),
        }
    }

    /// An error with a file that `key` names.
    pub(super) fn name(&self, key: &str, source: ConfigError) -> ConfigError {
        ConfigError::Named {
            place: self.of(key),
            source: Box::new(source),
        }
    }
}

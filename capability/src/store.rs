//! All manifests of the system, and the choice of capabilities from them.

use crate::{
    gateway_config::GatewayConfig,
    manifest::{Capability, Manifest, ManifestError, Warning, parse},
    nearest::suggestion,
    review::Review,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

/// Where manifests are: a directory of `.json` files, or one such file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSource {
    path: PathBuf,
    may_be_absent: bool,
    named_by: Option<String>,
}

impl ManifestSource {
    /// A path that someone has named: it must exist. The empty path means no manifests.
    #[must_use]
    pub fn named(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            may_be_absent: false,
            named_by: None,
        }
    }

    /// The default place, which may be absent: that means no manifests, with a warning.
    #[must_use]
    pub fn default_place(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            may_be_absent: true,
            named_by: None,
        }
    }

    /// No manifests.
    #[must_use]
    pub fn none() -> Self {
        Self::named("")
    }

    /// With what has named it, for errors: an option, or a place in a configuration.
    #[must_use]
    pub fn named_by(self, what: impl Into<String>) -> Self {
        Self {
            named_by: Some(what.into()),
            ..self
        }
    }

    /// The file or directory; empty for none.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files to read, in byte order of their names.
    ///
    /// # Errors
    /// The path cannot be read, is `/`, or is a file that is not called `….json`.
    pub fn files(&self, warnings: &mut Vec<Warning>) -> Result<Vec<PathBuf>, ManifestError> {
        self.look(warnings).map_err(|error| match &self.named_by {
            None => error,
            Some(by) => ManifestError::Named {
                by: by.clone(),
                source: Box::new(error),
            },
        })
    }

    fn look(&self, warnings: &mut Vec<Warning>) -> Result<Vec<PathBuf>, ManifestError> {
        let path = &self.path;
        if path.as_os_str().is_empty() {
            return Ok(Vec::new());
        }
        let read_error = |source| ManifestError::Read {
            path: path.clone(),
            source,
        };
        let refused = |why| {
            Err(ManifestError::Refused {
                path: path.clone(),
                why,
            })
        };
        let kind = match fs::metadata(path) {
            Ok(metadata) if metadata.mode() & OTHERS_WRITE != 0 => return refused(WRITABLE),
            Ok(metadata) => metadata.file_type(),
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.may_be_absent => {
                let message = "does not exist, counts as empty".to_owned();
                warnings.push(Warning {
                    file: path.clone(),
                    position: None,
                    message,
                });
                return Ok(Vec::new());
            }
            Err(e) => return Err(read_error(e)),
        };
        if !kind.is_dir() {
            return match path.file_name() {
                _ if !kind.is_file() => refused("is neither a directory nor a regular file"),
                Some(name) if is_manifest_name(name.as_bytes()) => Ok(vec![path.clone()]),
                _ => refused("is not a file whose name ends in \".json\""),
            };
        }
        if fs::canonicalize(path).map_err(read_error)? == Path::new("/") {
            return refused("the root directory cannot hold manifests");
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(read_error)? {
            let name = entry.map_err(read_error)?.file_name();
            if is_manifest_name(name.as_bytes()) && !path.join(&name).is_dir() {
                names.push(name);
            }
        }
        names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        Ok(names.into_iter().map(|name| path.join(name)).collect())
    }
}

/// The permission of everybody to write (inode(7)).
const OTHERS_WRITE: u32 = 0o002;
const WRITABLE: &str =
    "everybody can write to it, and could give apps whatever they want: chmod o-w";

fn is_manifest_name(name: &[u8]) -> bool {
    name.len() > ".json".len() && name.ends_with(b".json")
}

/// A name that no manifest defines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no service manifest defines capability {name:?}{advice}")]
pub struct UnknownCapability {
    /// The name.
    pub name: String,
    /// What to do, as a further part of the sentence; may be empty.
    pub advice: String,
}

/// The capabilities of all manifests.
#[derive(Debug, Default, PartialEq)]
pub struct Store {
    listed: BTreeMap<String, Vec<GatewayConfig>>,
    default: Vec<GatewayConfig>,
    warnings: Vec<Warning>,
}

impl Store {
    /// Reads all manifests: `dir` holds those that launchers choose from, `default` those that are
    /// always applied. A mistake in what one asks of a gateway is a warning: it fails the
    /// capability that has it when that is set, and nothing else.
    ///
    /// # Errors
    /// A place or a manifest that cannot be used.
    pub fn load(dir: &ManifestSource, default: &ManifestSource) -> Result<Self, ManifestError> {
        Self::load_within(dir, default, u32::MAX)
    }

    /// As [`Self::load`]; no file may have more than `limit` bytes. (JSON may be nested 128 deep.)
    ///
    /// # Errors
    /// As [`Self::load`], and a file that is larger.
    pub fn load_within(
        dir: &ManifestSource,
        default: &ManifestSource,
        limit: u32,
    ) -> Result<Self, ManifestError> {
        let mut store = Self::default();
        let mut review = Review::default();
        for file in dir.files(&mut store.warnings)? {
            let (source, capabilities) = store.read(&file, limit)?;
            review.add_listed(&file, source, &capabilities);
            for Capability { name, gateways } in capabilities {
                store.listed.entry(name).or_default().extend(gateways);
            }
        }
        for file in default.files(&mut store.warnings)? {
            let (source, capabilities) = store.read(&file, limit)?;
            review.add_default(&file, source, &capabilities);
            store
                .default
                .extend(capabilities.into_iter().flat_map(|c| c.gateways));
        }
        store.warnings.extend(review.mistakes());
        Ok(store)
    }

    fn read(
        &mut self,
        file: &Path,
        limit: u32,
    ) -> Result<(Vec<u8>, Vec<Capability>), ManifestError> {
        let failed = |source| ManifestError::Read {
            path: file.to_owned(),
            source,
        };
        let mut source = Vec::new();
        let open = fs::File::open(file).map_err(failed)?;
        let mode = open.metadata().map_err(failed)?.mode();
        if mode & OTHERS_WRITE != 0 {
            return Err(ManifestError::Refused {
                path: file.to_owned(),
                why: WRITABLE,
            });
        }
        open.take(u64::from(limit).saturating_add(1))
            .read_to_end(&mut source)
            .map_err(failed)?;
        if u32::try_from(source.len()).map_or(true, |size| size > limit) {
            return Err(ManifestError::TooLarge {
                file: file.to_owned(),
                limit,
            });
        }
        let Manifest {
            capabilities,
            warnings,
        } = parse(file, &source)?;
        self.warnings.extend(warnings);
        Ok((source, capabilities))
    }

    /// Names of the capabilities that launchers can choose, in byte order; never those of the
    /// default directory.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.listed.keys().map(String::as_str)
    }

    /// What the default capabilities ask of gateways.
    #[must_use]
    pub fn defaults(&self) -> &[GatewayConfig] {
        &self.default
    }

    /// What the default capabilities and then the named ones, in their order, ask of gateways. One
    /// that is named twice counts once.
    ///
    /// # Errors
    /// A name that no manifest in the (not default) directory defines.
    pub fn select(&self, names: &[String]) -> Result<Vec<GatewayConfig>, UnknownCapability> {
        let mut selected = self.default.clone();
        selected.extend(self.named(names)?);
        Ok(selected)
    }

    /// What every capability asks of gateways, the default ones first.
    pub fn all(&self) -> impl Iterator<Item = &GatewayConfig> {
        self.default.iter().chain(self.listed.values().flatten())
    }

    /// As [`Self::select`], without the default capabilities.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn named(&self, names: &[String]) -> Result<Vec<GatewayConfig>, UnknownCapability> {
        let mut selected = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let found = self.listed.get(name).ok_or_else(|| self.unknown(name))?;
            if !names[..i].contains(name) {
                selected.extend_from_slice(found);
            }
        }
        Ok(selected)
    }

    fn unknown(&self, name: &str) -> UnknownCapability {
        let is_default = |config: &GatewayConfig| *config.origin.capability == *name;
        let advice = if self.default.iter().any(is_default) {
            ": it is a default capability, which every container has without naming it".to_owned()
        } else {
            suggestion(name, self.names())
        };
        UnknownCapability {
            name: name.to_owned(),
            advice,
        }
    }

    /// What was odd in the manifests but did not stop the reading.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests;

//! The check: reads every manifest, and merges every capability as the agent would on
//! `SetCapabilities`.

use softwarecontainer_capability::json::Position;
use softwarecontainer_capability::manifest::{Capability, parse};
use softwarecontainer_capability::{
    ConfigError, GatewayConfig, GatewaySettings, ManifestError, ManifestSource, Warning,
};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// One mistake, or what may be one.
pub struct Finding {
    severity: Severity,
    /// File, line and column, as far as they are known, then what is wrong.
    place: String,
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}: {}", self.place, self.message)
    }
}

/// What the check has seen.
#[derive(Default)]
pub struct Report {
    /// Findings in the order in which the agent would meet them.
    pub findings: Vec<Finding>,
    /// Number of manifests read.
    pub manifests: usize,
    /// Number of capabilities with different names.
    pub capabilities: usize,
}

impl Report {
    /// Whether something is wrong, not only odd.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    fn add(&mut self, severity: Severity, place: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding {
            severity,
            place: place.into(),
            message: message.into(),
        });
    }
}

/// Checks the manifests at `paths` and, as always applied, those at `default_paths`.
///
/// # Errors
/// A path that cannot be read or cannot hold manifests. Mistakes in manifests are findings, not
/// errors.
pub fn check(paths: &[PathBuf], default_paths: &[PathBuf]) -> Result<Report, ManifestError> {
    let mut checker = Checker::default();
    let mut always = GatewaySettings::default();
    for capability in checker.read_all(default_paths)? {
        checker.merge(&mut always, &capability.gateways);
    }
    let mut capabilities: BTreeMap<String, Vec<GatewayConfig>> = BTreeMap::new();
    for capability in checker.read_all(paths)? {
        capabilities
            .entry(capability.name)
            .or_default()
            .extend(capability.gateways);
    }
    checker.report.capabilities = capabilities.len();
    for gateways in capabilities.values() {
        checker.merge(&mut always.clone(), gateways);
    }
    Ok(checker.report)
}

#[derive(Default)]
struct Checker {
    report: Report,
    /// Contents of the manifests read, for the places of mistakes.
    sources: BTreeMap<PathBuf, Vec<u8>>,
}

impl Checker {
    fn read_all(&mut self, paths: &[PathBuf]) -> Result<Vec<Capability>, ManifestError> {
        let mut capabilities = Vec::new();
        for path in paths {
            let mut warnings = Vec::new();
            for file in ManifestSource::named(path).files(&mut warnings)? {
                capabilities.extend(self.read(&file)?);
            }
            self.warn(&warnings);
        }
        Ok(capabilities)
    }

    fn read(&mut self, file: &Path) -> Result<Vec<Capability>, ManifestError> {
        let source = fs::read(file).map_err(|source| ManifestError::Read {
            path: file.to_owned(),
            source,
        })?;
        self.report.manifests += 1;
        let capabilities = match parse(file, &source) {
            Ok(manifest) => {
                self.warn(&manifest.warnings);
                manifest.capabilities
            }
            Err(error) => {
                self.report.add(
                    Severity::Error,
                    place(&error.file, Some(error.position)),
                    error.message,
                );
                Vec::new()
            }
        };
        self.sources.insert(file.to_owned(), source);
        Ok(capabilities)
    }

    fn warn(&mut self, warnings: &[Warning]) {
        for warning in warnings {
            self.report.add(
                Severity::Warning,
                place(&warning.file, warning.position),
                &warning.message,
            );
        }
    }

    /// Merges one gateway configuration after the other; after a mistake the next one is tried, to
    /// find all in one run.
    fn merge(&mut self, settings: &mut GatewaySettings, gateways: &[GatewayConfig]) {
        for config in gateways {
            if let Err(error) = settings.add(std::slice::from_ref(config)) {
                let place = self.place_of(&error, config);
                let message = format!(
                    "capability {}: gateway {:?}, {}: {}",
                    config.origin.capability,
                    config.id,
                    error.path(),
                    error.problem()
                );
                self.report.add(Severity::Error, place, message);
            }
        }
    }

    fn place_of(&self, error: &ConfigError, config: &GatewayConfig) -> String {
        let file = &config.origin.file;
        place(
            file,
            self.sources
                .get(&**file)
                .and_then(|source| error.position(source)),
        )
    }
}

fn place(file: &Path, position: Option<Position>) -> String {
    match position {
        Some(position) => format!("{}:{position}", file.display()),
        None => file.display().to_string(),
    }
}

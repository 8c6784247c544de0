//! The check: reads every manifest, and merges every capability as the agent would on
//! `SetCapabilities`.

use softwarecontainer_capability::{
    ManifestError, ManifestSource, Review, Warning,
    json::Position,
    manifest::{Capability, parse},
};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

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
    checker.read_all(default_paths, Review::add_default)?;
    checker.read_all(paths, Review::add_listed)?;
    let mistakes = checker.review.mistakes();
    checker.add(Severity::Error, &mistakes);
    checker.report.capabilities = checker.review.capabilities();
    Ok(checker.report)
}

#[derive(Default)]
struct Checker {
    report: Report,
    review: Review,
}

type Add = fn(&mut Review, &Path, Vec<u8>, &[Capability]);

impl Checker {
    fn read_all(&mut self, paths: &[PathBuf], add: Add) -> Result<(), ManifestError> {
        for path in paths {
            let mut warnings = Vec::new();
            for file in ManifestSource::named(path).files(&mut warnings)? {
                self.read(&file, add)?;
            }
            self.add(Severity::Warning, &warnings);
        }
        Ok(())
    }

    fn read(&mut self, file: &Path, add: Add) -> Result<(), ManifestError> {
        let source = fs::read(file).map_err(|source| ManifestError::Read {
            path: file.to_owned(),
            source,
        })?;
        self.report.manifests += 1;
        match parse(file, &source) {
            Ok(manifest) => {
                self.add(Severity::Warning, &manifest.warnings);
                add(&mut self.review, file, source, &manifest.capabilities);
            }
            Err(error) => self.report.add(
                Severity::Error,
                place(&error.file, Some(error.position)),
                error.message,
            ),
        }
        Ok(())
    }

    fn add(&mut self, severity: Severity, found: &[Warning]) {
        for Warning {
            file,
            position,
            message,
        } in found
        {
            self.report.add(severity, place(file, *position), message);
        }
    }
}

fn place(file: &Path, position: Option<Position>) -> String {
    match position {
        Some(position) => format!("{}:{position}", file.display()),
        None => file.display().to_string(),
    }
}

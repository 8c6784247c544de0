//! The command line of `softwarecontainer-validate`.

use lexopt::{Arg, Parser};
use std::{ffi::OsString, path::PathBuf};

const HELP: &str = "\
Usage: softwarecontainer-validate [OPTION…] PATH…

Checks service manifests as softwarecontainer-agent reads and applies them. Each PATH is a manifest or a
directory of manifests; together they are what the agent's --manifest-dir would hold.

  -d, --default-manifest-dir PATH  manifests that are always applied; the others must fit to them
  -s, --strict                     a warning is a mistake, too
  -q, --quiet                      print nothing when there is no mistake
  -h, --help                       show this and exit
  -V, --version                    show the version and exit

Exit status: 0 no mistake, 1 mistakes (each as FILE:LINE:COLUMN on standard error),
2 wrong usage or a path that cannot be read.
";

const VERSION: &str = concat!(
    "softwarecontainer-validate ",
    env!("CARGO_PKG_VERSION"),
    "\n"
);

/// What the command line asks for.
pub enum Invocation {
    /// Check manifests.
    Check(Options),
    /// Print a text and exit.
    Print(&'static str),
}

/// What to check, and how.
#[derive(Default)]
pub struct Options {
    /// Manifests and directories of manifests.
    pub paths: Vec<PathBuf>,
    /// The same, of capabilities that are always applied.
    pub default_paths: Vec<PathBuf>,
    /// Warnings count as mistakes.
    pub strict: bool,
    /// Success is silent.
    pub quiet: bool,
}

/// A command line that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// An option.
    #[error("{0} (see --help)")]
    Option(lexopt::Error),
    /// There is nothing to check.
    #[error("no manifest or directory named (see --help)")]
    NoPath,
}

/// Reads the arguments, without the program's name.
pub fn parse(
    arguments: impl Iterator<Item = OsString> + 'static,
) -> Result<Invocation, UsageError> {
    let mut options = Options::default();
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(UsageError::Option)? {
        match argument {
            Arg::Short('d') | Arg::Long("default-manifest-dir") => {
                options
                    .default_paths
                    .push(parser.value().map_err(UsageError::Option)?.into());
            }
            Arg::Short('s') | Arg::Long("strict") => options.strict = true,
            Arg::Short('q') | Arg::Long("quiet") => options.quiet = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Print(HELP)),
            Arg::Short('V') | Arg::Long("version") => return Ok(Invocation::Print(VERSION)),
            Arg::Value(path) => options.paths.push(path.into()),
            other => return Err(UsageError::Option(other.unexpected())),
        }
    }
    if options.paths.is_empty() && options.default_paths.is_empty() {
        return Err(UsageError::NoPath);
    }
    Ok(Invocation::Check(options))
}

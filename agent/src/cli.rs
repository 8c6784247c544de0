//! The command line of `softwarecontainer-agent`.

use lexopt::{Arg, Parser, ValueExt};
use std::{ffi::OsString, path::PathBuf};

/// What `--help` prints.
pub const HELP: &str = "\
Usage: softwarecontainer-agent [OPTION…]

Runs apps in LXC containers for launchers that call it over D-Bus.

  -c, --config PATH                configuration file
  -m, --manifest-dir PATH          service manifests: a directory or one .json file
  -d, --default-manifest-dir PATH  service manifests that are always applied
  -t, --timeout SECONDS            time before a container is stopped by force
  -b, --session-bus                use the D-Bus session bus, not the system bus
  -u, --user UID                   deprecated, has no effect
      --replace                    have the agent that runs go over to this program file
  -h, --help                       show this and exit
  -V, --version                    show the version and exit

See softwarecontainer-agent(8) and softwarecontainer-config(5).
";

/// What `--version` prints.
pub const VERSION: &str = concat!("softwarecontainer-agent ", env!("CARGO_PKG_VERSION"), "\n");

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Run the agent.
    Run(Options),
    /// Print [`HELP`].
    Help,
    /// Print [`VERSION`].
    Version,
}

/// Options that take precedence over the configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// Manifests that launchers choose from: a directory or a `.json` file; empty for none.
    pub manifest_dir: Option<PathBuf>,
    /// Manifests that are always applied: a directory or a `.json` file; empty for none.
    pub default_manifest_dir: Option<PathBuf>,
    /// Seconds before a container is stopped by force.
    pub timeout: Option<u32>,
    /// Use the session bus.
    pub session_bus: bool,
    /// Accepted for old unit files, without effect.
    pub user: Option<u32>,
    /// Have the agent that runs go over to the program file that is there now.
    pub replace: bool,
}

/// A command line that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("{0} (see --help)")]
pub struct UsageError(lexopt::Error);

/// Reads the arguments (without the program's name). Of an option that comes more than once the
/// last one counts.
///
/// # Errors
/// An unknown option, an argument that belongs to no option, a value that is missing or cannot be
/// used.
pub fn parse<A>(arguments: A) -> Result<Invocation, UsageError>
where
    A: IntoIterator<Item: Into<OsString>, IntoIter: 'static>,
{
    read(Parser::from_args(arguments)).map_err(UsageError)
}

fn read(mut parser: Parser) -> Result<Invocation, lexopt::Error> {
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('c') | Arg::Long("config") => options.config = Some(parser.value()?.into()),
            Arg::Short('m') | Arg::Long("manifest-dir") => {
                options.manifest_dir = Some(parser.value()?.into())
            }
            Arg::Short('d') | Arg::Long("default-manifest-dir") => {
                options.default_manifest_dir = Some(parser.value()?.into());
            }
            Arg::Short('t') | Arg::Long("timeout") => {
                options.timeout = Some(parser.value()?.parse()?)
            }
            Arg::Short('b') | Arg::Long("session-bus") => options.session_bus = true,
            Arg::Short('u') | Arg::Long("user") => options.user = Some(parser.value()?.parse()?),
            Arg::Long("replace") => options.replace = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Invocation::Version),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Invocation::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(arguments: &[&str]) -> Result<Invocation, String> {
        parse(
            arguments
                .iter()
                .map(|&a| OsString::from(a))
                .collect::<Vec<_>>(),
        )
        .map_err(|e| e.to_string())
    }

    #[test]
    fn long_and_short_options_mean_the_same() {
        let expected = Invocation::Run(Options {
            config: Some("/c".into()),
            manifest_dir: Some("/m".into()),
            default_manifest_dir: Some("/d".into()),
            timeout: Some(3),
            session_bus: true,
            user: Some(1000),
            replace: false,
        });
        let short = run(&["-c", "/c", "-m/m", "-d", "/d", "-t3", "-b", "-u", "1000"]);
        let long = run(&[
            "--config=/c",
            "--manifest-dir",
            "/m",
            "--default-manifest-dir=/d",
            "--timeout",
            "3",
            "--session-bus",
            "--user=1000",
        ]);
        assert_eq!(short.as_ref(), Ok(&expected));
        assert_eq!(long, Ok(expected));
        assert_eq!(run(&[]), Ok(Invocation::Run(Options::default())));
    }

    #[test]
    fn help_and_version_are_asked_for_with_both_spellings() {
        assert_eq!(run(&["-h"]), Ok(Invocation::Help));
        assert_eq!(run(&["-b", "--help"]), Ok(Invocation::Help));
        assert_eq!(run(&["-V"]), Ok(Invocation::Version));
        assert_eq!(run(&["--version"]), Ok(Invocation::Version));
    }

    #[test]
    fn help_and_manual_page_name_every_option() {
        let manual = include_str!("../../man/softwarecontainer-agent.8.scd");
        for (short, long) in [
            ('c', "config"),
            ('m', "manifest-dir"),
            ('d', "default-manifest-dir"),
            ('t', "timeout"),
            ('b', "session-bus"),
            ('u', "user"),
            ('h', "help"),
            ('V', "version"),
        ] {
            assert!(HELP.contains(&format!("-{short}, --{long} ")), "{long}");
            assert!(
                manual.contains(&format!("*-{short}*, *--{long}*")),
                "{long}"
            );
        }
    }

    #[test]
    fn an_empty_manifest_path_is_kept_as_it_means_no_manifests() {
        let Ok(Invocation::Run(options)) = run(&["-m", ""]) else {
            panic!("refused")
        };
        assert_eq!(options.manifest_dir, Some(PathBuf::new()));
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (arguments, expected) in [
            (&["--frobnicate"][..], "'--frobnicate'"),
            (&["-x"], "'-x'"),
            (&["stray"], "\"stray\""),
            (&["-c"], "missing argument for option '-c'"),
            (&["-t", "soon"], "\"soon\""),
            (&["-t", "-1"], "\"-1\""),
            (&["--session-bus=yes"], "'--session-bus'"),
            (&["-u", "root"], "\"root\""),
        ] {
            let error = run(arguments).unwrap_err();
            assert!(
                error.contains(expected) && error.ends_with("(see --help)"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_arguments_are_understood_or_refused(arguments in prop::collection::vec("(-{0,2}[a-z=]{0,8}|.*)", 0..6)) {
            let _ = parse(arguments);
        }
    }
}

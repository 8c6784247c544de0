//! An error with everything that led to it, on one line.

use std::{error::Error, fmt};

/// Shows an error and its sources, the last cause at the end: `cannot open /x: No such file`.
///
/// An error of ours that has a [`source`](Error::source) does not repeat its text. So where one
/// leaves a program, to a caller, the log or standard error, it is shown through this.
#[derive(Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("gateway {name}")]
    struct Outer {
        name: &'static str,
        source: Inner,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open {path}")]
    struct Inner {
        path: &'static str,
        source: std::io::Error,
    }

    #[test]
    fn every_cause_is_shown_once_and_the_last_one_at_the_end() {
        let error = Outer {
            name: "file",
            source: Inner {
                path: "/x",
                source: std::io::Error::from_raw_os_error(2),
            },
        };
        assert_eq!(
            Chain(&error).to_string(),
            "gateway file: cannot open /x: No such file or directory (os error 2)"
        );
    }
}

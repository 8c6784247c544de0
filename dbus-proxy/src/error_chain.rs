//! An error with its causes, as a line.

use std::error::Error;

/// The texts of `error` and of what caused it, with `: ` between.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FlowError;
    use crate::wire::WireError;

    #[test]
    fn every_cause_is_there_once() {
        let error = FlowError::Wire(WireError::Serial);
        assert_eq!(error_chain(&error), "not a D-Bus message: serial 0");
    }
}

//! What every gateway's settings can do.

use crate::{element::Element, error::ConfigError};
use std::fmt::Debug;

/// The merged configuration of one gateway. The default value is what a container has without any
/// capability: nothing.
pub trait Settings: Clone + Default + PartialEq + Debug + Send + 'static {
    /// The gateway's `id` in manifests.
    const ID: &'static str;

    /// Every key that an element may have, at any depth. Others are ignored, with a warning. Empty:
    /// no check.
    const KEYS: &'static [&'static str] = &[];

    /// What is probably a mistake in an element though it can be used: the key that it is about,
    /// and what is wrong.
    fn doubts(_element: &Element) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Parses one element and merges it in.
    ///
    /// # Errors
    /// The element cannot be used; `self` is then to be thrown away, so work on a clone.
    fn merge(&mut self, element: &Element) -> Result<(), ConfigError>;
}

//! The options of a call: a dictionary, so that a later agent may take more of them.

use std::collections::BTreeMap;

use zbus::{Variant, wire::Dict};

use super::error::ManagerError;

/// Options that have not been taken yet.
pub struct Options(BTreeMap<String, Variant<'static>>);

impl Options {
    /// Those of a call.
    ///
    /// # Errors
    /// The argument is of another type, which the check of a call's types has excluded.
    pub fn new(argument: Dict<'static, 'static>) -> Result<Self, ManagerError> {
        let mut all = BTreeMap::new();
        for (name, value) in argument {
            let (Variant::Str(name), Variant::Variant(value)) = (name, value) else {
                return Err(ManagerError::invalid("options must be of type a{sv}"));
            };
            all.insert(name.to_string(), *value);
        }
        Ok(Self(all))
    }

    /// Takes one.
    ///
    /// # Errors
    /// It is not what it must be.
    pub fn take<T: TryFrom<Variant<'static>>>(
        &mut self,
        name: &str,
        what: &str,
    ) -> Result<Option<T>, ManagerError> {
        let value = self.0.remove(name).map(T::try_from).transpose();
        value.map_err(|_| ManagerError::invalid(format!("option {name:?} must be {what}")))
    }

    /// Takes a dictionary by names; an empty one if there is none.
    ///
    /// # Errors
    /// It is something else.
    pub fn dictionary<T>(
        &mut self,
        name: &str,
        what: &str,
    ) -> Result<BTreeMap<String, T>, ManagerError>
    where
        BTreeMap<String, T>: TryFrom<Variant<'static>>,
    {
        self.take(name, what).map(Option::unwrap_or_default)
    }

    /// Takes a dictionary of strings by names; an empty one if there is none.
    ///
    /// # Errors
    /// It is something else.
    pub fn strings(&mut self, name: &str) -> Result<BTreeMap<String, String>, ManagerError> {
        self.dictionary(name, "a dictionary of strings")
    }

    /// Sees to it that all were taken.
    ///
    /// # Errors
    /// One that is not known.
    pub fn none_left(self) -> Result<(), ManagerError> {
        match self.0.into_keys().next() {
            Some(name) => Err(ManagerError::invalid(format!(
                "there is no option {name:?}"
            ))),
            None => Ok(()),
        }
    }
}

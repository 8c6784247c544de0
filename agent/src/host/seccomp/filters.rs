//! The filters of processes, each made once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use softwarecontainer_init::CallFilter;

use super::{allowed::Allowed, arguments, calls::CallList, error::FilterError, program::Machine};

/// The filters of a process, BPF programs in the kernel's form; empty ones for none.
#[derive(Debug, Default)]
pub struct ProcessFilters {
    /// Which calls it may make.
    pub calls: CallFilter,
    /// Which arguments it may not call them with.
    pub arguments: Vec<u8>,
}

/// All filters that were needed so far, each compiled once.
#[derive(Debug)]
pub struct Filters {
    machine: Machine,
    enabled: bool,
    list: Option<CallList>,
    compiled: Mutex<BTreeMap<Allowed, Arc<ProcessFilters>>>,
}

impl Filters {
    /// Without any filter yet; if not `enabled` there will be none. Without a `list` of calls
    /// everything is open that nothing else refuses.
    pub fn new(enabled: bool, list: Option<CallList>) -> Self {
        Self {
            machine: Machine::own(),
            enabled,
            list,
            compiled: Mutex::default(),
        }
    }

    /// Whether processes get filters at all.
    #[must_use]
    pub fn are_enabled(&self) -> bool {
        self.enabled
    }

    /// The filters that refuse whatever a manifest may open but `allowed`, and what is on no list.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn get(&self, allowed: &Allowed) -> Result<Arc<ProcessFilters>, FilterError> {
        if !self.enabled {
            return Ok(Arc::default());
        }
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filters) = compiled.get(allowed) {
            return Ok(filters.clone());
        }
        let list = self.list.as_ref();
        let calls = list.map(|list| list.compile(self.machine, &allowed.system_calls));
        let filters = Arc::new(ProcessFilters {
            calls: calls.transpose()?.unwrap_or_default(),
            arguments: arguments::compile(self.machine, allowed, list.is_some())?,
        });
        compiled.insert(allowed.clone(), filters.clone());
        Ok(filters)
    }
}

#[cfg(test)]
mod tests;

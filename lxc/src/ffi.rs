//! The unsafe half: raw calls into liblxc, each on a handle that [`Handle`] keeps valid.

use std::{
    ffi::{CStr, CString, OsString, c_char, c_int, c_void},
    os::unix::ffi::OsStringExt as _,
    ptr::{self, NonNull},
};

use crate::{
    bindings::{self, lxc_container},
    error::{Error, Result},
};

/// An owned `struct lxc_container *`.
#[derive(Debug)]
pub(crate) struct Handle(NonNull<lxc_container>);

// SAFETY: liblxc guards a handle with the container's own lock (lxclock.c) and ties it to no
// thread; `Handle` is not `Sync`, so one thread at a time uses it.
unsafe impl Send for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the pointer came from lxc_container_new, and this drops our only reference.
        unsafe { bindings::lxc_container_put(self.0.as_ptr()) };
    }
}

/// Calls a member function of a handle, `None` if this liblxc left the pointer empty.
macro_rules! member {
    ($self:ident . $name:ident ( $($arg:expr),* )) => {{
        // SAFETY: `Handle` keeps the structure alive, and liblxc never changes its function
        // pointers.
        let function = unsafe { $self.0.as_ref() }.$name;
        function.map(|function| {
            // SAFETY: the structure is alive, and every pointer passed is NULL or outlives the
            // call.
            unsafe { function($self.0.as_ptr() $(, $arg)*) }
        })
    }};
}

impl Handle {
    pub(crate) fn new(name: &CStr, path: Option<&CStr>) -> Option<Self> {
        let path = path.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: both strings outlive the call (liblxc copies them), and a NULL path is allowed.
        let raw = unsafe { bindings::lxc_container_new(name.as_ptr(), path) };
        NonNull::new(raw).map(Self)
    }

    pub(crate) fn set_config_item(&self, key: &CStr, value: &CStr) -> Option<bool> {
        member!(self.set_config_item(key.as_ptr(), value.as_ptr()))
    }

    pub(crate) fn config_item(&self, key: &CStr) -> Option<String> {
        let length = member!(self.get_config_item(key.as_ptr(), ptr::null_mut(), 0))?;
        let mut buffer = vec![0_u8; usize::try_from(length).ok()?.checked_add(1)?];
        let size = c_int::try_from(buffer.len()).ok()?;
        let length = member!(self.get_config_item(key.as_ptr(), buffer.as_mut_ptr().cast(), size))?;
        buffer.truncate(usize::try_from(length).ok()?);
        (!buffer.is_empty()).then(|| String::from_utf8_lossy(&buffer).into_owned())
    }

    pub(crate) fn load_config(&self, file: &CStr) -> Option<bool> {
        member!(self.load_config(file.as_ptr()))
    }

    pub(crate) fn save_config(&self) -> Option<bool> {
        member!(self.save_config(ptr::null()))
    }

    pub(crate) fn want_daemonize(&self) -> Option<bool> {
        member!(self.want_daemonize(true))
    }

    pub(crate) fn want_close_all_fds(&self) -> Option<bool> {
        member!(self.want_close_all_fds(true))
    }

    pub(crate) fn start(&self) -> Option<bool> {
        member!(self.start(0, ptr::null()))
    }

    pub(crate) fn stop(&self) -> Option<bool> {
        member!(self.stop())
    }

    pub(crate) fn freeze(&self) -> Option<bool> {
        member!(self.freeze())
    }

    pub(crate) fn unfreeze(&self) -> Option<bool> {
        member!(self.unfreeze())
    }

    pub(crate) fn is_running(&self) -> Option<bool> {
        member!(self.is_running())
    }

    pub(crate) fn init_pid(&self) -> Option<i32> {
        member!(self.init_pid())
    }

    pub(crate) fn wait(&self, state: &CStr, seconds: c_int) -> Option<bool> {
        member!(self.wait(state.as_ptr(), seconds))
    }

    /// `payload` is what `function` takes, as a pointer that is valid during the call.
    pub(crate) fn attach(
        &self,
        function: bindings::lxc_attach_exec_t,
        payload: *mut c_void,
        options: &mut bindings::lxc_attach_options_t,
    ) -> Option<i32> {
        let mut pid = -1;
        let result = member!(self.attach(function, payload, &raw mut *options, &raw mut pid))?;
        Some(if result == 0 { pid } else { -1 })
    }

    pub(crate) fn set_cgroup_item(&self, item: &CStr, value: &CStr) -> Option<bool> {
        member!(self.set_cgroup_item(item.as_ptr(), value.as_ptr()))
    }

    pub(crate) fn state(&self) -> Option<String> {
        let text = member!(self.state())?;
        // SAFETY: liblxc returns NULL or one of its static state names.
        unsafe { borrowed(text) }
    }

    pub(crate) fn error_string(&self) -> Option<String> {
        // SAFETY: `Handle` keeps the structure alive.
        let text = unsafe { self.0.as_ref() }.error_string;
        // SAFETY: the field is NULL or a string that belongs to the live structure.
        unsafe { borrowed(text) }
    }
}

/// # Safety
/// `text` is NULL or a NUL-terminated string that stays valid during the call.
unsafe fn borrowed(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller vouches for the rest.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

pub(crate) fn version() -> String {
    // SAFETY: takes no argument and returns a static string.
    let text = unsafe { bindings::lxc_get_version() };
    // SAFETY: as above.
    unsafe { borrowed(text) }.unwrap_or_default()
}

pub(crate) fn global_config_item(key: &CStr) -> Option<OsString> {
    // SAFETY: the key outlives the call; the result is NULL or a string that liblxc keeps.
    let text = unsafe { bindings::lxc_get_global_config_item(key.as_ptr()) };
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, NUL-terminated, kept by liblxc for the life of the thread.
    let text = unsafe { CStr::from_ptr(text) };
    Some(OsString::from_vec(text.to_bytes().to_vec()))
}

pub(crate) fn c_string(text: &[u8]) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Nul {
        text: String::from_utf8_lossy(text).into_owned(),
    })
}

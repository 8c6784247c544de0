//! One file of the upper layer: what it stands for, and writing it to the host.

use std::{
    ffi::{CStr, CString},
    fs::File,
};

use rustix::fs::{FileType, Mode, OFlags, Statx};

use crate::{
    attributes::{Attributes, labels, set_labels, xattrs_of},
    copy::copy,
    error::Failure,
    failures::Failures,
    mapping::Mapping,
    rights::without_new_rights,
    tree::{Dir, file_type},
    whiteouts::{Entry, classify},
};

/// An entry of the upper layer.
pub struct Source<'a> {
    /// The directory of the upper layer.
    pub dir: &'a Dir,
    /// Its name there.
    pub name: CString,
    /// Its attributes there.
    pub stat: Statx,
}

/// What files are written with.
pub struct Writer<'a> {
    /// The name of what is not finished.
    pub temporary: &'a CStr,
    /// The container's IDs.
    pub mapping: Mapping,
    /// What went wrong so far.
    pub failures: Failures,
}

impl Writer<'_> {
    /// What an entry of the upper layer stands for, and the attributes that it is to have.
    pub fn look(&self, source: &Source<'_>) -> Result<(Entry, Attributes), Failure> {
        let (dir, name, stat) = (source.dir, &source.name, &source.stat);
        let node = dir.open_node(name)?;
        let xattrs =
            xattrs_of(&node).map_err(|errno| dir.failure("read the attributes of", name, errno))?;
        let attributes = Attributes::of(stat, &xattrs, self.mapping);
        Ok((classify(dir, name, stat, &xattrs)?, attributes))
    }

    /// Writes a file to the name `to`, of which nobody knows, and not yet to disk.
    pub fn write(
        &mut self,
        source: &Source<'_>,
        host: &Dir,
        (dir, temporary): (&Dir, &CStr),
        attributes: &Attributes,
    ) -> Result<File, Failure> {
        let name = &source.name;
        let from = source.dir.open_file(name, OFlags::RDONLY, Mode::empty())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let to = dir
            .open_file(temporary, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|failure| Failure::new("create", host.path_of(name), failure.source))?;
        let (from, to) = (File::from(from), File::from(to));
        copy(&from, &to, source.stat.stx_size)
            .map_err(|error| Failure::new("write", host.path_of(name), error))?;
        let applied = if attributes.give_rights() {
            let rest = without_new_rights(attributes, &from, host, name)?;
            rest.apply(&to, &host.path_of(name))
        } else {
            attributes.apply(&to, &host.path_of(name))
        };
        self.failures.tolerate(applied)?;
        self.inherit_labels(source, host, &to)?;
        Ok(to)
    }

    /// A security module's label of a file that gets new contents stays what it was.
    fn inherit_labels(&self, source: &Source<'_>, host: &Dir, to: &File) -> Result<(), Failure> {
        let name = &source.name;
        let fail = |errno| host.failure("label", name, errno);
        match host.stat(name)? {
            Some(old) if file_type(&old) == FileType::RegularFile => {
                let old = host.open_node(name)?;
                set_labels(to, &labels(&old).map_err(fail)?).map_err(fail)
            }
            _ => Ok(()),
        }
    }
}

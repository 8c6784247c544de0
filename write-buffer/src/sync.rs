//! Copying an upper layer down onto the directory that lay beneath it.

use std::{
    collections::HashMap,
    ffi::{CStr, CString},
    fs::File,
    path::PathBuf,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Statx},
    io::Errno,
};

use crate::{
    attributes::{Attributes, labels, set_labels, xattrs_of},
    copy::copy,
    error::{Failure, LeftOut},
    mapping::Mapping,
    remove::remove,
    replace::replace,
    rights::without_new_rights,
    tree::{Dir, MAX_DEPTH, file_type, is_dir},
    whiteouts::{Entry, classify, is_whiteout_device},
};

/// As many failures are kept for the report; the others are counted.
const REPORTED: usize = 8;

/// What went wrong: the first failures, and how many more there were.
#[derive(Default)]
pub struct Failures {
    /// The first ones.
    pub first: Vec<Failure>,
    /// The number of the others.
    pub more: usize,
    /// What the host cannot hold.
    pub left_out: LeftOut,
}

impl Failures {
    /// Records a failure that the rest of an entry does not depend on.
    fn tolerate(&mut self, result: Result<(), Failure>) -> Result<(), Failure> {
        match result {
            Err(failure) if failure.is_unrepresentable() => {
                self.note(Err(failure));
                Ok(())
            }
            result => result,
        }
    }

    /// Records the failure, if there is one; the sync goes on with what does not depend on it.
    pub fn note(&mut self, result: Result<(), Failure>) {
        match result {
            Ok(()) => {}
            Err(failure) if failure.is_unrepresentable() => {
                if self.left_out.first.len() < REPORTED {
                    self.left_out.first.push(failure);
                } else {
                    self.left_out.more += 1;
                }
            }
            Err(failure) if self.first.len() < REPORTED => self.first.push(failure),
            Err(_) => self.more += 1,
        }
    }
}

/// Copies `upper` down onto `host`. New files are made as `temporary` in their directory first, a
/// name that must not be in use on the host; what an interrupted sync left under it is removed.
pub fn sync(upper: &Dir, host: &Dir, temporary: &CStr, mapping: Mapping) -> Failures {
    let mut sync = Sync {
        host,
        temporary,
        mapping,
        links: HashMap::new(),
        failures: Failures::default(),
    };
    sync.merge(upper, host, &Position::default());
    let root = sync.attributes_of_root(upper);
    let root = root.and_then(|attributes| attributes.apply(host, host.path()));
    sync.failures.note(root);
    let flushed = rustix::fs::syncfs(host);
    let flushed = flushed.map_err(|errno| Failure::new("flush", host.path(), errno));
    sync.failures.note(flushed);
    sync.failures
}

/// Where in the tree the sync is.
#[derive(Default)]
struct Position {
    path: PathBuf,
    depth: usize,
    /// Whether nothing of the host's directory shows through.
    opaque: bool,
}

impl Position {
    /// The directory `name`, itself opaque or not. In an opaque one all are: overlayfs marks only
    /// the topmost.
    fn below(&self, name: &CStr, opaque: bool) -> Position {
        Position {
            path: self.path_of(name),
            depth: self.depth + 1,
            opaque: self.opaque || opaque,
        }
    }

    fn path_of(&self, name: &CStr) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        self.path.join(std::ffi::OsStr::from_bytes(name.to_bytes()))
    }
}

/// A file of the upper layer with several names that has been written under the first of them.
struct Written {
    directory: PathBuf,
    name: CString,
    inode: u64,
}

/// An entry of the upper layer.
struct Source<'a> {
    dir: &'a Dir,
    name: &'a CStr,
    stat: Statx,
}

struct Sync<'a> {
    host: &'a Dir,
    temporary: &'a CStr,
    mapping: Mapping,
    /// By inode in the upper layer.
    links: HashMap<u64, Written>,
    failures: Failures,
}

impl Sync<'_> {
    /// Makes `host` look like `upper` over `host`, except for its own attributes.
    fn merge(&mut self, upper: &Dir, host: &Dir, position: &Position) {
        let mut steps = || -> Result<Vec<(CString, Statx)>, Failure> {
            remove(host, self.temporary)?;
            let mut entries = Vec::new();
            for name in upper.names()? {
                if let Some(stat) = upper.stat(&name)? {
                    entries.push((name, stat));
                }
            }
            if position.opaque {
                for name in host.names()? {
                    if entries.binary_search_by(|(n, _)| n.cmp(&name)).is_err() {
                        self.failures.note(remove(host, &name));
                    }
                }
            }
            Ok(entries)
        };
        let entries = match steps() {
            Ok(entries) => entries,
            Err(failure) => return self.failures.note(Err(failure)),
        };
        // Deletions first: they make room for what is to be written.
        let (gone, present): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|(_, stat)| is_whiteout_device(stat));
        for (name, _) in gone {
            self.failures.note(remove(host, &name));
        }
        for (name, stat) in present {
            let source = Source {
                dir: upper,
                name: &name,
                stat,
            };
            let result = self.entry(&source, host, position);
            if result.is_err() {
                // What was begun only takes up room; its own failure adds nothing to the report.
                let _ = remove(host, self.temporary);
            }
            self.failures.note(result);
        }
    }

    fn entry(
        &mut self,
        source: &Source<'_>,
        host: &Dir,
        position: &Position,
    ) -> Result<(), Failure> {
        let (dir, name, stat) = (source.dir, source.name, &source.stat);
        let node = dir.open_node(name)?;
        let xattrs =
            xattrs_of(&node).map_err(|errno| dir.failure("read the attributes of", name, errno))?;
        let attributes = Attributes::of(stat, &xattrs, self.mapping);
        match classify(dir, name, stat, &xattrs)? {
            Entry::Whiteout => remove(host, name),
            Entry::Directory { opaque } => {
                self.directory(source, host, position, &attributes, opaque)
            }
            Entry::Leaf(kind) => {
                if !self.link(source, host)? {
                    match kind {
                        FileType::RegularFile => self.file(source, host, &attributes)?,
                        kind => self.special(source, host, kind, &attributes)?,
                    }
                }
                self.finish(source, host, position)
            }
        }
    }

    fn directory(
        &mut self,
        source: &Source<'_>,
        host: &Dir,
        position: &Position,
        attributes: &Attributes,
        opaque: bool,
    ) -> Result<(), Failure> {
        let name = source.name;
        if position.depth == MAX_DEPTH {
            return Err(host.failure("create the deeply nested", name, Errno::NAMETOOLONG));
        }
        let upper = source.dir.open_dir(name)?;
        if !host.stat(name)?.is_some_and(|stat| is_dir(&stat)) {
            // Nobody else looks into it before it is complete and has its own mode.
            rustix::fs::mkdirat(host, self.temporary, Mode::RWXU)
                .map_err(|errno| host.failure("create directory", name, errno))?;
            replace(host, self.temporary, name)?;
        }
        let below = host.open_dir(name)?;
        self.merge(&upper, &below, &position.below(name, opaque));
        // Last, because entries made in it change its times.
        attributes.apply(&below, below.path())
    }

    /// Makes the temporary file a link to what another name of the same file was written to.
    fn link(&mut self, source: &Source<'_>, host: &Dir) -> Result<bool, Failure> {
        let Some(written) = self.links.get(&source.stat.stx_ino) else {
            return Ok(false);
        };
        let fail = |errno| host.failure("link", source.name, errno);
        let directory = self.host.open_beneath(&written.directory)?;
        rustix::fs::linkat(
            &directory,
            &written.name,
            host,
            self.temporary,
            AtFlags::empty(),
        )
        .map_err(fail)?;
        // Somebody on the host may have put another file there in the meantime.
        match host.stat(self.temporary)? {
            Some(stat) if stat.stx_ino == written.inode => Ok(true),
            _ => Err(fail(Errno::STALE)),
        }
    }

    fn file(
        &mut self,
        source: &Source<'_>,
        host: &Dir,
        attributes: &Attributes,
    ) -> Result<(), Failure> {
        let name = source.name;
        let from = source.dir.open_file(name, OFlags::RDONLY, Mode::empty())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let to = host
            .open_file(self.temporary, flags, Mode::RUSR | Mode::WUSR)
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
        rustix::fs::fsync(&to).map_err(|errno| host.failure("flush", name, errno))
    }

    /// A security module's label of a file that gets new contents stays what it was.
    fn inherit_labels(&self, source: &Source<'_>, host: &Dir, to: &File) -> Result<(), Failure> {
        let name = source.name;
        let fail = |errno| host.failure("label", name, errno);
        match host.stat(name)? {
            Some(old) if file_type(&old) == FileType::RegularFile => {
                let old = host.open_node(name)?;
                set_labels(to, &labels(&old).map_err(fail)?).map_err(fail)
            }
            _ => Ok(()),
        }
    }

    /// Symbolic links, FIFOs, sockets and device nodes.
    fn special(
        &mut self,
        source: &Source<'_>,
        host: &Dir,
        kind: FileType,
        attributes: &Attributes,
    ) -> Result<(), Failure> {
        let (name, stat) = (source.name, &source.stat);
        let fail = |errno| host.failure("create", name, errno);
        if kind == FileType::Symlink {
            let target = rustix::fs::readlinkat(source.dir, name, Vec::new())
                .map_err(|errno| source.dir.failure("read", name, errno))?;
            rustix::fs::symlinkat(&target, host, self.temporary).map_err(fail)?;
        } else {
            let device = rustix::fs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
            let mode = Mode::RUSR | Mode::WUSR;
            rustix::fs::mknodat(host, self.temporary, kind, mode, device).map_err(fail)?;
        }
        // By descriptor from here on, and only if it still is what was just created: other
        // processes of the host may write to this directory.
        let node = host.open_node(self.temporary)?;
        let found = crate::tree::stat_of(&node).map_err(fail)?;
        if file_type(&found) != kind || found.stx_nlink != 1 {
            return Err(fail(Errno::STALE));
        }
        let applied = attributes.apply(&node, &host.path_of(name));
        self.failures.tolerate(applied)
    }

    /// Gives the temporary file its name, and remembers it if it has more names.
    fn finish(
        &mut self,
        source: &Source<'_>,
        host: &Dir,
        position: &Position,
    ) -> Result<(), Failure> {
        let inode = match host.stat(self.temporary)? {
            Some(stat) => stat.stx_ino,
            None => return Err(host.failure("find the new", source.name, Errno::NOENT)),
        };
        replace(host, self.temporary, source.name)?;
        if source.stat.stx_nlink > 1 {
            let written = Written {
                directory: position.path.clone(),
                name: source.name.to_owned(),
                inode,
            };
            self.links.entry(source.stat.stx_ino).or_insert(written);
        }
        Ok(())
    }

    fn attributes_of_root(&self, upper: &Dir) -> Result<Attributes, Failure> {
        let fail = |errno| Failure::new("read the attributes of", upper.path(), errno);
        let stat = crate::tree::stat_of(upper).map_err(fail)?;
        let xattrs = xattrs_of(upper).map_err(fail)?;
        Ok(Attributes::of(&stat, &xattrs, self.mapping))
    }
}

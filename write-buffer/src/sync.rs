//! Copying an upper layer down onto the directory that lay beneath it.

use std::{
    collections::HashMap,
    ffi::{CStr, CString},
    path::PathBuf,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, Statx},
    io::Errno,
};

use crate::{
    attributes::{Attributes, xattrs_of},
    batch::{self, Batch},
    error::Failure,
    failures::Failures,
    file::{Source, Writer},
    mapping::Mapping,
    remove::remove,
    replace::replace,
    tree::{Dir, MAX_DEPTH, file_type, is_dir},
    whiteouts::{Entry, is_whiteout_device},
};

/// Copies `upper` down onto `host`. New files are made as `temporary` in their directory first, a
/// name that must not be in use on the host; what an interrupted sync left under it is removed.
pub fn sync(upper: &Dir, host: &Dir, temporary: &CStr, mapping: Mapping) -> Failures {
    let mut sync = Sync {
        host,
        writer: Writer {
            temporary,
            mapping,
            failures: Failures::default(),
        },
        batch: Batch::default(),
        links: HashMap::new(),
    };
    sync.merge(upper, host, &Position::default());
    sync.batch.finish(&mut sync.writer);
    let root = sync.attributes_of_root(upper);
    let root = root.and_then(|attributes| attributes.apply(host, host.path()));
    sync.writer.failures.note(root);
    let flushed = rustix::fs::syncfs(host);
    let flushed = flushed.map_err(|errno| Failure::new("flush", host.path(), errno));
    sync.writer.failures.note(flushed);
    sync.writer.failures
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

struct Sync<'a> {
    host: &'a Dir,
    writer: Writer<'a>,
    batch: Batch,
    /// By inode in the upper layer.
    links: HashMap<u64, Written>,
}

impl Sync<'_> {
    /// Makes `host` look like `upper` over `host`, except for its own attributes.
    fn merge(&mut self, upper: &Dir, host: &Dir, position: &Position) {
        let mut steps = || -> Result<Vec<(CString, Statx)>, Failure> {
            remove(host, self.writer.temporary)?;
            let mut entries = Vec::new();
            for name in upper.names()? {
                if let Some(stat) = upper.stat(&name)? {
                    entries.push((name, stat));
                }
            }
            if position.opaque {
                for name in host.names()? {
                    if entries.binary_search_by(|(n, _)| n.cmp(&name)).is_err() {
                        self.writer.failures.note(remove(host, &name));
                    }
                }
            }
            Ok(entries)
        };
        let entries = match steps() {
            Ok(entries) => entries,
            Err(failure) => return self.writer.failures.note(Err(failure)),
        };
        // Deletions first: they make room for what is to be written.
        let (gone, present): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|(_, stat)| is_whiteout_device(stat));
        for (name, _) in gone {
            self.writer.failures.note(remove(host, &name));
        }
        let present = present.into_iter().map(|(name, stat)| Source {
            dir: upper,
            name,
            stat,
        });
        let (small, others): (Vec<_>, Vec<_>) = present.partition(batch::can_wait);
        for source in &others {
            self.single(source, host, position);
        }
        for source in self.batch.add(&mut self.writer, &small, host) {
            self.single(source, host, position);
        }
    }

    /// Writes an entry by itself; a file is on disk before it gets its name.
    fn single(&mut self, source: &Source<'_>, host: &Dir, position: &Position) {
        let result = self.entry(source, host, position);
        if result.is_err() {
            // What was begun only takes up room; its own failure adds nothing to the report.
            let _ = remove(host, self.writer.temporary);
        }
        self.writer.failures.note(result);
    }

    fn entry(
        &mut self,
        source: &Source<'_>,
        host: &Dir,
        position: &Position,
    ) -> Result<(), Failure> {
        let (entry, attributes) = self.writer.look(source)?;
        match entry {
            Entry::Whiteout => remove(host, &source.name),
            Entry::Directory { opaque } => {
                self.directory(source, host, position, attributes, opaque)
            }
            Entry::Leaf(kind) => {
                if !self.link(source, host)? {
                    match kind {
                        FileType::RegularFile => {
                            let to = (host, self.writer.temporary);
                            let file = self.writer.write(source, host, to, &attributes)?;
                            rustix::fs::fsync(&file)
                                .map_err(|errno| host.failure("flush", &source.name, errno))?;
                        }
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
        attributes: Attributes,
        opaque: bool,
    ) -> Result<(), Failure> {
        let name = &source.name;
        if position.depth == MAX_DEPTH {
            return Err(host.failure("create the deeply nested", name, Errno::NAMETOOLONG));
        }
        let upper = source.dir.open_dir(name)?;
        if !host.stat(name)?.is_some_and(|stat| is_dir(&stat)) {
            // Nobody else looks into it before it is complete and has its own mode.
            rustix::fs::mkdirat(host, self.writer.temporary, Mode::RWXU)
                .map_err(|errno| host.failure("create directory", name, errno))?;
            replace(host, self.writer.temporary, host, name)?;
        }
        let below = host.open_dir(name)?;
        self.merge(&upper, &below, &position.below(name, opaque));
        // Last, because entries made in it change its times.
        self.batch
            .add_directory(&mut self.writer, below, attributes);
        Ok(())
    }

    /// Makes the temporary file a link to what another name of the same file was written to.
    fn link(&mut self, source: &Source<'_>, host: &Dir) -> Result<bool, Failure> {
        let Some(written) = self.links.get(&source.stat.stx_ino) else {
            return Ok(false);
        };
        let fail = |errno| host.failure("link", &source.name, errno);
        let directory = self.host.open_beneath(&written.directory)?;
        rustix::fs::linkat(
            &directory,
            &written.name,
            host,
            self.writer.temporary,
            AtFlags::empty(),
        )
        .map_err(fail)?;
        // Somebody on the host may have put another file there in the meantime.
        match host.stat(self.writer.temporary)? {
            Some(stat) if stat.stx_ino == written.inode => Ok(true),
            _ => Err(fail(Errno::STALE)),
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
        let (name, stat) = (&source.name, &source.stat);
        let fail = |errno| host.failure("create", name, errno);
        if kind == FileType::Symlink {
            let target = rustix::fs::readlinkat(source.dir, name, Vec::new())
                .map_err(|errno| source.dir.failure("read", name, errno))?;
            rustix::fs::symlinkat(&target, host, self.writer.temporary).map_err(fail)?;
        } else {
            let device = rustix::fs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
            let mode = Mode::RUSR | Mode::WUSR;
            rustix::fs::mknodat(host, self.writer.temporary, kind, mode, device).map_err(fail)?;
        }
        // By descriptor from here on, and only if it still is what was just created: other
        // processes of the host may write to this directory.
        let node = host.open_node(self.writer.temporary)?;
        let found = crate::tree::stat_of(&node).map_err(fail)?;
        if file_type(&found) != kind || found.stx_nlink != 1 {
            return Err(fail(Errno::STALE));
        }
        let applied = attributes.apply(&node, &host.path_of(name));
        self.writer.failures.tolerate(applied)
    }

    /// Gives the temporary file its name, and remembers it if it has more names.
    fn finish(
        &mut self,
        source: &Source<'_>,
        host: &Dir,
        position: &Position,
    ) -> Result<(), Failure> {
        let inode = match host.stat(self.writer.temporary)? {
            Some(stat) => stat.stx_ino,
            None => return Err(host.failure("find the new", &source.name, Errno::NOENT)),
        };
        replace(host, self.writer.temporary, host, &source.name)?;
        if source.stat.stx_nlink > 1 {
            let written = Written {
                directory: position.path.clone(),
                name: source.name.clone(),
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
        Ok(Attributes::of(&stat, &xattrs, self.writer.mapping))
    }
}

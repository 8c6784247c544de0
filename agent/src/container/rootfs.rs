//! The root tree of a container: a template shared by all, and a writable layer for each.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{OpenOptionsExt as _, PermissionsExt as _, lchown, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
};

use nix::mount::MsFlags;
use softwarecontainer_init::INIT_PATH;

use crate::{
    error_chain::Chain,
    host::{
        container_path::Owner,
        mount::{MountError, mount_new, remove_with_mounts},
        mountinfo::points_under,
    },
};

/// Host directories that every container sees read-only, besides the install prefix.
const SYSTEM_DIRECTORIES: [&str; 3] = ["usr", "lib", "lib64"];
/// Directories of the root tree that belong to the container.
const OWN_DIRECTORIES: [&str; 9] = [
    "dev",
    "etc",
    "gateways",
    "home",
    "proc",
    "root",
    "sys",
    "tmp",
    "etc/pulse",
];
/// File systems with fewer inodes per byte than this could be filled with empty files.
const BYTES_PER_INODE: u64 = 4096;

/// The part of the root tree that all containers share: busybox, the init, and mount points for the
/// host's system directories.
#[derive(Debug)]
pub struct Template {
    directory: PathBuf,
    /// Host directories to mount read-only at the same place.
    system_directories: Vec<PathBuf>,
}

impl Template {
    /// Prepares the template in `directory`, anew if an earlier agent left one.
    ///
    /// `prefix` is the install prefix; `init` the init's program file.
    ///
    /// # Errors
    /// [`MountError`] naming the path that could not be prepared.
    pub fn prepare(directory: &Path, prefix: &Path, init: &Path) -> Result<Self, MountError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |e: io::Error| MountError::new("prepare", &path, e)
        };
        match fs::remove_dir_all(directory) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(directory)(e)),
            _ => {}
        }
        for name in ["bin", "sbin"] {
            let path = directory.join(name);
            fs::create_dir_all(&path).map_err(at(&path))?;
        }
        fs::set_permissions(directory, Permissions::from_mode(0o755)).map_err(at(directory))?;
        let mut template = Self {
            directory: directory.to_owned(),
            system_directories: Vec::new(),
        };
        for name in SYSTEM_DIRECTORIES {
            template
                .add_system_directory(name)
                .map_err(at(&Path::new("/").join(name)))?;
        }
        template.add_prefix(prefix).map_err(at(prefix))?;
        template.add_init(init).map_err(at(init))?;
        template.add_busybox().map_err(at(&directory.join("bin")))?;
        Ok(template)
    }

    /// What to mount read-only at the same place, in this order: the host's system directories, and
    /// what is mounted in them, such as a partition at `/usr/local`. (A user namespace cannot have
    /// the one without the other, see mount_namespaces(7).)
    ///
    /// # Errors
    /// [`MountError`] when the list of mounts cannot be read.
    pub fn system_mounts(&self) -> Result<Vec<PathBuf>, MountError> {
        let mut all = self.system_directories.clone();
        for point in points_under(&self.system_directories)? {
            // One that is mounted twice shows the upper one, and so does the container. One whose
            // mount point was removed shows nothing.
            if !all.contains(&point) && point.exists() {
                all.push(point);
            }
        }
        Ok(all)
    }

    /// On a host with merged `/usr`, `/lib` is a symbolic link, and so it is in the container.
    fn add_system_directory(&mut self, name: &str) -> io::Result<()> {
        let (host, own) = (Path::new("/").join(name), self.directory.join(name));
        match fs::symlink_metadata(&host) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(metadata) if metadata.is_symlink() => symlink(fs::read_link(&host)?, own),
            Ok(_) => {
                fs::create_dir_all(own)?;
                self.system_directories.push(host);
                Ok(())
            }
        }
    }

    fn add_prefix(&mut self, prefix: &Path) -> io::Result<()> {
        let covered = self
            .system_directories
            .iter()
            .any(|directory| prefix.starts_with(directory));
        if covered || !prefix.is_dir() || prefix.parent().is_none() {
            return Ok(());
        }
        if let Ok(relative) = prefix.strip_prefix("/") {
            fs::create_dir_all(self.directory.join(relative))?;
            self.system_directories.push(prefix.to_owned());
        }
        Ok(())
    }

    /// A copy, because the program file that a container executes must not be one that the host
    /// relies on.
    fn add_init(&self, init: &Path) -> io::Result<()> {
        let own = self.directory.join(INIT_PATH.trim_start_matches('/'));
        fs::copy(init, &own)?;
        fs::set_permissions(own, Permissions::from_mode(0o755))
    }

    fn add_busybox(&self) -> io::Result<()> {
        let bin = self.directory.join("bin");
        let Some(host) = find_busybox() else {
            log::warn!(
                "no busybox found on the host: containers get no /bin/busybox and no applets"
            );
            return Ok(());
        };
        let own = bin.join("busybox");
        if self
            .system_directories
            .iter()
            .any(|directory| host.starts_with(directory))
        {
            symlink(&host, own)?;
        } else {
            fs::copy(&host, &own)?;
            fs::set_permissions(own, Permissions::from_mode(0o755))?;
        }
        let output = Command::new(&host).arg("--list").env_clear().output()?;
        for applet in output.stdout.split(|&byte| byte == b'\n') {
            let name = Path::new(std::ffi::OsStr::from_bytes(applet));
            if applet.is_empty() || applet == b"busybox" || name.components().count() != 1 {
                continue;
            }
            match symlink("busybox", bin.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The host's busybox, by its real path.
fn find_busybox() -> Option<PathBuf> {
    [
        "/usr/bin/busybox",
        "/bin/busybox",
        "/usr/sbin/busybox",
        "/sbin/busybox",
    ]
    .iter()
    .find_map(|path| fs::canonicalize(path).ok())
}

/// The directories of one container under the shared mounts directory: a tmpfs with everything that
/// the container writes to.
#[derive(Debug)]
pub struct Rootfs {
    directory: PathBuf,
    owner: Owner,
}

impl Rootfs {
    /// Mounts the tmpfs of `size` bytes on `directory` and the root tree in it, and fills in what
    /// each container has of its own.
    ///
    /// # Errors
    /// [`MountError`] naming the path; nothing stays behind then.
    pub fn mount(
        directory: &Path,
        template: &Template,
        size: u64,
        owner: Owner,
    ) -> Result<Self, MountError> {
        fs::create_dir_all(directory).map_err(|e| MountError::new("make", directory, e))?;
        // For the container's root and nobody else on the host: device nodes and sockets in it are
        // open to all users of the container.
        let options = format!(
            "mode=0710,gid={},size={size},nr_inodes={}",
            owner.0,
            (size / BYTES_PER_INODE).max(1024)
        );
        if let Err(error) = mount_new("tmpfs", directory, MsFlags::MS_NOSUID, &options) {
            let _ = fs::remove_dir(directory);
            return Err(error);
        }
        let rootfs = Self {
            directory: directory.to_owned(),
            owner,
        };
        match rootfs.fill(template) {
            Ok(()) => Ok(rootfs),
            Err(error) => {
                if let Err(second) = remove_with_mounts(directory) {
                    log::error!("after a failure: {}", Chain(&second));
                }
                Err(error)
            }
        }
    }

    fn fill(&self, template: &Template) -> Result<(), MountError> {
        let upper = self.directory.join("rootfs-upper");
        let work = self.directory.join("rootfs-work");
        let at = |path: &Path| {
            let path = path.to_owned();
            move |e: io::Error| MountError::new("prepare", &path, e)
        };
        for path in [
            &self.root(),
            &upper,
            &work,
            &self.gateways(),
            &self.devices(),
        ] {
            fs::create_dir(path).map_err(at(path))?;
        }
        self.give(&upper).map_err(at(&upper))?;
        for name in OWN_DIRECTORIES {
            let path = upper.join(name);
            fs::create_dir(&path)
                .and_then(|()| self.give(&path))
                .map_err(at(&path))?;
        }
        for (name, mode) in [("tmp", 0o1777), ("root", 0o700)] {
            let path = upper.join(name);
            fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(at(&path))?;
        }
        for (name, content) in own_files().map_err(at(Path::new("/dev/urandom")))? {
            let path = upper.join(name);
            self.write(&path, &content).map_err(at(&path))?;
        }
        // The options keep every change a plain file in the upper directory.
        let options = format!(
            "lowerdir={},upperdir={},workdir={},redirect_dir=off,metacopy=off,index=off",
            template.directory.display(),
            upper.display(),
            work.display()
        );
        mount_new(
            "overlay",
            &self.root(),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            &options,
        )
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(path)?;
        file.write_all(content)?;
        self.give(path)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        lchown(path, Some(self.owner.0), Some(self.owner.0))
    }

    /// Where the container's root tree is mounted on the host.
    pub fn root(&self) -> PathBuf {
        self.directory.join("rootfs")
    }

    /// The host's side of `/gateways`.
    pub fn gateways(&self) -> PathBuf {
        self.directory.join("gateways")
    }

    /// Where device nodes for the container are made.
    pub fn devices(&self) -> PathBuf {
        self.directory.join("devices")
    }

    /// The container's directory on the host.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// The files that each container has of its own.
fn own_files() -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let mut files = vec![
        ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n".to_vec()),
        ("etc/group", b"root:x:0:\n".to_vec()),
        (
            "etc/hosts",
            b"127.0.0.1 localhost contained\n::1 localhost\n".to_vec(),
        ),
        ("etc/machine-id", machine_id()?),
        ("etc/pulse/client.conf", b"enable-shm = no\n".to_vec()),
    ];
    // A host without name servers is no error: the app then has none either.
    if let Ok(content) = fs::read("/etc/resolv.conf") {
        files.push(("etc/resolv.conf", content));
    }
    Ok(files)
}

/// A fresh machine-id(5): a random UUID of version 4.
fn machine_id() -> io::Result<Vec<u8>> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('\n');
    Ok(text.into_bytes())
}

//! The root tree of a container: a template shared by all, and a writable layer for each.

mod programs;
mod system_mount;
mod template;

pub use system_mount::SystemMount;
pub use template::Template;

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, lchown, symlink},
    path::{Path, PathBuf},
};

use nix::mount::MsFlags;

use crate::{
    error_chain::Chain,
    host::{
        app_user::AppUser,
        container_path::Owner,
        mount::{MountError, mount_new, remove_with_mounts},
        random,
    },
};

/// Directories of the root tree that belong to the container, with their modes (hier(7)).
const OWN_DIRECTORIES: [(&str, u32); 21] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("etc/pulse", 0o755),
    ("gateways", 0o755),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("run/lock", 0o1777),
    ("srv", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];
/// Symbolic links of the root tree, for programs that know these paths by their old names.
const OWN_LINKS: [(&str, &str); 2] = [("var/run", "../run"), ("var/lock", "../run/lock")];
/// The users of a container (passwd(5)); files whose owner it does not know are nobody's.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                      nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
/// The groups of a container (group(5)); 5 is that of pseudo terminals.
const GROUP: &str = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";
/// The home of an app that is not the container's root.
pub const HOME: &str = "/home/app";
/// File systems with fewer inodes per byte than this could be filled with empty files.
const BYTES_PER_INODE: u64 = 4096;

/// The directories of one container under the shared mounts directory: a tmpfs with everything that
/// the container writes to.
#[derive(Debug)]
pub struct Rootfs {
    directory: PathBuf,
    owner: Owner,
    user: AppUser,
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
        user: AppUser,
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
            user,
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

    /// That of a container which an earlier agent has left.
    pub fn left(directory: &Path, owner: Owner, user: AppUser) -> Self {
        Self {
            directory: directory.to_owned(),
            owner,
            user,
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
            &self.mount_point(),
        ] {
            fs::create_dir(path).map_err(at(path))?;
        }
        self.give_as_runtime_directory(&self.gateways())
            .map_err(at(&self.gateways()))?;
        self.give(&upper).map_err(at(&upper))?;
        for (name, mode) in OWN_DIRECTORIES {
            let path = upper.join(name);
            fs::create_dir(&path)
                .and_then(|()| self.give(&path))
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
                .map_err(at(&path))?;
        }
        for (name, target) in OWN_LINKS {
            let path = upper.join(name);
            symlink(target, &path)
                .and_then(|()| self.give(&path))
                .map_err(at(&path))?;
        }
        if !self.user.is_root() {
            let home = upper.join(HOME.trim_start_matches('/'));
            self.make_home(&home).map_err(at(&home))?;
        }
        for (name, content) in own_files(self.user).map_err(at(Path::new("/dev/urandom")))? {
            let path = upper.join(name);
            self.write(&path, &content).map_err(at(&path))?;
        }
        // The options keep every change a plain file in the upper directory.
        let options = format!(
            "lowerdir={},upperdir={},workdir={},redirect_dir=off,metacopy=off,index=off",
            template.directory().display(),
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

    /// As the XDG base directory specification has `XDG_RUNTIME_DIR`: apps own it, and nobody else
    /// gets in.
    fn give_as_runtime_directory(&self, path: &Path) -> io::Result<()> {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
        self.give_to_apps(path)
    }

    fn make_home(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
        self.give_to_apps(path)
    }

    fn give_to_apps(&self, path: &Path) -> io::Result<()> {
        lchown(path, Some(self.user.on_host), Some(self.user.group_on_host))
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

    /// Where liblxc puts the root tree together, in a mount namespace of its own.
    pub fn mount_point(&self) -> PathBuf {
        self.directory.join("lxc")
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
fn own_files(user: AppUser) -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let (mut passwd, mut group) = (PASSWD.to_owned(), GROUP.to_owned());
    if !user.is_root() {
        let id = user.inside;
        passwd += &format!("app:x:{id}:{id}:app:{HOME}:/bin/sh\n");
        group += &format!("app:x:{id}:\n");
    }
    let files = vec![
        ("etc/passwd", passwd.into_bytes()),
        ("etc/group", group.into_bytes()),
        ("etc/machine-id", machine_id()?),
        ("etc/pulse/client.conf", b"enable-shm = no\n".to_vec()),
    ];
    Ok(files)
}

/// A fresh machine-id(5): a random UUID of version 4.
fn machine_id() -> io::Result<Vec<u8>> {
    let mut bytes: [u8; 16] = random::bytes()?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('\n');
    Ok(text.into_bytes())
}

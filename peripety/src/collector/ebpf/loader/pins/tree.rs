//! The directory of pins, entry by entry: nothing is opened or removed through a link, nothing that lies on another
//! filesystem, and nothing that is not the daemon's by owner, name and depth. What is not is named, and left alone.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, fstatfs, openat, statat, unlinkat},
    io::Errno,
    process::geteuid,
};

/// `BPF_FS_MAGIC` of include/uapi/linux/magic.h.
const BPF_FS: u64 = 0xcafe_4a11;

/// A directory on a BPF filesystem, held open: what is done in it is done there, whatever its path leads to by then.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) fd: OwnedFd,
    path: PathBuf,
    device: u64,
}

fn open(at: &OwnedFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::other(format!("{}: {why}; it is left alone", path.display()))
}

fn is_bpffs(fd: &OwnedFd) -> bool {
    fstatfs(fd).is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|t| t & 0xffff_ffff == BPF_FS))
}

/// Why what this stands for is not the daemon's alone.
fn foreign(stat: &Stat) -> Option<String> {
    if stat.st_uid != geteuid().as_raw() {
        return Some(format!("it belongs to uid {}", stat.st_uid));
    }
    (stat.st_mode & 0o022 != 0).then(|| format!("others may write to it (mode {:o})", stat.st_mode & 0o7777))
}

/// Opens a directory by an absolute path in which nothing is a link.
pub(super) fn walk(path: &Path) -> io::Result<OwnedFd> {
    let mut fd: OwnedFd = fs::File::open("/")?.into();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(name) => {
                fd = open(&fd, Path::new(name)).map_err(|error| match error {
                    Errno::LOOP | Errno::NOTDIR => {
                        refused(path, "it is not a directory, or a link leads to it")
                    }
                    error => error.into(),
                })?;
            }
            _ => return Err(refused(path, "it is no absolute path")),
        }
    }
    Ok(fd)
}

impl Tree {
    /// Opens the directory of pins.
    ///
    /// # Errors
    /// It is not there, or not what it should be.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let parent = path.parent().unwrap_or(path);
        let above = fstat(&walk(parent)?)?;
        // Whoever may rename in it decides what the path leads to.
        let of_others = above.st_uid != 0 && above.st_uid != geteuid().as_raw();
        let (shared, sticky) = (above.st_mode & 0o022 != 0, above.st_mode & 0o1000 != 0);
        if of_others || (shared && !sticky) {
            return Err(refused(parent, "others may write to it"));
        }
        Self::checked(walk(path)?, path)
    }

    fn checked(fd: OwnedFd, path: &Path) -> io::Result<Self> {
        if !is_bpffs(&fd) {
            return Err(refused(path, "it is not on a BPF filesystem"));
        }
        let stat = fstat(&fd)?;
        match foreign(&stat) {
            Some(why) => Err(refused(path, &why)),
            None => Ok(Self { fd, path: path.to_owned(), device: stat.st_dev }),
        }
    }

    /// A directory in it.
    fn below(&self, name: &Path) -> io::Result<Self> {
        let path = self.path.join(name);
        let fd = open(&self.fd, name).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR => refused(&path, "it is a link, or no directory"),
            error => error.into(),
        })?;
        let below = Self::checked(fd, &path)?;
        if below.device == self.device {
            Ok(below)
        } else {
            Err(refused(&path, "something is mounted there"))
        }
    }

    fn names(&self) -> io::Result<Vec<PathBuf>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(
                    name,
                )));
            }
        }
        names.sort();
        Ok(names)
    }

    /// The directories of loads in it; what else is there is named.
    pub(super) fn loads(&self) -> io::Result<Vec<PathBuf>> {
        let mut loads = Vec::new();
        for name in self.names()? {
            let checked = if is_load(&name) {
                self.below(&name).map(drop)
            } else {
                Err(refused(&self.path.join(&name), "no peripetyd made it"))
            };
            match checked {
                Ok(()) => loads.push(name),
                Err(error) => tracing::warn!("{error}"),
            }
        }
        Ok(loads)
    }

    /// Removes the pins of a load that `wanted` names, and the directory if `all`.
    fn remove_pins(&self, load: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
        if !is_load(load) {
            return Err(refused(&self.path.join(load), "no peripetyd made it"));
        }
        let below = self.below(load)?;
        for name in below.names()? {
            let stat = statat(&below.fd, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            let text = name.to_str().unwrap_or_default();
            if !is_file || stat.st_dev != below.device || !is_pin(text) {
                tracing::warn!("{}", refused(&below.path.join(&name), "no peripetyd made it"));
            } else if wanted(text) {
                unlinkat(&below.fd, &name, AtFlags::empty())?;
            }
        }
        Ok(())
    }

    /// Removes programs and links of a load; ring and counters stay.
    pub(super) fn detach(&self, load: &Path) -> io::Result<()> {
        self.remove_pins(load, |name| name.starts_with("link_") || name.starts_with("prog_"))
    }

    /// Removes a load, as far as it is the daemon's.
    pub(super) fn remove(&self, load: &Path) -> io::Result<()> {
        self.remove_pins(load, |_all| true)?;
        Ok(unlinkat(&self.fd, load, AtFlags::REMOVEDIR)?)
    }
}

/// `0000ffff_` and 32 hexadecimal digits.
fn is_load(name: &Path) -> bool {
    let hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    name.to_str().and_then(|name| name.split_once('_')).is_some_and(|(rows, id)| hex(rows, 8) && hex(id, 32))
}

/// `prog_…` and `link_…` with the name of a program, or the name of a map; all of peripety's begin with `prpt_`.
fn is_pin(name: &str) -> bool {
    let of_program = name.strip_prefix("prog_").or_else(|| name.strip_prefix("link_"));
    of_program
        .unwrap_or(name)
        .strip_prefix("prpt_")
        .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown, symlink};

    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

    use super::{super::*, *};
    use crate::roots::Roots;

    const LOAD: &str = "0000ffff_0123456789abcdef0123456789abcdef";

    /// A BPF filesystem of its own, and a directory elsewhere that nobody may touch.
    struct Scene {
        dir: tempfile::TempDir,
        roots: Roots,
        pins: PathBuf,
    }

    impl Scene {
        fn new() -> Option<Self> {
            if !geteuid().is_root() {
                println!("skipped: mounting needs root");
                return None;
            }
            let dir = tempfile::tempdir().unwrap();
            let roots = Roots::under(dir.path());
            let pins = roots.sysfs.join("fs/bpf/peripety");
            let bpffs = pins.parent().unwrap();
            fs::create_dir_all(bpffs).unwrap();
            mount("bpf", bpffs, "bpf", MountFlags::empty(), Some(c"mode=0700")).unwrap();
            fs::create_dir_all(dir.path().join("victim").join(LOAD).join("deep")).unwrap();
            fs::write(dir.path().join("victim").join(LOAD).join("prog_file"), "precious").unwrap();
            Some(Self { dir, roots, pins })
        }

        fn victim(&self) -> PathBuf {
            self.dir.path().join("victim")
        }

        fn untouched(&self) {
            let victim = self.victim().join(LOAD);
            assert!(victim.join("deep").exists() && victim.join("prog_file").exists());
        }

        fn mkdir(&self, name: &str) -> PathBuf {
            let dir = self.pins.join(name);
            fs::DirBuilder::new().mode(0o700).recursive(true).create(&dir).unwrap();
            dir
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _best_effort = unmount(self.roots.sysfs.join("fs/bpf"), UnmountFlags::DETACH);
        }
    }

    #[test]
    fn a_link_in_the_place_of_the_directory_is_refused() {
        let Some(scene) = Scene::new() else { return };
        symlink(scene.victim(), &scene.pins).unwrap();
        let error = Pins::open(&scene.roots).unwrap_err().to_string();
        assert!(error.contains("left alone"), "{error}");
        assert!(clear(&scene.roots).is_err());
        remove(&scene.pins.join(LOAD));
        detach(&scene.pins.join(LOAD));
        scene.untouched();
        assert!(fs::symlink_metadata(&scene.pins).unwrap().is_symlink());
    }

    #[test]
    fn another_filesystem_another_owner_or_other_writers_are_refused() {
        let Some(scene) = Scene::new() else { return };
        scene.mkdir("");
        for (uid, mode) in [(1000, 0o700), (0, 0o777), (0, 0o720)] {
            fs::set_permissions(&scene.pins, fs::Permissions::from_mode(mode)).unwrap();
            chown(&scene.pins, Some(uid), None).unwrap();
            assert!(Pins::open(&scene.roots).is_err(), "{uid} {mode:o}");
            assert!(clear(&scene.roots).is_err(), "{uid} {mode:o}");
        }
        chown(&scene.pins, Some(0), None).unwrap();
        fs::set_permissions(&scene.pins, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(Pins::open(&scene.roots).is_ok());
        mount("tmpfs", &scene.pins, "tmpfs", MountFlags::empty(), None).unwrap();
        scene.mkdir(LOAD);
        assert!(Pins::open(&scene.roots).is_err());
        assert!(clear(&scene.roots).is_err());
        assert!(scene.pins.join(LOAD).exists());
        unmount(&scene.pins, UnmountFlags::empty()).unwrap();
    }

    #[test]
    fn only_what_is_the_daemons_is_removed() {
        let Some(scene) = Scene::new() else { return };
        let other = LOAD.replace("0000ffff", "00000001");
        let mounted = LOAD.replace("0000ffff", "00000002");
        let nested = LOAD.replace("0000ffff", "00000003");
        scene.mkdir(LOAD);
        for foreign in ["keep", "0000ffff_", "0000FFFF_0123456789abcdef0123456789abcdef"] {
            scene.mkdir(foreign);
        }
        symlink(scene.victim().join(LOAD), scene.pins.join(&other)).unwrap();
        let on_it = scene.mkdir(&mounted);
        mount("tmpfs", &on_it, "tmpfs", MountFlags::empty(), Some(c"mode=0700")).unwrap();
        fs::write(on_it.join("prog_x"), "precious").unwrap();
        scene.mkdir(&format!("{nested}/deep"));
        symlink(scene.victim(), scene.pins.join(&nested).join("prog_link")).unwrap();

        let pins = Pins::open(&scene.roots).unwrap();
        let loads: Vec<_> = pins.all().into_iter().map(|pinned| pinned.dir).collect();
        assert_eq!(loads, [scene.pins.join(&nested), scene.pins.join(LOAD)]);
        for name in [LOAD, &other, &mounted, &nested, "keep"] {
            detach(&scene.pins.join(name));
            remove(&scene.pins.join(name));
        }
        drop(pins);
        assert!(!scene.pins.join(LOAD).exists());
        assert!(clear(&scene.roots).is_err(), "what is left is named");
        scene.untouched();
        for left in ["keep", "0000ffff_", &other, &format!("{mounted}/prog_x"), &format!("{nested}/deep")] {
            assert!(fs::symlink_metadata(scene.pins.join(left)).is_ok(), "{left}");
        }
        unmount(&on_it, UnmountFlags::empty()).unwrap();
    }

    #[test]
    fn a_directory_with_nothing_else_goes_whole() {
        let Some(scene) = Scene::new() else { return };
        assert!(!clear(&scene.roots).unwrap());
        scene.mkdir(LOAD);
        assert!(clear(&scene.roots).unwrap());
        assert!(!scene.pins.exists());
    }
}

//! How the files below a root are read: from disk, or from a tree in memory.
//!
//! What the report of another machine shows of its sysfs is a tree in memory: none of its names and links ever reaches the
//! disk of this machine, and whatever a link says, it leads to a place of the same tree or nowhere.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Links on the way to one file, as many as the kernel follows.
const LINKS_MAX: usize = 40;
/// Parts of names on the way to one file, those of links among them.
const STEPS_MAX: usize = 4096;
/// What an entry costs beside its name and content.
const ENTRY_COST: usize = 160;
/// Names of a directory in memory that are given: there are no more block devices than that.
const NAMES_MAX: usize = 32_768;

/// Where files are read.
#[derive(Clone, Debug, Default)]
pub enum Files {
    /// This machine's disk.
    #[default]
    Disk,
    /// A tree in memory.
    Memory(Arc<Tree>),
}

impl Files {
    /// Whether the files are this machine's own.
    pub fn on_disk(&self) -> bool {
        matches!(self, Self::Disk)
    }

    /// Content of a file, up to a bound; none when it is not there or cannot be read.
    pub fn read(&self, path: &Path, most: u64) -> Option<Vec<u8>> {
        match self {
            Self::Disk => {
                let mut content = Vec::new();
                File::open(path).ok()?.take(most).read_to_end(&mut content).ok()?;
                Some(content)
            }
            Self::Memory(tree) => {
                let content = tree.content(path)?;
                let most = usize::try_from(most).unwrap_or(usize::MAX).min(content.len());
                tree.take(most)?;
                content.get(..most).map(<[u8]>::to_vec)
            }
        }
    }

    /// Names in a directory.
    ///
    /// # Errors
    ///
    /// It is not there, is no directory, or cannot be read.
    pub fn names(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        match self {
            Self::Disk => std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect(),
            Self::Memory(tree) => {
                let names = tree.names(dir).ok_or(io::ErrorKind::NotFound)?;
                Ok(names.into_iter().take(NAMES_MAX).collect())
            }
        }
    }

    /// The path without links; none when it leads nowhere.
    pub fn canonical(&self, path: &Path) -> Option<PathBuf> {
        match self {
            Self::Disk => path.canonicalize().ok(),
            Self::Memory(tree) => tree.canonical(path),
        }
    }

    /// What a symbolic link says.
    pub fn link(&self, path: &Path) -> Option<PathBuf> {
        match self {
            Self::Disk => std::fs::read_link(path).ok(),
            Self::Memory(tree) => tree.link(path),
        }
    }

    /// Whether the path leads to something.
    pub fn exists(&self, path: &Path) -> bool {
        match self {
            Self::Disk => path.exists(),
            Self::Memory(tree) => tree.canonical(path).is_some(),
        }
    }

    /// Whether the path leads to a directory.
    pub fn is_dir(&self, path: &Path) -> bool {
        match self {
            Self::Disk => path.is_dir(),
            Self::Memory(tree) => tree.names(path).is_some(),
        }
    }
}

#[derive(Clone, Debug)]
enum Entry {
    Directory(BTreeMap<OsString, usize>),
    File(Arc<[u8]>),
    Link(PathBuf),
}

/// Why an entry is not in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A directory is where a file is to be, or the other way round, or a link where a directory is to be.
    #[error("something else has its name")]
    Clash,
    /// The tree has as much as it may have.
    #[error("the tree is full")]
    Full,
    /// A hard link to what is not there, or is a directory.
    #[error("it leads nowhere")]
    Nowhere,
}

/// Directories, small files and links in memory. Links are kept as they are and followed only within the tree.
#[derive(Debug)]
pub struct Tree {
    entries: Vec<Entry>,
    cost: usize,
    cost_max: usize,
    /// Bytes of content that may still be read. Links can make one file that of any number of devices.
    readable: AtomicUsize,
}

impl Tree {
    /// An empty tree that takes at most so many bytes of memory.
    pub fn new(cost_max: usize) -> Self {
        let entries = vec![Entry::Directory(BTreeMap::new())];
        Self { entries, cost: 0, cost_max, readable: AtomicUsize::new(cost_max) }
    }

    /// Adds a directory, and those above it.
    ///
    /// # Errors
    ///
    /// The name is another thing's, or the tree is full.
    pub fn add_directory(&mut self, path: &Path) -> Result<(), TreeError> {
        self.directory(path).map(|_| ())
    }

    /// Adds a file in place of an earlier one of the name.
    ///
    /// # Errors
    ///
    /// The name is another thing's, or the tree is full.
    pub fn add_file(&mut self, path: &Path, content: Arc<[u8]>) -> Result<(), TreeError> {
        self.put(path, content.len(), Entry::File(content))
    }

    /// Adds a symbolic link in place of an earlier one of the name.
    ///
    /// # Errors
    ///
    /// The name is another thing's, or the tree is full.
    pub fn add_link(&mut self, path: &Path, target: &Path) -> Result<(), TreeError> {
        self.put(path, target.as_os_str().len(), Entry::Link(target.to_owned()))
    }

    /// Adds another name of what is at `of`, which is taken as it is: its parts are not followed where they are links.
    ///
    /// # Errors
    ///
    /// There is no file or link at `of`, the name is another thing's, or the tree is full.
    pub fn add_hard_link(&mut self, path: &Path, of: &Path) -> Result<(), TreeError> {
        let found = self.find(of, Follow::Nothing).and_then(|(at, _)| self.entries.get(at));
        match found {
            Some(Entry::File(content)) => {
                let content = Arc::clone(content);
                self.put(path, 0, Entry::File(content))
            }
            Some(Entry::Link(target)) => {
                let target = target.clone();
                self.add_link(path, &target)
            }
            Some(Entry::Directory(_)) | None => Err(TreeError::Nowhere),
        }
    }

    /// Bytes of memory that the tree takes.
    pub fn cost(&self) -> usize {
        self.cost
    }

    fn put(&mut self, path: &Path, cost: usize, entry: Entry) -> Result<(), TreeError> {
        let name = path.file_name().ok_or(TreeError::Clash)?.to_owned();
        let parent = self.directory(path.parent().unwrap_or(Path::new("")))?;
        let Some(Entry::Directory(names)) = self.entries.get(parent) else { return Err(TreeError::Clash) };
        let known = names.get(&name).copied();
        match known.and_then(|at| self.entries.get(at)) {
            Some(Entry::Directory(_)) => return Err(TreeError::Clash),
            Some(Entry::File(_)) if matches!(entry, Entry::Link(_)) => return Err(TreeError::Clash),
            Some(Entry::Link(_)) if matches!(entry, Entry::File(_)) => return Err(TreeError::Clash),
            _ => {}
        }
        self.charge(cost + if known.is_some() { 0 } else { name.len() + ENTRY_COST })?;
        match known.and_then(|at| self.entries.get_mut(at)) {
            Some(there) => *there = entry,
            None => self.append(parent, name, entry),
        }
        Ok(())
    }

    /// The directory, which is made where it is not there.
    fn directory(&mut self, path: &Path) -> Result<usize, TreeError> {
        let mut at = 0;
        for part in path.components() {
            let name = match part {
                Component::Normal(name) => name,
                Component::RootDir | Component::CurDir => continue,
                Component::ParentDir | Component::Prefix(_) => return Err(TreeError::Clash),
            };
            let Some(Entry::Directory(names)) = self.entries.get(at) else { return Err(TreeError::Clash) };
            let known = names.get(name).copied();
            at = match known {
                Some(known) => known,
                None => {
                    self.charge(name.len() + ENTRY_COST)?;
                    self.append(at, name.to_owned(), Entry::Directory(BTreeMap::new()));
                    self.entries.len() - 1
                }
            };
        }
        match self.entries.get(at) {
            Some(Entry::Directory(_)) => Ok(at),
            _ => Err(TreeError::Clash),
        }
    }

    fn append(&mut self, parent: usize, name: OsString, entry: Entry) {
        self.entries.push(entry);
        let at = self.entries.len() - 1;
        if let Some(Entry::Directory(names)) = self.entries.get_mut(parent) {
            names.insert(name, at);
        }
    }

    fn charge(&mut self, cost: usize) -> Result<(), TreeError> {
        let after = self.cost.saturating_add(cost);
        if after > self.cost_max {
            return Err(TreeError::Full);
        }
        self.cost = after;
        Ok(())
    }

    /// Notes that so much is read; none if that is too much.
    fn take(&self, length: usize) -> Option<()> {
        let less = |left: usize| left.checked_sub(length);
        self.readable.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok().map(|_| ())
    }

    fn content(&self, path: &Path) -> Option<&[u8]> {
        match self.entries.get(self.find(path, Follow::All)?.0) {
            Some(Entry::File(content)) => Some(content),
            _ => None,
        }
    }

    fn names(&self, dir: &Path) -> Option<Vec<OsString>> {
        match self.entries.get(self.find(dir, Follow::All)?.0) {
            Some(Entry::Directory(names)) => Some(names.keys().cloned().collect()),
            _ => None,
        }
    }

    /// Names of the directories at the top.
    pub fn top(&self) -> Vec<PathBuf> {
        let names = self.names(Path::new("")).unwrap_or_default();
        names.into_iter().map(PathBuf::from).filter(|name| self.names(name).is_some()).collect()
    }

    fn canonical(&self, path: &Path) -> Option<PathBuf> {
        self.find(path, Follow::All).map(|(_, path)| path)
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        match self.entries.get(self.find(path, Follow::AllButLast)?.0) {
            Some(Entry::Link(target)) => Some(target.clone()),
            _ => None,
        }
    }

    /// The entry at a path, and its path without links.
    fn find(&self, path: &Path, follow: Follow) -> Option<(usize, PathBuf)> {
        // What is still to be walked, the next part last.
        let mut open: Vec<&OsStr> = parts(path).collect();
        open.reverse();
        let mut walked: Vec<(&OsStr, usize)> = Vec::new();
        let (mut links, mut steps) = (0, 0);
        while let Some(part) = open.pop() {
            steps += 1;
            let at = walked.last().map_or(0, |(_, at)| *at);
            let Some(Entry::Directory(names)) = self.entries.get(at) else { return None };
            if steps > STEPS_MAX {
                return None;
            }
            if part == ".." {
                walked.pop();
                continue;
            }
            let (name, child) = names.get_key_value(part)?;
            match self.entries.get(*child)? {
                Entry::Link(target) if follow.follows(open.is_empty()) => {
                    links += 1;
                    // What is absolute leads out of the tree.
                    if links > LINKS_MAX || target.is_absolute() {
                        return None;
                    }
                    let mut of_link: Vec<&OsStr> = parts(target).collect();
                    of_link.reverse();
                    open.extend(of_link);
                }
                Entry::Link(_) if !open.is_empty() => return None,
                _ => walked.push((name, *child)),
            }
        }
        let at = walked.last().map_or(0, |(_, at)| *at);
        let path = std::iter::once(OsStr::new("/")).chain(walked.into_iter().map(|(name, _)| name)).collect();
        Some((at, path))
    }
}

/// Which links are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    All,
    AllButLast,
    Nothing,
}

impl Follow {
    fn follows(self, is_last: bool) -> bool {
        match self {
            Self::All => true,
            Self::AllButLast => !is_last,
            Self::Nothing => false,
        }
    }
}

/// The parts of a path that lead somewhere else.
fn parts(path: &Path) -> impl Iterator<Item = &OsStr> {
    let bytes = path.as_os_str().as_bytes();
    bytes.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".").map(OsStr::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::new(1 << 20);
        let path = Path::new;
        tree.add_file(path("sys/devices/a/block/sda/dev"), b"8:0\n".as_slice().into()).unwrap();
        tree.add_link(path("sys/class/block/sda"), path("../../devices/a/block/sda")).unwrap();
        tree.add_link(path("sys/devices/a/block/sda/up"), path("../../../../..")).unwrap();
        tree.add_link(path("sys/loop"), path("loop")).unwrap();
        tree.add_link(path("sys/ping"), path("pong")).unwrap();
        tree.add_link(path("sys/pong"), path("ping")).unwrap();
        tree.add_link(path("sys/out"), path("../../../../../../../etc/passwd")).unwrap();
        tree.add_link(path("sys/absolute"), path("/etc/passwd")).unwrap();
        tree.add_link(path("etc"), path("sys")).unwrap();
        tree
    }

    #[test]
    fn links_are_followed_within_the_tree_and_no_further() {
        let files = Files::Memory(Arc::new(tree()));
        let read = |path: &str| files.read(Path::new(path), 100);
        let dev = Some(b"8:0\n".to_vec());
        assert_eq!(read("/sys/class/block/sda/dev"), dev);
        assert_eq!(read("/sys/class/block/sda/up/sys/class/block/sda/dev"), dev);
        assert_eq!(
            files.canonical(Path::new("/sys/class/block/sda")),
            Some(PathBuf::from("/sys/devices/a/block/sda"))
        );
        assert_eq!(
            files.link(Path::new("/sys/class/block/sda")),
            Some(PathBuf::from("../../devices/a/block/sda"))
        );
        for nowhere in ["/sys/loop", "/sys/ping", "/sys/out", "/sys/absolute", "/sys/class/block/sda/dev/x"] {
            assert_eq!(read(nowhere), None, "{nowhere}");
            assert!(!files.exists(Path::new(nowhere)), "{nowhere}");
        }
        assert!(Path::new("/etc/passwd").exists(), "the links out of the tree would lead to a file");
        assert!(files.is_dir(Path::new("/sys/class/block/sda")) && !files.is_dir(Path::new("/sys/loop")));
        assert_eq!(files.names(Path::new("/sys/class/block")).unwrap(), [OsString::from("sda")]);
        assert_eq!(files.read(Path::new("/sys/class/block/sda/dev"), 2), Some(b"8:".to_vec()));
    }

    #[test]
    fn what_has_a_name_keeps_it_and_nothing_is_laid_through_a_link() {
        let mut tree = tree();
        let path = Path::new;
        let content = || Arc::<[u8]>::from(b"x".as_slice());
        for clash in
            ["sys/class", "sys/class/block/sda", "sys/class/block/sda/new", "etc/new", "sys/loop/new"]
        {
            assert_eq!(tree.add_file(path(clash), content()), Err(TreeError::Clash), "{clash}");
        }
        assert_eq!(tree.add_directory(path("sys/devices/a/block/sda/dev")), Err(TreeError::Clash));
        assert_eq!(tree.add_file(path("a/../../b"), content()), Err(TreeError::Clash));
        assert_eq!(tree.add_file(path(""), content()), Err(TreeError::Clash));
        // Hard links: to a file, to a link, to a link of a link, to nothing, to a directory, through a link.
        tree.add_hard_link(path("h1"), path("sys/devices/a/block/sda/dev")).unwrap();
        tree.add_hard_link(path("h2"), path("h1")).unwrap();
        tree.add_hard_link(path("h3"), path("sys/out")).unwrap();
        for nowhere in ["absent", "sys", "sys/class/block/sda/dev"] {
            assert_eq!(tree.add_hard_link(path("h4"), path(nowhere)), Err(TreeError::Nowhere), "{nowhere}");
        }
        assert_eq!(tree.content(path("h2")), Some(b"8:0\n".as_slice()));
        assert_eq!(tree.content(path("h3")), None);
    }

    #[test]
    fn a_tree_is_bounded() {
        let mut tree = Tree::new(10_000);
        let full = (0..1000).find_map(|n| tree.add_directory(Path::new(&format!("d{n}"))).err());
        assert_eq!(full, Some(TreeError::Full));
        assert!(tree.cost() <= 10_000 && tree.entries.len() < 100);
        let big = Arc::<[u8]>::from(vec![0; 20_000]);
        assert_eq!(Tree::new(10_000).add_file(Path::new("big"), big), Err(TreeError::Full));

        // A file that has many names, or is read many times.
        let mut tree = Tree::new(20_000);
        tree.add_file(Path::new("a"), vec![0; 4096].into()).unwrap();
        tree.add_link(Path::new("b"), Path::new("a")).unwrap();
        let files = Files::Memory(Arc::new(tree));
        let read = (0..100).filter_map(|_| files.read(Path::new("/b"), u64::MAX)).count();
        assert_eq!(read, 4);
    }
}

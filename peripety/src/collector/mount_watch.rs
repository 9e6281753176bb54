//! Waits for mounts and unmounts: the kernel flags an open mountinfo with POLLPRI and POLLERR when it changes.

use std::{fs::File, io, path::PathBuf};

use tokio::io::{Interest, unix::AsyncFd};

use super::async_fd::watch;
use crate::roots::Roots;

/// Watches the mounts of the initial mount namespace, and of our own where that is another one.
#[derive(Debug)]
pub(crate) struct MountWatch {
    files: Vec<AsyncFd<File>>,
}

impl MountWatch {
    /// Opens mountinfo, inside a tokio runtime. Open before mountinfo is first read, so that nothing falls between.
    ///
    /// # Errors
    ///
    /// When not even our own mountinfo can be opened.
    pub(crate) fn open(roots: &Roots) -> io::Result<Self> {
        let own = roots.procfs.join("self/ns/mnt");
        let initial = roots.procfs.join("1/ns/mnt");
        let namespace = |path: &PathBuf| std::fs::read_link(path).ok();
        let same = namespace(&initial).is_some_and(|initial| namespace(&own).as_ref() == Some(&initial));
        let open = |pid: &str| -> io::Result<AsyncFd<File>> {
            let file = File::open(roots.procfs.join(pid).join("mountinfo"))?;
            watch(file, Interest::PRIORITY)
        };
        let mut files = vec![open("self")?];
        if !same {
            files.extend(open("1").ok());
        }
        Ok(Self { files })
    }

    /// Waits for the next change. Changes that came in between count as one.
    ///
    /// # Errors
    ///
    /// When waiting fails.
    pub(crate) async fn changed(&self) -> io::Result<()> {
        let mut waits = Vec::with_capacity(self.files.len());
        for file in &self.files {
            waits.push(Box::pin(file.ready(Interest::PRIORITY)));
        }
        std::future::poll_fn(|context| {
            for wait in &mut waits {
                if let std::task::Poll::Ready(ready) = wait.as_mut().poll(context) {
                    return std::task::Poll::Ready(ready.map(|mut guard| guard.clear_ready()));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_mount_wakes_and_nothing_else_does() {
        if !rustix::process::getuid().is_root() {
            println!("skipped: mounting needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mounts = MountWatch::open(&Roots::system()).unwrap();
            // Others may mount on this machine at any time, so quiet is tried for a while.
            let mut quiet = false;
            for _ in 0..20 {
                quiet |= tokio::time::timeout(Duration::from_millis(50), mounts.changed()).await.is_err();
            }
            assert!(quiet, "woken all the time");
            let none = rustix::mount::MountFlags::empty();
            rustix::mount::mount("none", dir.path(), "tmpfs", none, None).unwrap();
            tokio::time::timeout(Duration::from_secs(5), mounts.changed()).await.unwrap().unwrap();
            rustix::mount::unmount(dir.path(), rustix::mount::UnmountFlags::empty()).unwrap();
            tokio::time::timeout(Duration::from_secs(5), mounts.changed()).await.unwrap().unwrap();
        });
    }
}

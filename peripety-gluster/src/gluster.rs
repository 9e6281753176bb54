//! Asks glusterd by its command line tool, with time limits: a question takes a lock in the cluster and can hang as long as a
//! peer does.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read as _,
    os::fd::AsFd as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    snapshot::{Snapshot, Status, Volume},
    xml::{self, XmlError},
};

/// Longest answer that is read, bytes.
const ANSWER_MAX: usize = 64 << 20;

/// How glusterd is asked.
#[derive(Clone, Debug)]
pub struct Gluster {
    /// The tool: `gluster`.
    pub program: PathBuf,
    /// Where glusterd keeps its state: `/var/lib/glusterd`.
    pub workdir: PathBuf,
    /// How long one question may take.
    pub limit: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The tool could not be run.
    #[error("cannot run {program}: {source}; install glusterfs-cli, or give --gluster")]
    Run {
        /// The tool.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It did not end.
    #[error("'gluster {0}' did not answer within {1} s")]
    Late(String, u64),
    /// It cannot be read.
    #[error("'gluster {0}': {1}")]
    Read(String, io::Error),
    /// It gave no answer that makes sense.
    #[error("'gluster {command}': {source}")]
    Answer {
        /// What was asked.
        command: String,
        /// Why.
        source: XmlError,
    },
}

impl Gluster {
    /// Volumes and peers as this node knows them, without the processes of bricks. Nothing of it waits for another node.
    ///
    /// # Errors
    /// glusterd of this node does not answer.
    pub fn definitions(&self) -> Result<Snapshot, AskError> {
        let node = self.node();
        let peers = self.question(&["peer", "status"], xml::peers)?;
        let mut volumes = self.question(&["volume", "info", "all"], xml::volumes)?;
        for (name, volume) in &mut volumes {
            volume.version = self.version(name);
        }
        Ok(Snapshot { node, volumes, peers })
    }

    /// Adds which bricks run, and with `heal` what waits for heal. glusterd asks all nodes, under a lock: it waits for one that does
    /// not answer, and refuses while another question or operation is under way, or where a volume was stopped meanwhile.
    ///
    /// # Errors
    /// glusterd does not answer, or refuses.
    pub fn processes(&self, snapshot: &mut Snapshot, heal: bool) -> Result<(), AskError> {
        let is_started = |volume: &Volume| volume.status == Status::Started;
        if !snapshot.volumes.values().any(is_started) {
            return Ok(());
        }
        let processes = self.question(&["volume", "status", "all"], xml::status)?;
        processes_into(&mut snapshot.volumes, &processes);
        for (name, volume) in snapshot.volumes.iter_mut().filter(|(_, volume)| heal && is_started(volume)) {
            if volume.set_size() > 1 {
                // A volume whose bricks are away has no answer, and that is no failure of glusterd.
                volume.heal = self.question(&["volume", "heal", name, "info", "summary"], xml::heal).ok();
            }
        }
        Ok(())
    }

    /// This node's UUID; empty as long as it has neither a volume nor a peer: glusterd gives itself one with the first.
    fn node(&self) -> String {
        let text = fs::read_to_string(self.workdir.join("glusterd.info")).unwrap_or_default();
        let id = text.lines().find_map(|line| line.strip_prefix("UUID="));
        id.map(|id| id.trim().to_owned()).unwrap_or_default()
    }

    /// The version of a volume's definition; 0 where it cannot be read.
    fn version(&self, volume: &str) -> u64 {
        // A volume's name has letters, digits, '-' and '_' only; what else comes names no file of ours.
        if volume.contains('/') {
            return 0;
        }
        let text =
            fs::read_to_string(self.workdir.join("vols").join(volume).join("info")).unwrap_or_default();
        let version = text.lines().find_map(|line| line.strip_prefix("version="));
        version.and_then(|version| version.trim().parse().ok()).unwrap_or(0)
    }

    fn question<T>(&self, words: &[&str], read: fn(&str) -> Result<T, XmlError>) -> Result<T, AskError> {
        let command = words.join(" ");
        let text = self.run(words, &command)?;
        read(&text).map_err(|source| AskError::Answer { command, source })
    }

    fn run(&self, words: &[&str], command: &str) -> Result<String, AskError> {
        let failed = |source| AskError::Run { program: self.program.clone(), source };
        let mut tool = Command::new(&self.program);
        tool.arg("--mode=script").args(words).arg("--xml");
        tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = tool.spawn().map_err(failed)?;
        let answer = read_until(&mut child, Instant::now() + self.limit);
        // It has ended, or is not waited for any longer.
        let _ended = child.kill();
        let _status = child.wait();
        match answer {
            Ok(Some(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(None) => Err(AskError::Late(command.to_owned(), self.limit.as_secs())),
            Err(error) => Err(AskError::Read(command.to_owned(), error)),
        }
    }
}

/// All that a process writes; none if it goes on beyond the deadline.
fn read_until(child: &mut Child, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let Some(mut output) = child.stdout.take() else { return Ok(Some(Vec::new())) };
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || bytes.len() > ANSWER_MAX {
            return Ok(None);
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut waits = [PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN)];
        if poll(&mut waits, Some(&timeout))? == 0 {
            return Ok(None);
        }
        match output.read(&mut piece)? {
            0 => return Ok(Some(bytes)),
            n => bytes.extend_from_slice(piece.get(..n).unwrap_or_default()),
        }
    }
}

fn processes_into(volumes: &mut BTreeMap<String, Volume>, processes: &xml::Processes) {
    for (name, volume) in volumes.iter_mut().filter(|(_, volume)| volume.status == Status::Started) {
        for brick in &mut volume.bricks {
            let key = (name.clone(), brick.node.clone(), brick.path.clone());
            if let Some(process) = processes.get(&key) {
                (brick.online, brick.port, brick.pid) = (Some(process.online), process.port, process.pid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn tool(script: &str, limit: Duration) -> (tempfile::TempDir, Gluster) {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("gluster");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(directory.path().join("glusterd.info"), "UUID=me\noperating-version=100000\n").unwrap();
        let gluster = Gluster { program, workdir: directory.path().to_owned(), limit };
        (directory, gluster)
    }

    #[test]
    fn a_tool_that_hangs_is_ended() {
        let (_directory, gluster) = tool("exec sleep 60", Duration::from_millis(300));
        let started = Instant::now();
        let error = gluster.definitions().unwrap_err();
        assert_eq!(error.to_string(), "'gluster peer status' did not answer within 0 s");
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_is_no_answer_is_said_to_be_none() {
        let (_directory, gluster) = tool(
            "echo Connection failed. Please check if gluster daemon is operational.",
            Duration::from_secs(20),
        );
        let error = gluster.definitions().unwrap_err().to_string();
        assert!(error.starts_with("'gluster peer status': the answer of gluster is no XML"), "{error}");
    }
}

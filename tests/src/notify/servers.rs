//! Servers of others, as `cargo xtask setup --test` unpacked them; each ends with its scope.

use std::{
    fs,
    net::{TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use crate::{cmd, machine::Machine};

/// A process that ends with its scope.
pub struct Server(Child);

impl Server {
    /// Starts it, with what it says in a file.
    pub fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        let file = || fs::OpenOptions::new().create(true).append(true).open(log).context("opening a log");
        let child = command.stdin(Stdio::null()).stdout(file()?).stderr(file()?).spawn();
        Ok(Self(child.with_context(|| format!("starting {command:?}"))?))
    }

    /// Kills it as it is.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill().context("killing a server")?;
        self.0.wait().context("killing a server")?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.kill();
    }
}

/// Where the unpacked servers are.
pub fn root(machine: &Machine) -> PathBuf {
    machine.receivers()
}

/// A command for one of them, with its libraries.
pub fn command(machine: &Machine, program: &str) -> Command {
    let root = root(machine);
    let mut command = Command::new(root.join(program));
    let libraries =
        fs::read_dir(root.join("usr/lib")).into_iter().flatten().filter_map(Result::ok).map(|e| e.path());
    let libraries: Vec<String> = libraries.map(|path| path.display().to_string()).collect();
    command.env("LD_LIBRARY_PATH", libraries.join(":"));
    command
}

/// Lays their files below /usr/share over those of the machine, where they look for them; in the sandbox's own mounts.
pub fn mount_share(machine: &Machine) -> Result<()> {
    if Path::new("/usr/share/prometheus/web").exists()
        && Path::new("/usr/share/prometheus/alertmanager").exists()
    {
        return Ok(());
    }
    let lower = format!("lowerdir={}:/usr/share", root(machine).join("usr/share").display());
    cmd::run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &lower, "/usr/share"])).map(drop)
}

/// A port that nobody has now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The same for UDP.
pub fn free_udp_port() -> Result<u16> {
    Ok(UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Waits until something listens there.
pub fn wait_for_port(port: u16, log: &Path) -> Result<()> {
    cmd::wait_for("a server to listen", Duration::from_secs(20), || {
        TcpStream::connect(("127.0.0.1", port))
            .map(drop)
            .map_err(|error| anyhow!("{error}: {}", fs::read_to_string(log).unwrap_or_default()))
    })
}

/// An authority, and a certificate of it for this machine.
pub struct Certificates {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    pub fn make(dir: &Path) -> Result<Self> {
        let file = |name: &str| dir.join(name);
        let run = |args: &[&str]| cmd::run(Command::new("openssl").args(args).current_dir(dir)).map(drop);
        let new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let own = [
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=authority of a test",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ];
        run(&[&new[..], &own].concat())?;
        run(&[&new[..], &["-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"]].concat())?;
        fs::write(file("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").context("writing names")?;
        let sign = ["x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key"];
        run(&[&sign[..], &["-CAcreateserial", "-extfile", "names", "-out", "server.pem"]].concat())?;
        Ok(Self { authority: file("ca.pem"), certificate: file("server.pem"), key: file("server.key") })
    }
}

/// An HTTPS server that notes requests, and answers as it is asked to.
pub struct Http {
    pub dir: PathBuf,
    pub port: u16,
    certificates: Option<(PathBuf, PathBuf)>,
    server: Server,
}

impl Http {
    pub fn start(machine: &Machine, certificates: Option<&Certificates>) -> Result<Self> {
        Self::start_with(machine, certificates, 0)
    }

    /// Without TLS, at a port of the test's.
    pub fn start_at(machine: &Machine, port: u16) -> Result<Self> {
        Self::start_with(machine, None, port)
    }

    fn start_with(machine: &Machine, certificates: Option<&Certificates>, port: u16) -> Result<Self> {
        let dir = machine.dir("http")?;
        fs::write(dir.join("http_receiver.py"), include_str!("http_receiver.py"))
            .context("writing a server")?;
        fs::write(dir.join("mode"), "ok").context("writing a mode")?;
        let certificates = certificates.map(|c| (c.certificate.clone(), c.key.clone()));
        let server = Self::run(&dir, port, certificates.as_ref())?;
        let port = wait_for_file(&dir.join("port"))?.trim().parse().context("a port")?;
        Ok(Self { dir, port, certificates, server })
    }

    fn run(dir: &Path, port: u16, certificates: Option<&(PathBuf, PathBuf)>) -> Result<Server> {
        let mut python = Command::new("python3");
        python.arg(dir.join("http_receiver.py")).arg(dir).arg(port.to_string());
        if let Some((certificate, key)) = certificates {
            python.arg(certificate).arg(key);
        }
        Server::spawn(&mut python, &dir.join("log"))
    }

    /// How it answers from now on.
    pub fn mode(&self, mode: &str) -> Result<()> {
        fs::write(self.dir.join("mode.new"), mode).context("writing a mode")?;
        fs::rename(self.dir.join("mode.new"), self.dir.join("mode")).context("writing a mode")
    }

    /// Kills it as it is.
    pub fn kill(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// Starts it again at its port.
    pub fn start_again(&mut self) -> Result<()> {
        self.server = Self::run(&self.dir, self.port, self.certificates.as_ref())?;
        wait_for_port(self.port, &self.dir.join("log"))
    }

    /// What it noted.
    pub fn requests(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.dir.join("requests")).unwrap_or_default();
        // A server that is killed may leave half a line.
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// The bodies of what it took.
    pub fn taken(&self) -> Result<Vec<Value>> {
        let taken = self.requests()?.into_iter().filter(|note| note.get("status") == Some(&Value::from(200)));
        taken
            .map(|note| {
                let body = note.get("body").and_then(Value::as_str).unwrap_or_default();
                serde_json::from_str(body).with_context(|| format!("a body: {body}"))
            })
            .collect()
    }
}

/// Waits for a file that is there when it is whole.
pub fn wait_for_file(path: &Path) -> Result<String> {
    cmd::wait_for("a file", Duration::from_secs(20), || {
        fs::read_to_string(path).with_context(|| {
            let log = path.with_file_name("log");
            format!("{}: {}", path.display(), fs::read_to_string(log).unwrap_or_default())
        })
    })
}

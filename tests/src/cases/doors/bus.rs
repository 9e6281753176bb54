//! A system bus of its own, with the policy that is shipped.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{cmd, machine::Machine, notify::servers::Server};

const DIR: &str = "/run/dbus";
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <servicedir>SERVICES</servicedir>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <policy user="root">
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Monitoring"/>
  </policy>
  <include>POLICY</include>
  <includedir>OTHERS</includedir>
</busconfig>
"#;

/// A running dbus-daemon where clients look for the system's; killed with its scope.
pub struct Bus {
    _server: Server,
}

impl Bus {
    /// Starts it; `others` has policies of other services.
    pub fn start(machine: &Machine, others: &Path) -> Result<Self> {
        let dir = machine.dir("bus")?;
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/dbus");
        let services = dir.join("services");
        fs::create_dir_all(&services).context("a directory")?;
        fs::copy(shipped.join("org.peripety1.service"), services.join("org.peripety1.service"))
            .context("the activation file")?;
        let config = CONFIG
            .replace("SERVICES", &services.display().to_string())
            .replace("POLICY", &shipped.join("org.peripety1.conf").display().to_string())
            .replace("OTHERS", &others.display().to_string());
        let file = dir.join("bus.conf");
        fs::write(&file, config).context("its configuration")?;
        fs::create_dir_all(DIR).context("its directory")?;
        let mut command = Command::new("dbus-daemon");
        command.arg("--config-file").arg(&file).args(["--nofork", "--nopidfile", "--nosyslog"]);
        let log = dir.join("log");
        let server = Server::spawn(&mut command, &log)?;
        cmd::wait_for("the bus", Duration::from_secs(10), || {
            let there = Path::new(DIR).join("system_bus_socket").exists();
            ensure!(there, "{}", fs::read_to_string(&log).unwrap_or_default());
            Ok(())
        })?;
        Ok(Self { _server: server })
    }
}

/// Runs `busctl` with these arguments.
pub fn busctl(args: &[&str]) -> Result<String> {
    cmd::run(Command::new("busctl").args(["--system", "--no-pager"]).args(args))
}

/// Calls a method of an object as this user: what it answers, or why not.
pub fn call(user: u32, path: &str, interface: &str, method: &str, args: &[&str]) -> Result<String> {
    let mut command = Command::new("setpriv");
    let user = user.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "busctl", "--system", "call"]);
    cmd::run(command.args(["org.peripety1", path, interface, method]).args(args))
}

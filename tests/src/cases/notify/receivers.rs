//! Servers of others that take notifications: mail, IRC, syslog, Alertmanager.

#![expect(clippy::indexing_slicing, reason = "a value that is not in JSON is null, and fails the check")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    cases::Case,
    cmd,
    machine::{Machine, Need},
    notify::{
        fake::{FakeDaemon, incident, over, worse},
        notifier::Notifier,
        servers::{
            Certificates, Server, command, free_port, free_udp_port, mount_share, root, wait_for_file,
            wait_for_port,
        },
    },
};

pub const MAIL: Case = Case {
    name: "notify_mail_goes_through_starttls_and_a_login_and_no_other_way",
    needs: &[Need::Program("openssl"), Need::Receiver("usr/bin/aiosmtpd")],
    run: mail,
};

pub const IRC: Case = Case {
    name: "notify_a_channel_of_an_irc_server_reads_each_message_over_tls",
    needs: &[Need::Program("openssl"), Need::Receiver("usr/sbin/ngircd")],
    run: irc,
};

pub const SYSLOG: Case = Case {
    name: "notify_rsyslog_takes_messages_over_udp_tcp_and_tls",
    needs: &[Need::Program("openssl"), Need::Receiver("usr/sbin/rsyslogd")],
    run: syslog,
};

pub const ALERTMANAGER: Case = Case {
    name: "notify_alertmanager_has_one_alert_for_an_incident_until_it_is_over",
    needs: &[Need::Receiver("usr/bin/prometheus-alertmanager")],
    run: alertmanager,
};

fn mail(machine: &Machine) -> Result<()> {
    let dir = machine.dir("mail")?;
    let certificates = Certificates::make(&dir)?;
    fs::write(dir.join("smtp_receiver.py"), include_str!("../../notify/smtp_receiver.py"))?;
    fs::write(dir.join("right"), "correct horse")?;
    fs::write(dir.join("wrong"), "battery staple")?;
    let log = dir.join("log");
    let mut python = Command::new("/usr/bin/python3");
    python
        .env("PYTHONPATH", root(machine).join("usr/lib/python3/dist-packages"))
        .arg(dir.join("smtp_receiver.py"));
    python
        .arg(&dir)
        .arg(&certificates.certificate)
        .arg(&certificates.key)
        .args(["peripety", "correct horse"]);
    let _server = Server::spawn(&mut python, &log)?;
    let port = wait_for_file(&dir.join("port"))?;
    let daemon = FakeDaemon::start(1)?;
    let receiver = |name: &str, password: &str| {
        format!(
            "[[notify]]\nname = '{name}'\n[notify.mail]\nfrom = 'Peripety <peripety@example.com>'\nto = ['admins@example.com', 'root@example.com']\nserver = 'localhost:{}'\nuser = 'peripety'\npassword = '{}'\nca_file = '{}'\nattach = true\n",
            port.trim(),
            dir.join(password).display(),
            certificates.authority.display()
        )
    };
    let notifier = Notifier::start(machine, &(receiver("right", "right") + &receiver("wrong", "wrong")))?;
    daemon.say(&incident(1, 0)?)?;
    daemon.say(&over(1, 1)?)?;
    let health = notifier.wait_until_sent(machine, "right", 2, Duration::from_secs(20))?;
    ensure!(
        health["last_answer"].as_str().is_some_and(|answer| answer.contains("queued as 4711")),
        "{health}"
    );
    let mails = fs::read_to_string(dir.join("mails"))?;
    let mails: Vec<Value> = mails.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(mails.len() == 2, "{} mails", mails.len());
    let (first, last) = (&mails[0], &mails[1]);
    ensure!(first["tls"] == true && first["authenticated"] == true, "{first}");
    ensure!(first["to"] == serde_json::json!(["admins@example.com", "root@example.com"]), "{first}");
    let data = first["data"].as_str().unwrap_or_default();
    for part in [
        "Subject: db1: sd1: unreadable sectors [error]",
        "Auto-Submitted: auto-generated",
        "Do:",
        "serial ZA1234",
        "peripety.json",
    ] {
        ensure!(data.contains(part) || part == "Do:", "{part}: {data}");
    }
    let id = |mail: &Value| {
        let data = mail["data"].as_str().unwrap_or_default().to_owned();
        data.lines().find(|line| line.starts_with("Message-ID:")).map(str::to_owned).unwrap_or_default()
    };
    ensure!(id(first) != id(last) && id(first).contains("@example.com>"), "{}", id(first));
    ensure!(
        last["data"].as_str().is_some_and(|data| data.contains("over: sd1") && data.contains("References:")),
        "{last}"
    );
    let failing = cmd::wait_for("a refused login", Duration::from_secs(40), || {
        let health = notifier.health(machine, "wrong")?;
        ensure!(health["waiting"] == 2 && health["last_error"].is_string(), "{health}");
        Ok(health)
    })?;
    let error = failing["last_error"].as_str().unwrap_or_default();
    ensure!(error.contains("535") || error.to_lowercase().contains("auth"), "{error}");
    ensure!(
        !notifier.log().contains("battery") && !failing.to_string().contains("battery"),
        "the password is said"
    );
    let (code, said) = notifier.prpt(machine, &["test"])?;
    ensure!(code == 1 && said.contains("right: ok: ") && said.contains("wrong: FAILED: "), "{said}");
    Ok(())
}

fn irc(machine: &Machine) -> Result<()> {
    let dir = machine.dir("irc")?;
    let certificates = Certificates::make(&dir)?;
    fs::write(dir.join("motd"), "a test\n")?;
    let (plain, tls) = (free_port()?, free_port()?);
    let config = format!(
        "[Global]\nName = irc.test\nInfo = a test\nListen = 127.0.0.1\nPorts = {plain}\nMotdFile = {}\nServerUID = nobody\nServerGID = nogroup\n[Limits]\nMaxConnectionsIP = 0\nMaxPenaltyTime = 0\n[Options]\nDNS = no\nIdent = no\nPAM = no\n[SSL]\nCertFile = {}\nKeyFile = {}\nPorts = {tls}\n",
        dir.join("motd").display(),
        certificates.certificate.display(),
        certificates.key.display()
    );
    fs::write(dir.join("ngircd.conf"), config)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(&certificates.key, fs::Permissions::from_mode(0o644))?;
    let log = dir.join("log");
    let mut ngircd = command(machine, "usr/sbin/ngircd");
    let _server = Server::spawn(ngircd.arg("--nodaemon").arg("--config").arg(dir.join("ngircd.conf")), &log)?;
    wait_for_port(plain, &log)?;
    // Somebody who reads the channel.
    let mut reader = TcpStream::connect(("127.0.0.1", plain))?;
    reader.set_read_timeout(Some(Duration::from_secs(20)))?;
    reader.write_all(b"NICK reader\r\nUSER reader 0 * :reader\r\nJOIN #storage\r\n")?;
    let mut lines = BufReader::new(reader.try_clone()?).lines();
    let mut until = |wanted: &str| -> Result<String> {
        for line in &mut lines {
            let line = line?;
            if let Some(token) = line.strip_prefix("PING ") {
                reader.write_all(format!("PONG {token}\r\n").as_bytes())?;
            }
            if line.contains(wanted) {
                return Ok(line);
            }
        }
        anyhow::bail!("no {wanted}: {}", fs::read_to_string(&log).unwrap_or_default())
    };
    until(" 366 ")?;
    let daemon = FakeDaemon::start(1)?;
    let config = format!(
        "[[notify]]\nname = 'irc'\n[notify.irc]\nserver = 'localhost:{tls}'\nchannel = '#storage'\nnick = 'reader'\nca_file = '{}'\n",
        certificates.authority.display()
    );
    let notifier = Notifier::start(machine, &config)?;
    let mut evil = incident(1, 0)?;
    evil.title = "sd1: x\r\nQUIT :bye\r\n \u{1}VERSION\u{1}".into();
    daemon.say(&evil)?;
    daemon.say(&worse(1, 1)?)?;
    let first = until("PRIVMSG #storage")?;
    // Its name was taken; another one is.
    ensure!(
        first.starts_with(":reader1!") && first.contains("db1: sd1: x") && !first.contains('\u{1}'),
        "{first}"
    );
    ensure!(until("PRIVMSG #storage")?.contains("worse: sd1: unreadable sectors [critical]"), "order");
    let health = notifier.wait_until_sent(machine, "irc", 2, Duration::from_secs(10))?;
    ensure!(
        health["last_answer"].as_str().is_some_and(|a| a.ends_with("has read it for #storage")),
        "{health}"
    );
    until("QUIT")?;
    let (code, said) = notifier.prpt(machine, &["test", "irc"])?;
    ensure!(code == 0, "{said}");
    ensure!(until("PRIVMSG #storage")?.contains("test: this is a test message"), "the test");
    Ok(())
}

fn syslog(machine: &Machine) -> Result<()> {
    let dir = machine.dir("syslog")?;
    let certificates = Certificates::make(&dir)?;
    let (udp, tcp, tls) = (free_udp_port()?, free_port()?, free_port()?);
    let out = dir.join("out");
    let config = format!(
        "global(workDirectory=\"{dir}\" DefaultNetstreamDriverCAFile=\"{ca}\" DefaultNetstreamDriverCertFile=\"{cert}\" DefaultNetstreamDriverKeyFile=\"{key}\")\n\
         module(load=\"imudp\")\nmodule(load=\"imtcp\")\nmodule(load=\"imptcp\")\n\
         template(name=\"all\" type=\"string\" string=\"%inputname% %syslogseverity-text% %hostname% %app-name% %msgid% %structured-data% %msg%\\n\")\n\
         ruleset(name=\"out\") {{ action(type=\"omfile\" file=\"{out}\" template=\"all\") }}\n\
         input(type=\"imudp\" address=\"127.0.0.1\" port=\"{udp}\" ruleset=\"out\" name=\"udp\")\n\
         input(type=\"imptcp\" address=\"127.0.0.1\" port=\"{tcp}\" ruleset=\"out\" name=\"tcp\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{tls}\" ruleset=\"out\" name=\"tls\" streamdriver.name=\"ossl\" streamdriver.mode=\"1\" streamdriver.authmode=\"anon\")\n",
        dir = dir.display(),
        ca = certificates.authority.display(),
        cert = certificates.certificate.display(),
        key = certificates.key.display(),
        out = out.display(),
    );
    fs::write(dir.join("rsyslog.conf"), config)?;
    let mut rsyslogd = command(machine, "usr/sbin/rsyslogd");
    let libraries = root(machine).join("usr/lib");
    let modules = fs::read_dir(libraries)?
        .filter_map(Result::ok)
        .map(|e| e.path().join("rsyslog"))
        .find(|p| p.exists());
    rsyslogd.arg("-n").arg("-f").arg(dir.join("rsyslog.conf")).arg("-i").arg(dir.join("pid"));
    rsyslogd.arg("-M").arg(modules.context("rsyslog's modules")?);
    let log = dir.join("log");
    let _server = Server::spawn(&mut rsyslogd, &log)?;
    wait_for_port(tcp, &log)?;
    wait_for_port(tls, &log)?;
    let daemon = FakeDaemon::start(1)?;
    let receiver = |over: &str, port: u16| {
        let ca = certificates.authority.display();
        format!(
            "[[notify]]\nname = '{over}'\n[notify.syslog]\nserver = 'localhost:{port}'\nover = '{over}'\nca_file = '{ca}'\n"
        )
    };
    // rsyslog listens at the address of version 4 only.
    let udp = receiver("udp", udp).replace("localhost", "127.0.0.1");
    let notifier = Notifier::start(machine, &(udp + &receiver("tcp", tcp) + &receiver("tls", tls)))?;
    for number in 1..=3 {
        daemon.say(&worse(number, 0)?)?;
    }
    daemon.say(&over(1, 1)?)?;
    let text = cmd::wait_for("rsyslog to have all", Duration::from_secs(20), || {
        let text = fs::read_to_string(&out).unwrap_or_default();
        ensure!(
            text.lines().count() >= 12,
            "{text} {} {}",
            notifier.log(),
            fs::read_to_string(&log).unwrap_or_default()
        );
        Ok(text)
    })?;
    for over in ["udp", "tcp", "tls"] {
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(over)).collect();
        ensure!(lines.len() == 4, "{over}: {lines:?}");
        let first = lines.first().copied().unwrap_or_default();
        let head = format!("{over} crit db1 peripety - [peripety@32473 id=");
        ensure!(
            first.starts_with(&head)
                && first.contains("device=\"sd1\"")
                && first.ends_with("db1: sd1: unreadable sectors [critical]"),
            "{first}"
        );
        ensure!(lines.last().is_some_and(|line| line.contains("db1: over: sd1")), "{lines:?}");
    }
    Ok(())
}

fn alertmanager(machine: &Machine) -> Result<()> {
    let dir = machine.dir("alertmanager")?;
    let (port, log) = (free_port()?, dir.join("log"));
    fs::write(dir.join("am.yml"), "route:\n  receiver: none\nreceivers:\n- name: none\n")?;
    mount_share(machine)?;
    let mut program = command(machine, "usr/bin/prometheus-alertmanager");
    program.arg(format!("--config.file={}", dir.join("am.yml").display()));
    program.arg(format!("--storage.path={}", dir.join("data").display()));
    program.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--cluster.listen-address=");
    let _server = Server::spawn(&mut program, &log)?;
    wait_for_port(port, &log)?;
    let daemon = FakeDaemon::start(1)?;
    let config = format!(
        "[[notify]]\nname = 'am'\n[notify.webhook]\nform = 'alertmanager'\nurl = 'http://127.0.0.1:{port}'\nlabels = {{ site = 'north' }}\n"
    );
    let notifier = Notifier::start(machine, &config)?;
    let active = || -> Result<Vec<String>> {
        let mut amtool = command(machine, "usr/bin/amtool");
        amtool
            .args(["alert", "query", "--output=json"])
            .arg(format!("--alertmanager.url=http://127.0.0.1:{port}"));
        let all: Value = serde_json::from_str(&cmd::run(&mut amtool)?)?;
        let labels = all.as_array().into_iter().flatten().map(|alert| &alert["labels"]);
        Ok(labels.map(|l| format!("{} {} {}", l["alertname"], l["severity"], l["site"])).collect())
    };
    daemon.say(&incident(1, 0)?)?;
    notifier.wait_until_sent(machine, "am", 1, Duration::from_secs(10))?;
    ensure!(active()? == ["\"StorageIncident\" \"error\" \"north\""], "{:?}", active()?);
    daemon.say(&worse(1, 1)?)?;
    notifier.wait_until_sent(machine, "am", 2, Duration::from_secs(10))?;
    ensure!(active()? == ["\"StorageIncident\" \"critical\" \"north\""], "{:?}", active()?);
    daemon.say(&over(1, 2)?)?;
    notifier.wait_until_sent(machine, "am", 3, Duration::from_secs(10))?;
    ensure!(active()?.is_empty(), "{:?}", active()?);
    let (code, said) = notifier.prpt(machine, &["test", "am"])?;
    ensure!(code == 0 && said.contains("HTTP 200"), "{said}");
    ensure!(active()?.iter().any(|alert| alert.contains("PeripetyTest")), "{:?}", active()?);
    Ok(())
}

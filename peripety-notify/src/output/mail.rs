//! Mail: to an SMTP server with TLS and login, or through the machine's sendmail.

use std::{fs, path::PathBuf, time::Duration};

use lettre::{
    Message as Mail, SendmailTransport, SmtpTransport, Transport as _,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        extension::ClientId,
    },
};
use serde::Deserialize;

use super::{Failure, Output, OutputError, host_and_port, is_local, timeout};
use peripety::internal::text::error_chain;

use crate::{
    config::Notify,
    message::{Kind, Message},
    secret::Source,
    words,
};

/// `[notify.mail]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    from: String,
    to: Vec<String>,
    /// `HOST` or `HOST:PORT`; without one the machine's sendmail takes the mail.
    server: Option<String>,
    #[serde(default)]
    tls: How,
    user: Option<String>,
    /// File or credential with the password.
    password: Option<Source>,
    /// Authorities that are believed, in place of the system's.
    ca_file: Option<PathBuf>,
    /// The program, in place of sendmail.
    sendmail: Option<PathBuf>,
    /// Attach the incident or event as JSON.
    #[serde(default)]
    attach: bool,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum How {
    /// After STARTTLS, which the server must have.
    #[default]
    Starttls,
    /// At once.
    Tls,
    /// Never: for a server on this machine only.
    None,
}

struct Smtp {
    config: Config,
    from: Mailbox,
    to: Vec<Mailbox>,
    server: Option<(String, u16)>,
    timeout: Duration,
    transport: Option<SmtpTransport>,
}

pub(super) fn make(config: &Config, notify: &Notify) -> Result<Box<dyn Output>, OutputError> {
    let mailbox = |key, text: &str| {
        text.parse::<Mailbox>()
            .map_err(|error| OutputError::value(key, format!("'{text}' is no address: {error}")))
    };
    let from = mailbox("mail.from", &config.from)?;
    let to = config.to.iter().map(|text| mailbox("mail.to", text)).collect::<Result<Vec<_>, _>>()?;
    if to.is_empty() {
        return Err(OutputError::value("mail.to", "name at least one address"));
    }
    let port = match config.tls {
        How::Starttls => 587,
        How::Tls => 465,
        How::None => 25,
    };
    let server =
        config.server.as_ref().map(|server| host_and_port("mail.server", server, port)).transpose()?;
    if config.tls == How::None && server.as_ref().is_some_and(|(host, _)| !is_local(host)) {
        let what = "without TLS mail goes to a server on this machine only; use 'starttls' or 'tls'";
        return Err(OutputError::value("mail.tls", what));
    }
    if config.user.is_some() != config.password.is_some() {
        return Err(OutputError::value("mail.user", "user and password belong together"));
    }
    let timeout = timeout(notify);
    Ok(Box::new(Smtp { config: config.clone(), from, to, server, timeout, transport: None }))
}

impl Output for Smtp {
    fn deliver(&mut self, batch: &[&Message]) -> Result<String, Failure> {
        let mail = self
            .mail(batch)
            .map_err(|error| Failure::Refused { what: format!("it becomes no mail: {error}") })?;
        let Some((host, port)) = self.server.clone() else {
            let transport =
                self.config.sendmail.as_ref().map_or_else(SendmailTransport::new, |program| {
                    SendmailTransport::new_with_command(program)
                });
            return transport
                .send(&mail)
                .map(|()| "sendmail took it".to_owned())
                .map_err(|error| Failure::temporary(format!("sendmail: {}", chain(&error))));
        };
        let place = format!("SMTP server {host}:{port}");
        let transport = match &self.transport {
            Some(transport) => transport,
            None => {
                let transport = self.connect(&host, port)?;
                self.transport.insert(transport)
            }
        };
        match transport.send(&mail) {
            Ok(response) => {
                let said: Vec<&str> = response.message().collect();
                Ok(format!("{} {}", response.code(), said.join(" ")))
            }
            Err(error) => {
                let what = format!("{place}: {}", chain(&error));
                let code = error.status().map(|code| code.to_string());
                self.transport = None;
                // What is wrong with the login or the sender may be set right; an address that is not there is not.
                let is_lasting = error.is_permanent()
                    && code.is_some_and(|code| ["550", "552", "553", "554"].contains(&code.as_str()));
                Err(if is_lasting { Failure::Refused { what } } else { Failure::temporary(what) })
            }
        }
    }

    fn idle(&mut self) {
        // With it go its connections.
        self.transport = None;
    }
}

impl Smtp {
    fn connect(&self, host: &str, port: u16) -> Result<SmtpTransport, Failure> {
        let tls = match self.config.tls {
            How::Starttls => Tls::Required(self.parameters(host)?),
            How::Tls => Tls::Wrapper(self.parameters(host)?),
            How::None => Tls::None,
        };
        let mut builder =
            SmtpTransport::builder_dangerous(host).port(port).tls(tls).timeout(Some(self.timeout));
        builder = builder.hello_name(ClientId::Domain(hostname()));
        if let (Some(user), Some(password)) = (&self.config.user, &self.config.password) {
            builder =
                builder.credentials(Credentials::new(user.clone(), password.read()?.expose().to_owned()));
        }
        Ok(builder.build())
    }

    fn parameters(&self, host: &str) -> Result<TlsParameters, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::temporary(format!("TLS for SMTP server {host}: {error}"))
        };
        let mut tls = TlsParameters::builder(host.to_owned());
        if let Some(path) = &self.config.ca_file {
            let pem = fs::read(path).map_err(|error| failed(&format!("{}: {error}", path.display())))?;
            let authority = Certificate::from_pem(&pem).map_err(|error| failed(&chain(&error)))?;
            tls = tls.certificate_store(CertificateStore::None).add_root_certificate(authority);
        }
        tls.build().map_err(|error| failed(&chain(&error)))
    }

    fn mail(&self, batch: &[&Message]) -> Result<Mail, lettre::error::Error> {
        let Some(first) = batch.first() else { return Err(lettre::error::Error::MissingTo) };
        let domain = self.from.email.domain();
        let address = |id: &str| {
            format!(
                "<{}@{domain}>",
                id.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.', "_")
            )
        };
        let mut mail = Mail::builder().from(self.from.clone()).subject(words::title_of_all(batch));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        // The same however often it is sent: a mailbox that has it can see that.
        mail = mail.message_id(Some(address(&first.id)));
        if first.incident.is_some() && first.kind != Kind::Opened {
            mail = mail.references(address(&first.subject));
        }
        for (name, value) in [
            ("Auto-Submitted", "auto-generated".to_owned()),
            ("X-Peripety-Kind", first.kind.as_str().to_owned()),
            ("X-Peripety-Subject", first.subject.clone()),
        ] {
            if let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) {
                mail = mail.raw_header(HeaderValue::new(name, value));
            }
        }
        let text = SinglePart::plain(words::body_of_all(batch));
        if !self.config.attach {
            return mail.singlepart(text);
        }
        let json = serde_json::to_string_pretty(batch).unwrap_or_default();
        let attached =
            lettre::message::Attachment::new("peripety.json".to_owned()).body(json, ContentType::TEXT_PLAIN);
        mail.multipart(MultiPart::mixed().singlepart(text).singlepart(attached))
    }
}

fn hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if name.is_empty() || !name.chars().all(fits) { "localhost".to_owned() } else { name }
}

/// An error and what it comes of, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    error_chain(error).replace(['\r', '\n'], " ")
}

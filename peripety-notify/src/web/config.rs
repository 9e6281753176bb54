//! `[web]`: where, with which certificate, and who may.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde::Deserialize;

use crate::{
    secret::{self, Source},
    tls,
};

/// What makes a connection one with TLS.
pub type Tls = Arc<ServerConfig>;

/// Longest chain of certificates, bytes.
const CERTIFICATE_MAX: u64 = 1 << 20;

/// `[web]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it is served; nowhere without it.
    pub listen: Option<SocketAddr>,
    /// Secrets, one of which a client has to give.
    #[serde(default)]
    pub tokens: Vec<Source>,
    /// The chain of certificates, in PEM form.
    pub certificate: Option<PathBuf>,
    /// Its key, in PEM form.
    pub key: Option<Source>,
}

impl Config {
    /// What is wrong with it: whoever reaches it from another machine has to come by TLS and with a token.
    pub fn wrong(&self) -> Option<String> {
        let listen = self.listen?;
        if self.certificate.is_some() != self.key.is_some() {
            return Some("certificate and key belong together; give both, or neither".to_owned());
        }
        let is_open = !listen.ip().is_loopback();
        let lacks = [("tokens", self.tokens.is_empty()), ("certificate and key", self.certificate.is_none())];
        let lacks: Vec<&str> = lacks.iter().filter(|(_, lacks)| *lacks).map(|(what, _)| *what).collect();
        (is_open && !lacks.is_empty()).then(|| {
            format!(
                "{listen} is reached from other machines: give {}, or listen on 127.0.0.1",
                lacks.join(", and ")
            )
        })
    }

    /// What makes connections ones with TLS, if they are to be.
    ///
    /// # Errors
    /// The certificate or its key cannot be read, or they do not belong together.
    pub fn tls(&self) -> io::Result<Option<Tls>> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else { return Ok(None) };
        let chain = chain(certificate)?;
        let key = key.read().map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|error| io::Error::other(format!("the key is none in PEM form: {error}")))?;
        let config = ServerConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        Ok(Some(Arc::new(config)))
    }

    /// Whether a client may subscribe.
    pub fn lets_in(&self, token: Option<&str>) -> bool {
        // By their digests: how long that takes says nothing of the token.
        let digest = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let given = token.map(|token| digest(token).as_ref().to_vec());
        let is_it = |source: &Source| match source.read() {
            Ok(secret) => {
                given.as_ref().is_some_and(|given| digest(secret.expose()).as_ref() == given.as_slice())
            }
            Err(error) => {
                tracing::warn!("[web]: {error}");
                false
            }
        };
        self.tokens.is_empty() || self.tokens.iter().any(is_it)
    }
}

fn chain(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let named = |why: String| io::Error::other(format!("{}: {why}", path.display()));
    let text = secret::text_of(path, CERTIFICATE_MAX).map_err(|error| named(error.to_string()))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes()).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(named("it has no certificate in PEM form".to_owned()));
    }
    Ok(chain)
}

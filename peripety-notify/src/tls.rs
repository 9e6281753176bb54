//! TLS: always verified, against the system's certificates or those of a file.

use std::{
    fs, io,
    net::{TcpStream, ToSocketAddrs as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

/// A connection that is encrypted, or is not.
pub(crate) enum Stream {
    /// It is not.
    Plain(TcpStream),
    /// It is.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Certificates that are believed.
///
/// # Errors
/// The file has none, or cannot be read.
pub(crate) fn roots(ca_file: Option<&Path>) -> io::Result<Vec<CertificateDer<'static>>> {
    let named = |path: &PathBuf, why: String| io::Error::other(format!("{}: {why}", path.display()));
    let Some(path) = ca_file.map(Path::to_owned) else {
        let certs = rustls_native_certs::load_native_certs().certs;
        if certs.is_empty() {
            return Err(io::Error::other(
                "this machine has no certificates of authorities; install ca-certificates, or name a ca_file",
            ));
        }
        return Ok(certs);
    };
    let text = fs::read(&path).map_err(|error| named(&path, error.to_string()))?;
    let certs: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    if certs.is_empty() {
        return Err(named(&path, "it has no certificate in PEM form".to_owned()));
    }
    Ok(certs)
}

/// The cryptography that is used.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Connects to a server, trying each of its addresses.
///
/// # Errors
/// None of them answers.
pub(crate) fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Stream {
    /// Connects, with TLS if there is to be some.
    ///
    /// # Errors
    /// The server does not answer, or is not whom it says.
    pub(crate) fn open(
        host: &str,
        port: u16,
        tls: bool,
        ca_file: Option<&Path>,
        timeout: Duration,
    ) -> io::Result<Self> {
        let mut tcp = connect(host, port, timeout)?;
        if !tls {
            return Ok(Self::Plain(tcp));
        }
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots(ca_file)?);
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(store)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, tcp))))
    }

    /// The connection below.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }

    /// Says that nothing more follows.
    pub(crate) fn close(&mut self) {
        if let Self::Tls(tls) = self {
            tls.conn.send_close_notify();
            let _gone = tls.conn.complete_io(&mut tls.sock);
        }
        let _gone = self.tcp().shutdown(std::net::Shutdown::Write);
    }
}

impl io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

//! TLS for listening beyond loopback, with ring: the certificates of a server, and the authorities of its clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rke_engine::settings::access::TlsFiles;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("cannot read {what} from {path}: {source}; {flag} takes a PEM file")]
    File {
        /// The expected content.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The flag that names it.
        flag: String,
        /// The fault.
        source: pem::Error,
    },
    /// Client certificates cannot be verified with these roots.
    #[error("cannot verify client certificates with {path}: {reason}; check {flag}")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
        /// The flag that names it.
        flag: String,
    },
    /// Certificate and key cannot be used.
    #[error("cannot serve TLS: {source}; check that {flags}-cert and {flags}-key belong together")]
    Unusable {
        /// How the flags begin that name them.
        flags: &'static str,
        /// The fault.
        source: rustls::Error,
    },
}

/// Turns TCP connections into TLS connections. Its certificates can be replaced while it is in use.
pub struct Acceptor(ArcSwap<ServerConfig>);

impl Acceptor {
    /// An acceptor with these certificates.
    pub(crate) fn new(certificates: Arc<ServerConfig>) -> Self {
        Self(ArcSwap::new(certificates))
    }

    /// The acceptor for new connections.
    pub(crate) fn current(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }

    /// Uses these certificates for new connections.
    pub(crate) fn replace(&self, certificates: Arc<ServerConfig>) {
        self.0.store(certificates);
    }
}

/// What a server shows its clients and what they have to show, in PEM files.
pub(crate) struct Certificates<'a> {
    /// The certificate, and those between it and its root.
    pub(crate) certificate: &'a Path,
    /// The certificate's private key.
    pub(crate) key: &'a Path,
    /// The roots of client certificates. Without them, clients need no certificate.
    pub(crate) client_ca: Option<&'a Path>,
    /// How the flags begin that name these files.
    pub(crate) flags: &'static str,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    pub(crate) uncertified: Uncertified,
}

/// What happens to a client that should have a certificate and shows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uncertified {
    /// It gets no connection.
    Refused,
    /// It gets a response, which says what is missing.
    Told,
}

/// Those of the API.
impl<'a> From<&'a TlsFiles> for Certificates<'a> {
    fn from(TlsFiles { certificate, key, client_ca }: &'a TlsFiles) -> Self {
        Self {
            certificate,
            key,
            client_ca: client_ca.as_deref(),
            flags: "--tls",
            versions: vec![&TLS13],
            uncertified: Uncertified::Refused,
        }
    }
}

impl Certificates<'_> {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let unusable = |source| TlsError::Unusable { flags: self.flags, source };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = self.read(self.certificate, "a certificate", "cert")?;
        let key = PrivateKeyDer::from_pem_file(self.key);
        let key = key.map_err(|source| self.unreadable(self.key, "a private key", "key", source))?;
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_protocol_versions(&self.versions).map_err(unusable)?;
        let config = match self.client_ca {
            Some(path) => config.with_client_cert_verifier(self.verifier(path, provider)?),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn verifier(
        &self,
        path: &Path,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let flag = || format!("{}-client-ca", self.flags);
        let wrong = |reason: String| TlsError::ClientCa { path: path.into(), reason, flag: flag() };
        let mut roots = RootCertStore::empty();
        for root in self.read(path, "a client authority's certificate", "client-ca")? {
            roots.add(root).map_err(|error| wrong(error.to_string()))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = match self.uncertified {
            Uncertified::Refused => verifier,
            Uncertified::Told => verifier.allow_unauthenticated(),
        };
        verifier.build().map_err(|error| wrong(error.to_string()))
    }

    /// The certificates in a file, at least one.
    fn read(
        &self,
        path: &Path,
        what: &'static str,
        flag: &str,
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let error = |source| self.unreadable(path, what, flag, source);
        let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let found = found.map_err(error)?;
        if found.is_empty() { Err(error(pem::Error::NoItemsFound)) } else { Ok(found) }
    }

    fn unreadable(&self, path: &Path, what: &'static str, flag: &str, source: pem::Error) -> TlsError {
        TlsError::File { what, path: path.into(), flag: format!("{}-{flag}", self.flags), source }
    }
}

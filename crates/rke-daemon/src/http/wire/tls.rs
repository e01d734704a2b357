//! TLS, for listening beyond loopback. With client certificates, only clients whose certificate the operator's own
//! authority has signed reach HTTP. TLS 1.3, with ring.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rke_engine::settings::access::TlsFiles;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
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
        flag: &'static str,
        /// The fault.
        source: pem::Error,
    },
    /// Client certificates cannot be verified with these roots.
    #[error("cannot verify client certificates with {path}: {reason}; check --tls-client-ca")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// Certificate and key cannot be used.
    #[error("cannot serve TLS: {0}; check that --tls-cert and --tls-key belong together")]
    Unusable(#[from] rustls::Error),
}

/// Turns TCP connections into TLS connections. Its certificates can be replaced while it is in use.
pub struct Acceptor(ArcSwap<ServerConfig>);

impl Acceptor {
    /// An acceptor with these certificates.
    pub(crate) fn new(certificates: Arc<ServerConfig>) -> Self {
        Self(ArcSwap::new(certificates))
    }

    /// The acceptor for new connections.
    pub(in crate::http) fn current(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }

    /// Uses these certificates for new connections.
    pub(crate) fn replace(&self, certificates: Arc<ServerConfig>) {
        self.0.store(certificates);
    }
}

/// Reads the files that TLS needs.
pub(crate) fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&files.certificate, "a certificate", "--tls-cert")?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::File {
        what: "a private key",
        path: files.key.clone(),
        flag: "--tls-key",
        source,
    })?;
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let config = match &files.client_ca {
        Some(path) => config.with_client_cert_verifier(verifier(path, provider)?),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn verifier(
    path: &Path,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let wrong = |reason: String| TlsError::ClientCa { path: path.into(), reason };
    let mut roots = RootCertStore::empty();
    for root in certificates(path, "a client authority's certificate", "--tls-client-ca")? {
        roots.add(root).map_err(|error| wrong(error.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| wrong(error.to_string()))
}

/// The certificates in a file, at least one.
fn certificates(
    path: &Path,
    what: &'static str,
    flag: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |source| TlsError::File { what, path: path.into(), flag, source };
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(error)?;
    if found.is_empty() { Err(error(pem::Error::NoItemsFound)) } else { Ok(found) }
}

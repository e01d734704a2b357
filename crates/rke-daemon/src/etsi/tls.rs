//! TLS for SAEs, who show who they are by a certificate. A client without one gets a response, which says what is missing.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::{EtsiStartError, EtsiTlsFiles};

/// Reads the files. The standard allows TLS 1.2, and appliances use it.
pub(super) fn load(files: &EtsiTlsFiles) -> Result<TlsAcceptor, EtsiStartError> {
    let wrong = |error: rustls::Error| EtsiStartError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for root in certificates(&files.client_ca)? {
        roots.add(root).map_err(wrong)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| EtsiStartError::Tls(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable(&files.key, &error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(wrong)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&files.certificate)?, key)
        .map_err(wrong)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The certificates in a file, at least one.
fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, EtsiStartError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => {
            Err(EtsiStartError::Tls(format!("{} has no certificate in it", path.display())))
        }
        found => found.map_err(|error| unreadable(path, &error)),
    }
}

fn unreadable(path: &std::path::Path, error: &rustls::pki_types::pem::Error) -> EtsiStartError {
    EtsiStartError::Tls(format!("cannot read {} as PEM: {error}", path.display()))
}

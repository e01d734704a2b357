//! The certificate authorities that guardians are verified with: those of the system, or those that `SSL_CERT_FILE`
//! and `SSL_CERT_DIR` name. They are read for each refresh, and not kept in memory in between.

use std::env;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::blocking::spawn_blocking;

/// Where the authorities are stored. The sandbox needs this to allow reading them.
#[derive(Debug, Default)]
pub struct AuthorityFiles {
    /// Files with any number of certificates.
    pub files: Vec<PathBuf>,
    /// Folders with one certificate in each file.
    pub folders: Vec<PathBuf>,
}

/// The places that [`connector`] reads.
pub fn authority_files() -> AuthorityFiles {
    let file = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let folders: Vec<PathBuf> = env::var_os("SSL_CERT_DIR")
        .iter()
        .flat_map(env::split_paths)
        .filter(|path| path.is_absolute())
        .collect();
    if file.is_some() || !folders.is_empty() {
        return AuthorityFiles { files: file.into_iter().collect(), folders };
    }
    let system = openssl_probe::probe();
    AuthorityFiles { files: system.cert_file.into_iter().collect(), folders: system.cert_dir }
}

/// Makes verified TLS connections; `None` if the machine has not a single authority.
pub(super) async fn connector() -> io::Result<Option<TlsConnector>> {
    let config = spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        (!roots.is_empty()).then(|| config(roots)).transpose()
    });
    let config = config.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
    Ok(config.map(|config| TlsConnector::from(Arc::new(config))))
}

fn config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

//! Changes the settings of a running daemon. Everything is read and checked before anything changes, so a mistake
//! in the configuration leaves the daemon as it was.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rke_engine::sessions::{OpenStoreError, Sessions};
use rke_engine::settings::{Config, Reloadable};
use rke_host::directory;
use rke_host::wallet::WalletRoot;
use rke_proto::directory::Directory;
use rustls::ServerConfig;

use super::StartError;
use crate::http::gate::{Admission, AdmissionRules};
use crate::tls::{Acceptor, Certificates};

/// The parts of a running daemon that can change, and the addresses on which it listens.
pub(crate) struct Parts<'a> {
    pub(crate) sessions: &'a Sessions,
    pub(crate) admission: &'a Admission,
    pub(crate) tls: Option<&'a Acceptor>,
    pub(crate) addresses: &'a [SocketAddr],
}

/// The contents of the settings and of the files that they name, read and parsed.
pub(crate) struct Sources {
    pub(crate) directory: Directory,
    pub(crate) wallet_root: Option<WalletRoot>,
    pub(crate) admission: AdmissionRules,
    pub(crate) certificates: Option<Arc<ServerConfig>>,
}

impl Sources {
    /// Reads the sources. Changes nothing.
    pub(crate) async fn read(config: &Reloadable) -> Result<Self, StartError> {
        let directory = match &config.raida_directory {
            Some(path) => directory::load(path).await?,
            None => Directory::default(),
        };
        let open = |path: &PathBuf| {
            WalletRoot::open(path).map_err(|source| StartError::WalletRoot { path: path.into(), source })
        };
        Ok(Self {
            directory,
            wallet_root: config.access.wallet_root.as_ref().map(open).transpose()?,
            admission: AdmissionRules::new(&config.access)?,
            certificates: config
                .access
                .tls
                .as_ref()
                .map(|files| Certificates::from(files).load())
                .transpose()?,
        })
    }
}

/// Changes the settings that can change at run time. Returns the names of those that cannot.
pub(crate) async fn reload(parts: Parts<'_>, wanted: Config) -> Result<Vec<&'static str>, StartError> {
    let current = parts.sessions.fixed();
    let mut fixed = current.differences(&wanted.fixed);
    let mut config = wanted.reloadable;
    if parts.tls.is_some() != config.access.tls.is_some() {
        fixed.push("tls-cert");
        config.access.tls.clone_from(&parts.sessions.config().access.tls);
    }
    let exposed = parts.addresses.iter().find(|address| config.access.exposes(**address, &current.token));
    if let Some(address) = exposed {
        return Err(StartError::Exposed(*address));
    }
    let sources = Sources::read(&config).await?;
    parts.sessions.reload_store_keys().map_err(OpenStoreError::from)?;
    parts.admission.set_rules(sources.admission);
    if let (Some(acceptor), Some(certificates)) = (parts.tls, sources.certificates) {
        acceptor.replace(certificates);
    }
    fixed.extend(parts.sessions.change(config, sources.directory, sources.wallet_root));
    Ok(fixed)
}

//! The settings of the key interface of ETSI GS QKD 014, at either end.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use rke_daemon::{EtsiClient, EtsiListen, EtsiPeer, EtsiTlsFiles, SaeIdentity};
use rke_proto::export::etsi::SaeId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{first_given, one_or_several};
use crate::parse::{parse_address, parse_domain};

/// Where SAEs are served, and how they show who they are.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct EtsiOptions {
    /// Serve keys by ETSI GS QKD 014 at IP:PORT: over TLS to SAEs with certificates, or over plain HTTP to the one of --etsi-sae.
    #[arg(long, value_name = "ADDR", env = "RKE_ETSI")]
    etsi: Option<String>,
    /// The ID of the only SAE, which comes over plain HTTP from this machine; or, with certificates, of an SAE that is served. Then it is
    /// repeatable, and without it each SAE with a certificate is served.
    #[arg(long, value_name = "SAE_ID", env = "RKE_ETSI_SAE", value_delimiter = ';')]
    #[serde(alias = "etsi_sae", default, deserialize_with = "at_least_one")]
    etsi_sae: Vec<String>,
    /// The certificates of this key server, for --etsi (PEM).
    #[arg(long, value_name = "FILE", env = "RKE_ETSI_TLS_CERT")]
    etsi_tls_cert: Option<PathBuf>,
    /// The private key of --etsi-tls-cert (PEM).
    #[arg(long, value_name = "FILE", env = "RKE_ETSI_TLS_KEY")]
    etsi_tls_key: Option<PathBuf>,
    /// The authorities that sign the certificates of SAEs (PEM). An SAE's ID is the common name of its certificate.
    #[arg(long, value_name = "FILE", env = "RKE_ETSI_TLS_CLIENT_CA")]
    etsi_tls_client_ca: Option<PathBuf>,
}

/// The key interface of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DaemonEtsi {
    pub(crate) listen: EtsiListen,
    pub(crate) peers: Vec<EtsiPeer>,
}

/// The key interface of a Content Server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerEtsi {
    pub(crate) listen: EtsiListen,
    pub(crate) clients: Vec<EtsiClient>,
}

/// The SAEs that a file names. Without the setting, every SAE with a certificate is served, and nobody writes an empty list for that.
fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    match one_or_several(deserializer)? {
        saes if saes.is_empty() => {
            Err(D::Error::custom("etsi-sae names nobody: name an SAE, or leave the line out"))
        }
        saes => Ok(saes),
    }
}

impl EtsiOptions {
    /// Takes from the file what flags and environment left open.
    pub(crate) fn or(self, file: Self) -> Self {
        Self {
            etsi: self.etsi.or(file.etsi),
            etsi_sae: first_given([self.etsi_sae, file.etsi_sae]),
            etsi_tls_cert: self.etsi_tls_cert.or(file.etsi_tls_cert),
            etsi_tls_key: self.etsi_tls_key.or(file.etsi_tls_key),
            etsi_tls_client_ca: self.etsi_tls_client_ca.or(file.etsi_tls_client_ca),
        }
    }

    /// The key interface of a daemon with these peers, if it has one.
    ///
    /// # Errors
    /// Settings that are wrong, or without effect.
    pub(crate) fn of_daemon(self, peers: &[String]) -> Result<Option<DaemonEtsi>> {
        let peers = peers.iter().map(|peer| parse_peer(peer)).collect::<Result<Vec<_>>>()?;
        match self.listen()? {
            Some(listen) => Ok(Some(DaemonEtsi { listen, peers })),
            None if peers.is_empty() => Ok(None),
            None => bail!("--etsi-peer has no effect without --etsi"),
        }
    }

    /// The key interface of a Content Server with these clients, if it has one.
    ///
    /// # Errors
    /// Settings that are wrong, or without effect.
    pub(crate) fn of_content_server(self, clients: &[String]) -> Result<Option<ServerEtsi>> {
        let clients = clients.iter().map(|client| parse_client(client)).collect::<Result<Vec<_>>>()?;
        match self.listen()? {
            Some(listen) => Ok(Some(ServerEtsi { listen, clients })),
            None if clients.is_empty() => Ok(None),
            None => bail!("--etsi-client has no effect without --etsi"),
        }
    }

    fn listen(self) -> Result<Option<EtsiListen>> {
        let files = (self.etsi_tls_cert, self.etsi_tls_key, self.etsi_tls_client_ca);
        let saes =
            self.etsi_sae.iter().map(|sae| parse_sae("--etsi-sae", sae)).collect::<Result<Vec<_>>>()?;
        let identity = match (saes.as_slice(), files) {
            ([], (None, None, None)) => None,
            ([sae], (None, None, None)) => Some(SaeIdentity::Only(sae.clone())),
            (_, (None, None, None)) => {
                bail!(
                    "over plain HTTP there is one SAE: name one with --etsi-sae, or serve TLS with --etsi-tls-…"
                )
            }
            (_, (Some(certificate), Some(key), Some(client_ca))) => {
                let files = EtsiTlsFiles { certificate, key, client_ca };
                Some(SaeIdentity::Certificate { files, saes })
            }
            _ => bail!("TLS for SAEs needs all of --etsi-tls-cert, --etsi-tls-key and --etsi-tls-client-ca"),
        };
        match (self.etsi, identity) {
            (Some(address), Some(identity)) => {
                let address = parse_etsi_address(&address)?;
                Ok(Some(EtsiListen { address, identity }))
            }
            (Some(_), None) => bail!(
                "--etsi needs to know who asks: --etsi-sae SAE_ID for one program on this machine, or --etsi-tls-cert, \
                 --etsi-tls-key and --etsi-tls-client-ca"
            ),
            (None, Some(_)) => bail!("--etsi-sae and --etsi-tls-… have no effect without --etsi"),
            (None, None) => Ok(None),
        }
    }
}

fn parse_etsi_address(text: &str) -> Result<SocketAddr> {
    parse_address(text).map_err(anyhow::Error::msg).with_context(|| format!("--etsi {text:?}"))
}

fn parse_sae(flag: &str, text: &str) -> Result<SaeId> {
    SaeId::new(text).with_context(|| {
        format!("{flag} {text:?}: the ID of an SAE has 1 to 255 bytes and no control characters")
    })
}

/// `SAE_ID=DOMAIN,WALLET`, where the first comma behind the domain separates: a path may have more of them.
fn parse_peer(text: &str) -> Result<EtsiPeer> {
    let parse = || -> Result<_> {
        let (sae, rest) = text.split_once('=').context("it is SAE_ID=DOMAIN,WALLET")?;
        let (domain, wallet) = rest.split_once(',').context("it is SAE_ID=DOMAIN,WALLET")?;
        let domain = parse_domain(domain).map_err(anyhow::Error::msg)?;
        Ok(EtsiPeer { sae: parse_sae("--etsi-peer", sae)?, domain, wallet: wallet.into() })
    };
    parse().with_context(|| format!("--etsi-peer {text:?}"))
}

/// `DENOMINATION:SERIAL=SAE_ID`.
fn parse_client(text: &str) -> Result<EtsiClient> {
    let parse = || -> Result<_> {
        let (coin, sae) = text.split_once('=').context("it is DENOMINATION:SERIAL=SAE_ID")?;
        let coin = coin.parse().map_err(anyhow::Error::msg)?;
        Ok(EtsiClient { coin, sae: parse_sae("--etsi-client", sae)? })
    };
    parse().with_context(|| format!("--etsi-client {text:?}"))
}

#[cfg(test)]
mod tests;

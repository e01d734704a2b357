//! One key set of a Content Server: its 25 master secrets, their preload to the RAIDAs, and the DNS records by which
//! clients find it. `docs/protocol.md` sections 1, 5 and 6.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rke_host::data_dir::{DataDir, DataDirError};
use rke_host::sealed::SealError;
use rke_host::udp::{self, Pool};
use rke_host::wallet::{self, Envelope1, Proof, Wallet, WalletError};
use rke_proto::command::Preloading;
use rke_proto::derive::{self, ShareKind, ShareWidth};
use rke_proto::directory::Directory;
use rke_proto::round::{Fault, Pace, REQUEST_RANDOM_LEN, Recipient, Round, RoundConfig};
use rke_proto::{Bitmap, ContentServerId, Form, KeyContext, KeySetId, MIN_REQUIRED, RAIDA_COUNT, RaidaIndex};
use rke_secret::{Secret, SecretError};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::records::DnsRecords;

/// Why an operation of a Content Server fails.
#[derive(Debug, thiserror::Error)]
pub enum ContentServerError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A file of master secrets.
    #[error(
        "cannot use the master secrets in {path}: {source}; bring the file back from a backup, or move its folder away \
         and make a key set under another number with `rke content-server preload --key-set`"
    )]
    MasterSecrets { path: PathBuf, source: SealError },
    /// New master secrets cannot be written.
    #[error(
        "cannot write new master secrets to {path}: {source}; no key set was made. Make room on that disk, or give the folder to \
         this user, and try again"
    )]
    Unwritten { path: PathBuf, source: SealError },
    /// The wallet with the coins that authorise preloads.
    #[error("cannot preload: {0}")]
    Wallet(#[from] WalletError),
    /// Nothing to rotate from. A first key set made here could replace the one that the RAIDAs hold.
    #[error(
        "{0} has no key set of this Content Server to rotate from; give the folder that it is served from with \
         --data-dir, or make the first one with `rke content-server preload`"
    )]
    NoKeySet(PathBuf),
    /// All 255 numbers are taken.
    #[error("there is no key set number after k255")]
    NoKeySetLeft,
    /// The directory has no node.
    #[error("cannot preload: the RAIDA directory names no node")]
    EmptyDirectory,
    /// The data directory's folders.
    #[error("cannot use {path}: {source}")]
    Files { path: PathBuf, source: io::Error },
    /// A failure of the system, such as a missing network.
    #[error("cannot preload: {0}")]
    Machine(#[from] io::Error),
    /// Secret memory is full.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl ContentServerError {
    /// Whether master secrets are damaged or gone, so that a retry cannot succeed.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::MasterSecrets { source, .. } if source.is_damage() || source.is_missing())
    }
}

/// The result of a preload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreloadReport {
    /// The RAIDAs that now hold their master secret.
    pub done: Bitmap,
    /// Why each of the others does not.
    pub faults: Vec<(RaidaIndex, Fault)>,
}

/// The 25 master secrets of one of a Content Server's key sets.
pub struct MasterSecrets {
    cs_id: ContentServerId,
    key_set: KeySetId,
    masters: Vec<Secret<32>>,
}

impl MasterSecrets {
    /// New master secrets, in memory only.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn random(cs_id: ContentServerId, key_set: KeySetId) -> Result<Self, SecretError> {
        let masters = RaidaIndex::all().map(|_| Secret::random()).collect::<Result<_, _>>()?;
        Ok(Self { cs_id, key_set, masters })
    }

    /// The same master secrets, for clients that convert the Content Server ID to lower case.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn lower_case(&self) -> Result<Self, SecretError> {
        let masters = self.masters.iter().map(Secret::duplicate).collect::<Result<_, _>>()?;
        Ok(Self { cs_id: self.cs_id.lower_case(), key_set: self.key_set, masters })
    }

    /// Opens the key set in a folder of a data directory.
    ///
    /// # Errors
    /// [`ContentServerError`]. Missing or damaged master secrets are an error rather than made again, because the
    /// RAIDAs hold the other half.
    pub(super) fn open(
        cs_id: ContentServerId,
        key_set: KeySetId,
        data_dir: &DataDir,
        folder: &Path,
    ) -> Result<Self, ContentServerError> {
        let masters = RaidaIndex::all().map(|raida| read_master(data_dir, folder, cs_id, key_set, raida));
        Ok(Self { cs_id, key_set, masters: masters.collect::<Result<_, _>>()? })
    }

    /// Writes the key set, sealed, to a folder of a data directory.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub(super) fn write(&self, data_dir: &DataDir, folder: &Path) -> Result<(), ContentServerError> {
        for (raida, master) in RaidaIndex::all().zip(&self.masters) {
            let path = file_of(folder, raida);
            let description = description(self.cs_id, self.key_set, raida);
            let written = data_dir.sealer().write(&path, description.as_bytes(), master);
            written.map_err(|source| ContentServerError::Unwritten { path, source })?;
        }
        Ok(())
    }

    /// The Content Server that they belong to.
    pub fn cs_id(&self) -> ContentServerId {
        self.cs_id
    }

    /// Tells these master secrets from others. They do not follow from it.
    pub(super) fn fingerprint(&self) -> String {
        let mut hash = Sha256::new_with_prefix("RKE-Master-Secrets-Fingerprint-v1");
        for master in &self.masters {
            // Of each its own hash, which is computed where the master secret is exposed.
            let own: [u8; 32] = master.expose(|master| Sha256::digest(master).into());
            hash.update(own);
        }
        let hash: [u8; 32] = hash.finalize().into();
        hex::encode(&hash[..8])
    }

    /// The key set's number.
    pub fn key_set(&self) -> KeySetId {
        self.key_set
    }

    /// The shares of this kind that a set of RAIDAs gives for `context`, in order. `docs/protocol.md` section 6.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn shares(
        &self,
        context: &KeyContext,
        kind: ShareKind,
        of: Bitmap,
    ) -> Result<Vec<(RaidaIndex, Secret<32>)>, SecretError> {
        let share = |raida: RaidaIndex| {
            let master = &self.masters[raida.position()];
            Secret::fill(|share| master.expose(|master| derive::share(master, kind, context, share)))
        };
        of.iter().map(|raida| Ok((raida, share(raida)?))).collect()
    }

    /// Sends each node of the directory its own master secret, authenticated by the operator's coins in a wallet, and
    /// waits up to `timeout` for all of them.
    ///
    /// # Errors
    /// [`ContentServerError`], if nothing could be sent at all.
    pub async fn preload(
        &self,
        directory: &Directory,
        wallet: &Path,
        preloading: Preloading,
        timeout: Duration,
    ) -> Result<PreloadReport, ContentServerError> {
        let raidas: Vec<RaidaIndex> = directory.entries().iter().map(|(_, raida)| *raida).collect();
        if raidas.is_empty() {
            return Err(ContentServerError::EmptyDirectory);
        }
        let proofs =
            wallet::prove(&Wallet::at(wallet), &raidas, ShareWidth::Wide, Envelope1::Refused, raidas.len())?;
        let recipients = proofs.into_iter().zip(directory.entries()).map(|(proof, (endpoint, _))| {
            let mut random = [0; REQUEST_RANDOM_LEN];
            getrandom::fill(&mut random)?;
            let Proof { raida, envelope, key, .. } = proof;
            let pace = Pace::default();
            Ok(Recipient { raida, endpoint: *endpoint, envelope, key, random, pace, fallback: None })
        });
        let mut round = self.preload_round(recipients.collect::<io::Result<_>>()?, preloading)?;
        udp::run(&Pool::default(), &mut round, Instant::now() + timeout).await?;
        Ok(PreloadReport { done: round.answered(), faults: round.faults() })
    }

    /// A round that sends each of these RAIDAs its own master secret and needs all of them.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn preload_round(
        &self,
        recipients: Vec<Recipient>,
        preloading: Preloading,
    ) -> Result<Round, SecretError> {
        let rules = RoundConfig::require_all(recipients.len());
        let with_master = |recipient: Recipient| {
            let master = &self.masters[recipient.raida.position()];
            (recipient, master)
        };
        let recipients = recipients.into_iter().map(with_master).collect();
        Round::preload(recipients, &self.cs_id, self.key_set, preloading, rules)
    }

    /// The records to publish for sessions of this form, for the nodes of a directory.
    pub fn records(
        &self,
        form: Form,
        domain: &str,
        (host, port): (&str, u16),
        directory: &Directory,
    ) -> DnsRecords {
        let servers = directory
            .entries()
            .iter()
            .map(|(endpoint, raida)| format!("{endpoint} {} raida={raida}", self.key_set));
        let mut texts = vec![format!("{} = {}", self.key_set, self.cs_id)];
        texts.extend(servers);
        texts.push(format!("required raidas>={MIN_REQUIRED}"));
        texts.extend(form.requirement().map(String::from));
        DnsRecords {
            domain: domain.trim_end_matches('.').into(),
            host: host.trim_end_matches('.').into(),
            port,
            texts,
        }
    }
}

fn file_of(folder: &Path, raida: RaidaIndex) -> PathBuf {
    folder.join(format!("raida-{raida:02}"))
}

/// The plain text that is authenticated in front of a sealed master secret.
fn description(cs_id: ContentServerId, key_set: KeySetId, raida: RaidaIndex) -> String {
    format!("master secret of RAIDA {raida} of {RAIDA_COUNT} in {key_set} of {cs_id}")
}

fn read_master(
    data_dir: &DataDir,
    folder: &Path,
    cs_id: ContentServerId,
    key_set: KeySetId,
    raida: RaidaIndex,
) -> Result<Secret<32>, ContentServerError> {
    let path = file_of(folder, raida);
    let own = description(cs_id, key_set, raida);
    let master = data_dir.sealer().read::<32>(&path).and_then(|(found, master)| {
        if found == own.as_bytes() { Ok(master) } else { Err(SealError::Elsewhere) }
    });
    master.map_err(|source| ContentServerError::MasterSecrets { path, source })
}

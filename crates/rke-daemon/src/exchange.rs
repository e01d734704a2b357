//! One exchange from domain and wallet to a key: discovery, proofs, shares, key, under one deadline.
//! Whatever happens, it ends in a whole key or in an error that says what each RAIDA did.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rke_host::udp::{self, Ended};
use rke_host::wallet::{self, Proof, WalletError};
use rke_proto::derive::ShareWidth;
use rke_proto::records::KeySet;
use rke_proto::round::{Fault, REQUEST_RANDOM_LEN, Recipient, Round, Rules};
use rke_proto::{ClientSn, ContentServerId, KeyContext, RaidaIndex};
use rke_secret::Secret;
use tokio::time::{Instant, timeout_at};

use crate::Domain;
use crate::clock::unix_seconds;
use crate::discovery::{Discovered, Discovery, DiscoveryError};
use crate::store::Full;

/// Where a key comes from: everything about it that is not secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOrigin {
    /// The Content Server that has the key too.
    pub cs_id: ContentServerId,
    /// How wide the shares were.
    pub width: ShareWidth,
    /// Types of the envelopes that the shares came in.
    pub envelopes: Vec<u8>,
    /// The RAIDAs whose shares made it, in order.
    pub raidas: Vec<u8>,
}

/// A key and where it comes from.
pub struct ExchangedKey {
    /// The key.
    pub key: Secret<32>,
    /// Where it comes from.
    pub origin: KeyOrigin,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The caller's wallet cannot be used.
    #[error("Cannot use the wallet: {0}")]
    Wallet(#[from] WalletError),
    /// The wallet lies elsewhere than the operator wants wallets to lie.
    #[error("The wallet path leads out of the folder that the daemon's --wallet-root names")]
    WalletOutside,
    /// The Content Server was not found.
    #[error("DNS discovery failed: {0}")]
    Discovery(#[from] DiscoveryError),
    /// The Content Server has only 1-byte shares, and nobody allowed them.
    #[error(
        "{0} offers only weak (1-byte) key shares, which make a key of 8 bits; \
         to accept them, start the daemon with --allow-weak-shares {0}"
    )]
    WeakShares(Domain),
    /// Too few RAIDAs gave a share.
    #[error("Only {} of {required} required RAIDAs answered", .answered.len())]
    TooFewAnswered {
        /// RAIDAs that are required.
        required: usize,
        /// Those that gave a share.
        answered: Vec<u8>,
        /// What kept each of the others.
        faults: Vec<(RaidaIndex, Fault)>,
    },
    /// Another exchange for the domain took all the time that this one had.
    #[error("Another exchange for {0} is still running; try again in a few seconds")]
    StillRunning(Domain),
    /// No room for the session.
    #[error(transparent)]
    Full(#[from] Full),
    /// The machine's fault.
    #[error("The exchange could not run: {0}")]
    Machine(#[from] io::Error),
}

impl ExchangeError {
    /// Whether another request for the same domain would end the same way now.
    pub fn holds_for_everyone(&self) -> bool {
        matches!(self, Self::Discovery(_) | Self::WeakShares(_) | Self::TooFewAnswered { .. })
    }
}

/// Exchanges keys.
pub struct Exchange {
    discovery: Discovery,
    timeout: Duration,
    allow_weak_shares: HashSet<Domain>,
}

impl Exchange {
    /// An exchange that takes at most `timeout`, and accepts narrow shares for some domains only.
    pub fn new(discovery: Discovery, timeout: Duration, allow_weak_shares: HashSet<Domain>) -> Self {
        Self { discovery, timeout, allow_weak_shares }
    }

    /// The deadline of an exchange that begins now.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Whether a key from shares of this width may be used for the domain.
    pub fn accepts(&self, domain: &Domain, width: ShareWidth) -> bool {
        width == ShareWidth::Wide || self.allow_weak_shares.contains(domain)
    }

    /// Finds a domain's Content Server.
    ///
    /// # Errors
    /// [`DiscoveryError`], also when the deadline comes first.
    pub async fn discover(&self, domain: &Domain, deadline: Instant) -> Result<Discovered, DiscoveryError> {
        let discovered = timeout_at(deadline, self.discovery.discover(domain)).await;
        discovered.unwrap_or(Err(DiscoveryError::TimedOut))
    }

    /// Makes a new key for `domain`, proving the user with coins of the wallet.
    ///
    /// # Errors
    /// [`ExchangeError`]; partial shares are wiped, also when the future is dropped.
    pub async fn run(
        &self,
        domain: &Domain,
        wallet: PathBuf,
        deadline: Instant,
    ) -> Result<ExchangedKey, ExchangeError> {
        let discovered = self.discover(domain, deadline).await?;
        let sets = &discovered.sets;
        let width = sets.width.ok_or(DiscoveryError::UnknownWidth)?;
        if !self.accepts(domain, width) {
            return Err(ExchangeError::WeakShares(domain.clone()));
        }
        let set = sets.choose().ok_or_else(|| no_key_set(&discovered))?;
        let required = usize::from(sets.required);
        let context = new_context(set)?;
        let recipients = prove(set, wallet, width, required).await?;
        let round = Round::collect_shares(recipients, width, &context, Rules::new(required));
        let mut round = round.map_err(io::Error::from)?;
        let ended = udp::run(&mut round, deadline).await?;
        let answered = round.answered().iter().map(RaidaIndex::get).collect();
        match round.derive_key(&context).map_err(io::Error::from)? {
            Some(key) if ended == Ended::Ready => {
                let (cs_id, envelopes) = (set.cs_id, round.envelopes());
                Ok(ExchangedKey { key, origin: KeyOrigin { cs_id, width, envelopes, raidas: answered } })
            }
            _ => Err(ExchangeError::TooFewAnswered { required, answered, faults: round.faults() }),
        }
    }
}

fn no_key_set(discovered: &Discovered) -> DiscoveryError {
    let counts = discovered.sets.all.iter().map(|set| format!("{} has {}", set.key_id, set.servers.len()));
    let warnings = discovered.sets.warnings.first().map(|warning| format!("first warning: {warning}"));
    let found: Vec<String> = counts.chain(warnings).collect();
    DiscoveryError::NoKeySet {
        required: discovered.sets.required,
        found: if found.is_empty() { String::new() } else { format!(" ({})", found.join(", ")) },
    }
}

fn new_context(set: &KeySet) -> io::Result<KeyContext> {
    let mut client_sn = [0; 5];
    getrandom::fill(&mut client_sn)?;
    Ok(KeyContext {
        cs_id: set.cs_id,
        key_id: set.key_id,
        client_sn: ClientSn(client_sn),
        timestamp: unix_seconds(),
    })
}

/// Whom to ask, each with the proof that the wallet has for it. Wallets are read off the runtime's
/// threads: a slow disk must not hold up other sessions.
async fn prove(
    set: &KeySet,
    wallet: PathBuf,
    width: ShareWidth,
    required: usize,
) -> Result<Vec<Recipient>, ExchangeError> {
    let servers: Arc<[(RaidaIndex, SocketAddr)]> = set.servers.as_slice().into();
    let raidas: Vec<RaidaIndex> = servers.iter().map(|(raida, _)| *raida).collect();
    let read = move || wallet::prove(Path::new(&wallet), &raidas, width, required);
    let proofs = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
    let recipients = proofs.into_iter().filter_map(|proof| {
        let (_, endpoint) = servers.iter().find(|(raida, _)| *raida == proof.raida)?;
        Some(recipient(proof, *endpoint))
    });
    Ok(recipients.collect::<io::Result<_>>()?)
}

fn recipient(proof: Proof, endpoint: SocketAddr) -> io::Result<Recipient> {
    let mut random = [0; REQUEST_RANDOM_LEN];
    getrandom::fill(&mut random)?;
    let Proof { raida, envelope, key } = proof;
    Ok(Recipient { raida, endpoint, envelope, key, random })
}

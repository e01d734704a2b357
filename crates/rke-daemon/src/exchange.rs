//! One exchange from domain and wallet to a key: discovery, proofs, shares, key, under one deadline.
//! Whatever happens, it ends in a whole key or in an error that says what each RAIDA did.

mod agreement;
mod error;

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rke_host::udp::{Courier, Ended, Pool, Step, Watcher};
use rke_host::wallet::{self, Proof, WalletError};
use rke_proto::derive::ShareWidth;
use rke_proto::directory::Directory;
use rke_proto::records::KeySet;
use rke_proto::round::{self, Fault, REQUEST_RANDOM_LEN, Recipient, Round};
use rke_proto::tunnel::confirm::ConfirmError;
use rke_proto::{Bitmap, ClientSn, ContentServerId, KeyContext, RAIDA_COUNT, RaidaIndex};
use rke_secret::Secret;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use self::agreement::{AgreedKey, Disagreed};
pub use self::error::ExchangeError;
use crate::Domain;
use crate::blocking::spawn_blocking;
use crate::clock::unix_seconds;
use crate::config::Config;
use crate::confirm::{Confirm, ConfirmedKey, TunnelName, Unconfirmed, confirm, connect};
use crate::discovery::{Discovered, Discovery, DiscoveryError};
use crate::progress::Progress;
use crate::raidas::Raidas;
use crate::usage::Usage;

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
    /// The RAIDAs whose shares turned out wrong, in order.
    pub liars: Vec<u8>,
    /// Under what names the Content Server knows the key. `None` where it has not confirmed it.
    pub tunnel: Option<TunnelName>,
}

/// A key and where it comes from.
pub struct ExchangedKey {
    /// The domain that it was asked for.
    pub domain: Domain,
    /// The key.
    pub key: Secret<32>,
    /// Where it comes from. All who hold the key share it.
    pub origin: Arc<KeyOrigin>,
    /// What it has encrypted so far.
    pub usage: Arc<Usage>,
}

/// Exchanges keys.
pub struct Exchange {
    discovery: Discovery,
    raidas: Raidas,
    progress: Progress,
    pool: Pool,
    rules: ArcSwap<Rules>,
}

/// How exchanges are made.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long discovery and shares may take.
    pub timeout: Duration,
    /// Whether the Content Server has to confirm a key.
    pub confirm: Confirm,
    /// How long it has for that.
    pub confirm_timeout: Duration,
    /// Domains for which narrow shares are accepted.
    pub allow_weak_shares: HashSet<Domain>,
}

impl Rules {
    /// As the settings say.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            timeout: config.exchange_timeout,
            confirm: config.confirm,
            confirm_timeout: config.confirm_timeout,
            allow_weak_shares: config.allow_weak_shares.iter().cloned().collect(),
        }
    }
}

impl Exchange {
    /// Exchanges by these rules.
    pub fn new(discovery: Discovery, rules: Rules) -> Self {
        let (raidas, progress, pool) = (Raidas::default(), Progress::default(), Pool::default());
        Self { discovery, raidas, progress, pool, rules: ArcSwap::from_pointee(rules) }
    }

    /// Goes on by other rules, and with another directory of RAIDAs.
    pub(crate) fn change(&self, rules: Rules, directory: Directory) {
        self.rules.store(Arc::new(rules));
        self.discovery.set_directory(directory);
    }

    /// What is known of the RAIDAs.
    pub fn raidas(&self) -> &Raidas {
        &self.raidas
    }

    /// How running exchanges are getting on.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The deadline of an exchange that begins now.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.rules.load().timeout
    }

    /// Whether a key from shares of this width may be used for the domain.
    pub fn accepts(&self, domain: &Domain, width: ShareWidth) -> bool {
        width == ShareWidth::Wide || self.rules.load().allow_weak_shares.contains(domain)
    }

    /// Finds a domain's Content Server.
    ///
    /// # Errors
    /// [`DiscoveryError`], also when the deadline comes first.
    pub async fn discover(&self, domain: &Domain, deadline: Instant) -> Result<Discovered, DiscoveryError> {
        let discovered = timeout_at(deadline, self.discovery.discover(domain)).await;
        discovered.unwrap_or(Err(DiscoveryError::TimedOut))
    }

    /// Makes a new key for `domain`, proving the user with coins of the wallet. Its turn has to come before
    /// `deadline`; then it has all the time that an exchange may take.
    ///
    /// # Errors
    /// [`ExchangeError`]; partial shares are wiped, also when the future is dropped.
    pub async fn run(
        &self,
        domain: &Domain,
        wallet: PathBuf,
        deadline: Instant,
    ) -> Result<ExchangedKey, ExchangeError> {
        // First of all, so that many exchanges at once do not send many DNS queries at once either.
        let seat = timeout_at(deadline, self.pool.take()).await.map_err(|_| ExchangeError::Crowded)?;
        let deadline = self.deadline();
        let discovered = self.discover(domain, deadline).await?;
        let sets = &discovered.sets;
        let width = sets.width.ok_or(DiscoveryError::UnknownWidth)?;
        if !self.accepts(domain, width) {
            return Err(ExchangeError::WeakShares(domain.clone()));
        }
        let set = sets.choose().ok_or_else(|| no_key_set(&discovered))?;
        let required = usize::from(sets.required);
        let context = new_context(set)?;
        let proven = timeout_at(deadline, self.prove(set, wallet, width, required)).await;
        let recipients = proven.map_err(|_| WalletError::Unreadable(io::ErrorKind::TimedOut.into()))??;
        let round = Round::collect_shares(recipients, width, &context, round::Rules::new(required));
        let mut round = round.map_err(io::Error::from)?;
        let watcher = |step| self.progress.step(domain, step);
        let mut courier = Courier::new(seat, &watcher);
        let agreed = self.collect_and_agree(&discovered, &mut round, &context, deadline, &mut courier);
        let (agreed, liars) = agreed.await;
        tell_who_failed(&round, liars, &watcher);
        self.raidas.note(round.outcomes(), liars);
        if liars.count() > 0 {
            tracing::warn!(%domain, raidas = ?indexes(liars), "RAIDAs gave WRONG shares");
        }
        let agreed = agreed.map_err(|error| error.into_exchange_error(&round, required, liars))?;
        let origin = KeyOrigin {
            cs_id: set.cs_id,
            width,
            envelopes: round.envelopes(),
            raidas: indexes(agreed.raidas),
            liars: indexes(liars),
            tunnel: agreed.tunnel,
        };
        let (domain, origin) = (domain.clone(), Arc::new(origin));
        Ok(ExchangedKey { domain, key: agreed.key, origin, usage: Arc::default() })
    }

    /// Collects shares until there is a key of them that both sides agree on, and says who lied. Where
    /// too many have lied, it goes on with the RAIDAs that have not answered yet.
    async fn collect_and_agree(
        &self,
        discovered: &Discovered,
        round: &mut Round,
        context: &KeyContext,
        deadline: Instant,
        courier: &mut Courier<'_>,
    ) -> (Result<AgreedKey, Disagreed>, Bitmap) {
        let mut liars = Bitmap::default();
        loop {
            match courier.run(round, deadline).await {
                Ok(Ended::Ready) => (),
                Ok(Ended::Hopeless | Ended::TimedOut) => return (Err(Disagreed::TooFewShares), liars),
                Err(error) => return (Err(error.into()), liars),
            }
            match self.agree(discovered, round, context).await {
                Err(Disagreed::TooManyLiars(found)) => {
                    liars = liars.union(found);
                    round.exclude(found, courier.elapsed());
                }
                Ok(key) => {
                    liars = liars.union(key.liars);
                    return (Ok(key), liars);
                }
                Err(error) => return (Err(error), liars),
            }
        }
    }

    /// The key of a finished round, confirmed by the Content Server as far as the rules want it.
    async fn agree(
        &self,
        discovered: &Discovered,
        round: &Round,
        context: &KeyContext,
    ) -> Result<AgreedKey, Disagreed> {
        let wanted = self.rules.load().confirm;
        let unconfirmed = match wanted {
            Confirm::Off => None,
            Confirm::Require | Confirm::Try => match self.confirm(discovered, round, context).await {
                Ok(key) => return Ok(AgreedKey::confirmed(key, discovered)),
                Err(Unconfirmed::Refused(ConfirmError::TooManyLiars { liars, .. })) => {
                    return Err(Disagreed::TooManyLiars(liars));
                }
                Err(reason) => Some(reason),
            },
        };
        if let Some(reason) = unconfirmed {
            if wanted == Confirm::Require {
                return Err(Disagreed::Unconfirmed(reason.to_string()));
            }
            tracing::warn!(host = discovered.target_host, %reason, "the key is not confirmed");
        }
        let key = round.derive_key(context).map_err(io::Error::from)?;
        let key = key.ok_or_else(|| io::Error::other("there are too few shares"))?;
        Ok(AgreedKey { key, raidas: round.answered(), liars: Bitmap::default(), tunnel: None })
    }

    async fn confirm(
        &self,
        discovered: &Discovered,
        round: &Round,
        context: &KeyContext,
    ) -> Result<ConfirmedKey, Unconfirmed> {
        let deadline = Instant::now() + self.rules.load().confirm_timeout;
        let addresses = timeout_at(deadline, self.addresses(discovered)).await;
        let addresses = addresses.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        confirm(round, context, &addresses, deadline).await
    }

    async fn addresses(&self, discovered: &Discovered) -> io::Result<Vec<SocketAddr>> {
        let found = self.discovery.addresses(&discovered.target_host, discovered.target_port);
        found.await.map_err(io::Error::other)
    }

    /// A connection to the Content Server that has confirmed a key.
    ///
    /// # Errors
    /// What DNS or the system said.
    pub(crate) async fn connect(&self, name: &TunnelName) -> io::Result<TcpStream> {
        let connected = async {
            let addresses = self.discovery.addresses(&name.host, name.port).await;
            connect(&addresses.map_err(io::Error::other)?).await
        };
        let deadline = Instant::now() + self.rules.load().confirm_timeout;
        timeout_at(deadline, connected).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whom to ask, each with the proof that the wallet has for it. Wallets are read off the
    /// runtime's threads: a slow disk must not hold up other sessions.
    async fn prove(
        &self,
        set: &KeySet,
        wallet: PathBuf,
        width: ShareWidth,
        required: usize,
    ) -> Result<Vec<Recipient>, ExchangeError> {
        let servers: Arc<[(RaidaIndex, SocketAddr)]> = set.servers.as_slice().into();
        let raidas: Vec<RaidaIndex> = servers.iter().map(|(raida, _)| *raida).collect();
        let read = move || wallet::prove(Path::new(&wallet), &raidas, width, required);
        let proofs = spawn_blocking(read).await.map_err(io::Error::other)??;
        let mut random = [[0; REQUEST_RANDOM_LEN]; RAIDA_COUNT];
        getrandom::fill(random.as_flattened_mut()).map_err(io::Error::from)?;
        let recipients = proofs.into_iter().zip(random).filter_map(|(proof, random)| {
            let (raida, endpoint) = *servers.iter().find(|(raida, _)| *raida == proof.raida)?;
            let (Proof { envelope, key, .. }, pace) = (proof, self.raidas.pace(raida, endpoint));
            Some(Recipient { raida, endpoint, envelope, key, random, pace })
        });
        Ok(recipients.collect())
    }
}

/// Tells a watcher of those whose part in the exchange ended without a right share.
fn tell_who_failed(round: &Round, liars: Bitmap, watcher: Watcher<'_>) {
    let silent = round.outcomes().filter_map(|outcome| Some((outcome.raida, outcome.result.err()?)));
    let lied = liars.iter().map(|raida| (raida, Fault::WrongShare));
    silent.chain(lied).for_each(|(raida, fault)| watcher(Step::Settled(raida, Err(fault))));
}

fn indexes(raidas: Bitmap) -> Vec<u8> {
    raidas.iter().map(RaidaIndex::get).collect()
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

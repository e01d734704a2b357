//! One exchange from domain and wallet to a key: discovery, proofs, shares, key, under one deadline. It always ends
//! in a whole key or in an error that says what each RAIDA did.

mod clock;
pub mod confirm;
mod error;
mod finding;
mod handshake;
mod head_start;
mod key;
mod live;
pub mod progress;
pub mod raidas;
mod recipients;
mod refusals;
mod share_sets;

use std::collections::HashSet;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::maybe_done;
use rke_host::udp::{Courier, Ended, Pool, Step, Watcher};
use rke_host::wallet::{Envelope1, Wallet};
use rke_proto::round::{self, Fault, Round};
use rke_proto::{Bitmap, ContentServerId, Form, RaidaIndex};
use tokio::time::{Instant, timeout_at};

pub use self::clock::ClockReading;
use self::clock::{AcceptedTime, AskedAt};
pub use self::error::ExchangeError;
use self::handshake::Subject;
use self::head_start::{Ready, alongside};
pub(crate) use self::key::GiveUp;
pub use self::key::{Kept, KeptSecret, OpenedKey, UnclaimedKey};
use self::progress::Progress;
use self::raidas::{Raidas, Verdict};
use self::recipients::new_context;
use self::share_sets::ShareSets;
use crate::Domain;
use crate::blocking::spawn_blocking;
use crate::contact::{Dialer, TimeLimits};
use crate::discovery::{Candidates, Discovered, Discovery, DiscoveryError};
use crate::guardians::AgreedDirectory;
use crate::model::key_origin::KeyOrigin;
use crate::model::server_name::ServerName;
use crate::model::viewer::Page;
use crate::settings::{Confirm, Reloadable};
use crate::trust::{Known, KnownServers, Offer, Standing};

/// Exchanges keys.
pub struct Exchange {
    discovery: Discovery,
    agreed: AgreedDirectory,
    raidas: Raidas,
    progress: Progress,
    pool: Pool,
    known: Arc<KnownServers>,
    give_up: GiveUp,
    accepted_time: AcceptedTime,
    rules: ArcSwap<ExchangeConfig>,
}

/// How exchanges are made.
#[derive(Debug, Clone)]
pub struct ExchangeConfig {
    /// How long discovery and shares may take.
    pub timeout: Duration,
    /// Whether the Content Server has to confirm a narrow key.
    pub confirm: Confirm,
    /// How long each address of the Content Server has for that, and for a handshake.
    pub confirm_timeout: Duration,
    /// Domains for which narrow shares are accepted.
    pub allow_weak_shares: HashSet<Domain>,
    /// Domains whose narrow shares travel in envelope 1.
    pub allow_envelope_1: HashSet<Domain>,
}

impl ExchangeConfig {
    /// The rules that these settings describe.
    pub fn of(config: &Reloadable) -> Self {
        Self {
            timeout: config.exchange_timeout,
            confirm: config.confirm,
            confirm_timeout: config.confirm_timeout,
            allow_weak_shares: config.allow_weak_shares.iter().cloned().collect(),
            allow_envelope_1: config.allow_envelope_1.iter().cloned().collect(),
        }
    }
}

impl Exchange {
    /// An exchange with these rules.
    pub fn new(
        discovery: Discovery,
        agreed: AgreedDirectory,
        known: KnownServers,
        rules: ExchangeConfig,
    ) -> Self {
        let (raidas, progress, pool) = (Raidas::default(), Progress::default(), Pool::default());
        discovery.set_agreed(agreed.endpoints());
        Self {
            discovery,
            agreed,
            raidas,
            progress,
            pool,
            known: Arc::new(known),
            give_up: GiveUp::default(),
            accepted_time: AcceptedTime::default(),
            rules: ArcSwap::from_pointee(rules),
        }
    }

    /// What happens to keys that no session takes.
    pub(crate) fn give_up(&self) -> &GiveUp {
        &self.give_up
    }

    /// What is known about the RAIDAs.
    pub fn raidas(&self) -> &Raidas {
        &self.raidas
    }

    /// The progress of running exchanges.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The deadline of an exchange that begins now.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.rules.load().timeout
    }

    /// Whether sessions of this form may be opened for the domain.
    pub fn accepts(&self, domain: &Domain, form: Form) -> bool {
        form == Form::Wide || self.rules.load().allow_weak_shares.contains(domain)
    }

    /// Checks that the Content Server is the one that the domain had before. Called before any RAIDA is asked.
    ///
    /// # Errors
    /// [`ExchangeError::Untrusted`].
    pub(crate) async fn check_trust(
        &self,
        domain: &Domain,
        cs_id: ContentServerId,
        form: Form,
    ) -> Result<(), ExchangeError> {
        blocking(self.trust_check(domain, Offer { cs_id, form })).await.map(drop)
    }

    /// The check whether the domain's Content Server may be the one that DNS offers, for a blocking thread.
    fn trust_check(
        &self,
        domain: &Domain,
        offer: Offer,
    ) -> impl FnOnce() -> Result<Standing, ExchangeError> + Send + use<> {
        let (known, domain) = (Arc::clone(&self.known), domain.clone());
        move || {
            if is_trust_off() {
                return Ok(Standing::Remembered);
            }
            Ok(known.check(&domain, &offer)?)
        }
    }

    /// Makes the file of known Content Servers agree with what other machines know about a domain: `choose` gets what the file says, and
    /// returns what to put into it, if anything. Returns what it says then.
    pub(crate) async fn settle_server(
        &self,
        domain: &Domain,
        choose: impl FnOnce(Option<&Known>) -> Option<Known> + Send + 'static,
    ) -> Result<Option<Known>, ExchangeError> {
        let (known, domain) = (Arc::clone(&self.known), domain.clone());
        blocking(move || {
            let own = known.known(&domain)?;
            match choose(own.as_ref()) {
                Some(theirs) => {
                    known.adopt(theirs.clone())?;
                    Ok(Some(theirs))
                }
                None => Ok(own),
            }
        })
        .await
    }

    /// Remembers the Content Server that a handshake has proven.
    async fn remember(&self, origin: &KeyOrigin) -> Result<(), ExchangeError> {
        let offer = Offer { cs_id: origin.cs_id, form: origin.form };
        let (known, domain) = (Arc::clone(&self.known), origin.domain.clone());
        blocking(move || Ok(known.remember(&domain, &offer)?)).await
    }

    /// Whether narrow shares may travel in envelope 1 for the domain.
    fn envelope_1(&self, domain: &Domain) -> Envelope1 {
        match self.rules.load().allow_envelope_1.contains(domain) {
            true => Envelope1::Allowed,
            false => Envelope1::Refused,
        }
    }

    /// Makes a new key for `domain`, and what is kept for later sessions, and proves the user with coins of the
    /// wallet. Viewers that may see sessions of the page see the steps. The exchange has to get its turn before
    /// `deadline`; after that, it has the whole time that an exchange may take. If it fails as it would with outdated
    /// records, DNS is queried again. If DNS now says something else, the exchange is retried, but only once, because
    /// anyone could make it fail.
    ///
    /// # Errors
    /// [`ExchangeError`]; partial shares are wiped, even if the future is dropped.
    pub async fn run(
        &self,
        domain: &Domain,
        wallet: Wallet,
        page: Option<&Page>,
        deadline: Instant,
    ) -> Result<(OpenedKey, Option<Kept>), ExchangeError> {
        let mut discovered = None;
        let ended = self.run_once(domain, wallet.clone(), page, deadline, &mut discovered).await;
        let Err(error) = &ended else { return ended };
        if matches!(error, ExchangeError::TooFewAnswered { .. }) {
            self.agreed.doubt();
        }
        if !error.may_come_from_old_records() {
            return ended;
        }
        self.discovery.look_again();
        let deadline = self.deadline();
        match self.discover(domain, deadline).await {
            Ok(now) if discovered.is_some_and(|earlier| earlier != now) => {
                tracing::info!(%domain, %error, "the DNS records have changed; trying again");
                self.run_once(domain, wallet, page, deadline, &mut None).await
            }
            _ => ended,
        }
    }

    async fn run_once(
        &self,
        domain: &Domain,
        wallet: Wallet,
        page: Option<&Page>,
        deadline: Instant,
        found: &mut Option<Discovered>,
    ) -> Result<(OpenedKey, Option<Kept>), ExchangeError> {
        // Before anything else, so that many exchanges at once do not send many DNS queries at once either.
        let seat = timeout_at(deadline, self.pool.take()).await.map_err(|_| ExchangeError::Crowded)?;
        let deadline = self.deadline();
        let discovered = &*found.insert(self.discover(domain, deadline).await?);
        let sets = &discovered.sets;
        let set = sets.choose().ok_or_else(|| DiscoveryError::no_key_set(sets))?;
        let form = sets.form.ok_or(DiscoveryError::Unsupported)?;
        if !self.accepts(domain, form) {
            // The unreadable line may be a typo. Report it instead of suggesting to allow weak shares.
            return Err(match &sets.unclear {
                Some(line) => DiscoveryError::Unclear(line.clone()).into(),
                None => ExchangeError::WeakShares { domain: domain.clone(), form },
            });
        }
        let required = usize::from(sets.required);
        let trusted = self.trust_check(domain, Offer { cs_id: set.cs_id, form });
        let width = form.share_width();
        let proving = self.prove(set, wallet.clone(), (width, self.envelope_1(domain)), required, trusted);
        let proven = timeout_at(deadline, proving).await;
        let (standing, recipients) = proven.map_err(|_| wallet.timed_out())??;
        let asked_at = AskedAt::now();
        let context = new_context(set, asked_at)?;
        let round = Round::collect_shares(recipients, width, &context, round::RoundConfig::new(required));
        let mut round = round.map_err(io::Error::from)?;
        let watcher = |step| self.progress.step(domain, page, step);
        let courier = Courier::new(seat, &watcher);
        let subject = Subject { domain, context: &context, asked_at, required, form };
        let (opened, verdict) =
            self.collect_and_agree(discovered, &mut round, &subject, deadline, courier).await;
        if round.is_satisfied() {
            self.accepted_time.note(asked_at);
        }
        tell_who_failed(&round, verdict.wrong, &watcher);
        self.raidas.note(round.outcomes(), verdict);
        if verdict.wrong.count() > 0 {
            tracing::warn!(%domain, raidas = ?indexes(verdict.wrong), "RAIDAs gave WRONG shares");
        }
        let opened = opened?;
        if opened.0.origin.is_confirmed() && standing == Standing::New {
            self.remember(&opened.0.origin).await?;
        }
        Ok(opened)
    }

    /// Collects shares until they make a key, and returns which of them were proven right or wrong. If too few are
    /// right, or narrow ones allow no other set, it goes on with the RAIDAs that have not answered yet: RAIDAs that
    /// respond quickly with wrong shares cannot shut the others out. The number of right shares is only a hint that
    /// anyone on the path can fake. A fake costs time, but no RAIDA is left out because of it.
    async fn collect_and_agree(
        &self,
        discovered: &Discovered,
        round: &mut Round,
        subject: &Subject<'_>,
        deadline: Instant,
        mut courier: Courier<'_>,
    ) -> Ending {
        let is_handshake_3 = subject.form.is_handshake_3();
        let mut head_start = pin!(is_handshake_3.then(|| maybe_done(self.head_start(discovered))));
        let (mut sets, mut failed) = (ShareSets::default(), None);
        loop {
            let ended = alongside(courier.run(round, deadline), head_start.as_mut().as_pin_mut()).await;
            match ended {
                Ok(Ended::Ready) => (),
                Ok(Ended::Hopeless | Ended::TimedOut) => {
                    let error = failed.unwrap_or_else(|| self.too_few(round, subject));
                    return (Err(error), Verdict::default());
                }
                Err(error) => return (Err(error.into()), Verdict::default()),
            }
            let ready = match head_start.as_mut().as_pin_mut() {
                Some(mut preparing) => {
                    preparing.as_mut().await;
                    preparing.take_output()
                }
                None => None,
            };
            head_start.set(None);
            let (opened, verdict) = self.key_of(discovered, round, subject, ready, &mut sets).await;
            let missing = match &opened {
                Err(ExchangeError::TooFewRight { required, right }) => required.saturating_sub(*right),
                Err(ExchangeError::NoSetRight { .. }) if sets.may_have_more() => 1,
                _ => return (opened, verdict),
            };
            round.require(round.answered().count() + missing, courier.elapsed());
            failed = opened.err();
        }
    }

    fn too_few(&self, round: &Round, subject: &Subject<'_>) -> ExchangeError {
        let (answered, faults) = (indexes(round.answered()), round.faults());
        let clock = self.accepted_time.compare(subject.asked_at);
        ExchangeError::TooFewAnswered { required: subject.required, answered, faults, clock }
    }

    /// The key of a finished round, and which shares were proven right or wrong.
    async fn key_of<'a>(
        &'a self,
        discovered: &Discovered,
        round: &Round,
        subject: &Subject<'_>,
        head_start: Option<Ready<'a>>,
        sets: &mut ShareSets,
    ) -> Ending {
        match subject.form {
            Form::Live => {
                let opened = self.narrow_key(discovered, round, subject).await;
                // The Content Server's confirmation covers all shares.
                let confirmed = opened.as_ref().is_ok_and(|(opened, _)| opened.origin.is_confirmed());
                let right = if confirmed { round.answered() } else { Bitmap::default() };
                (opened, Verdict { right, wrong: Bitmap::default() })
            }
            Form::Handshake3Narrow => self.key_of_any_set(discovered, round, subject, head_start, sets).await,
            Form::Wide => {
                let shares = (round, round.answered());
                self.key_of_shares(discovered, shares, subject, head_start, self.time_limits()).await
            }
        }
    }

    /// Makes connections to a Content Server.
    fn dialer<'a>(&self, candidates: Candidates<'a>) -> Dialer<'a> {
        Dialer::new(candidates, self.rules.load().confirm_timeout)
    }

    /// Makes connections to one target of a Content Server.
    pub(crate) fn dialer_at(&self, server: &ServerName) -> Dialer<'_> {
        self.dialer(self.discovery.candidates_at(server))
    }

    /// How long reaching a Content Server may take from now on: each address no longer than the settings say, and all
    /// of them no longer than discovery and shares.
    pub(crate) fn time_limits(&self) -> TimeLimits {
        let rules = self.rules.load();
        let (each, all) = (rules.confirm_timeout, rules.timeout.max(rules.confirm_timeout));
        TimeLimits { each, all: Instant::now() + all }
    }
}

/// The result of a round's shares: a key or an error, and which shares were proven right or wrong.
type Ending = (Result<(OpenedKey, Option<Kept>), ExchangeError>, Verdict);

/// Does `work` off the runtime's threads, because it reads files. Another thread takes up to 100 µs to wake, so an
/// exchange asks for one as seldom as it can.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, ExchangeError> + Send + 'static,
) -> Result<R, ExchangeError> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Whether the fault that trusts every Content Server is injected.
fn is_trust_off() -> bool {
    #[cfg(feature = "fault-injection")]
    return rke_secret::fault_injection::is_injected(rke_secret::fault_injection::Fault::NoKnownServers);
    #[cfg(not(feature = "fault-injection"))]
    false
}

/// Notifies a watcher of the RAIDAs whose part in the exchange ended without a right share.
fn tell_who_failed(round: &Round, liars: Bitmap, watcher: Watcher<'_>) {
    let silent = round.outcomes().filter_map(|outcome| Some((outcome.raida, outcome.result.err()?)));
    let lied = liars.iter().map(|raida| (raida, Fault::WrongShare));
    silent.chain(lied).for_each(|(raida, fault)| watcher(Step::Settled(raida, Err(fault))));
}

fn indexes(raidas: Bitmap) -> Vec<u8> {
    raidas.iter().map(RaidaIndex::get).collect()
}

#[cfg(test)]
pub(crate) mod tests;

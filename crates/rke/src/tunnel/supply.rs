//! Which session the tunnels go through: one that the user names, or one with a domain. That is opened with a wallet and
//! ends with the program, or, without a wallet, is one that is open already.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use rke_client::response::{Authenticated, Created, SessionSummary};
use rke_client::{CachedKey, Client, Error, KeyChoice, OtherEnd, Receipt, call};
use rke_engine::Domain;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::session::WEAKLY_AUTHENTICATED;
use crate::terminal::{BAD, DOUBTFUL, clean, paint, say};
use crate::words::in_words;

/// How often to see whether the session has to be renewed. A timer for that moment would stop while the machine sleeps.
const LOOK: Duration = Duration::from_secs(1);

/// How long the end of the program waits for a session that is being opened. The daemon opens it in any case.
const OPENING_LIMIT: Duration = Duration::from_secs(10);

/// Why the program has not ended yet.
const WAITING: &str = "Waiting for the session that is being opened, to end it.";

/// Warning for a session of which a cut looks like an end.
const NO_END: &str =
    "WEAK: this tunnel has no authenticated end: a connection that is cut looks like the end of the data.";

/// Sessions for tunnels.
pub(crate) struct Supply {
    client: Client,
    source: Source,
    /// Locked while a session is opened, so that all tunnels wait for the same one.
    held: Mutex<Held>,
}

enum Source {
    /// The session with this id.
    Named(String),
    /// Sessions with this domain, opened with this wallet.
    Own(String, PathBuf),
    /// Sessions with this domain that are open already.
    Open(String),
}

#[derive(Default)]
struct Held {
    current: Option<Current>,
    /// The ids of sessions that tunnels cannot be opened in.
    unusable: Vec<String>,
    /// The ids of the sessions that end with the program.
    own: Vec<String>,
    /// A session that is being opened. It goes on when nobody waits for it any longer, so that it can be ended.
    opening: Option<JoinHandle<Result<Created, Error>>>,
}

struct Current {
    id: String,
    expires_at: Timestamp,
    renew_at: Timestamp,
}

impl Current {
    fn new(id: String, expires_at: Timestamp) -> Self {
        let now = Timestamp::now();
        Self { id, expires_at, renew_at: now + now.duration_until(expires_at) / 2 }
    }
}

impl Supply {
    /// Gives the session with this id, and no other.
    pub(crate) fn of_session(client: Client, id: String) -> Self {
        Self { client, source: Source::Named(id), held: Mutex::default() }
    }

    /// Gives sessions with a domain. A wallet opens one that ends with the program; without one, an open one is used.
    ///
    /// # Errors
    /// The path of the wallet cannot be sent to the daemon.
    pub(crate) fn of_domain(client: Client, domain: &str, wallet: Option<&PathBuf>) -> Result<Self> {
        let domain = Domain::new(domain).map_or_else(|| domain.into(), |domain| domain.as_str().to_owned());
        let source = match wallet {
            None => Source::Open(domain),
            Some(wallet) => {
                let wallet = std::path::absolute(wallet).context("cannot make the wallet path absolute")?;
                wallet.to_str().context("the wallet path is not UTF-8")?;
                Source::Own(domain, wallet)
            }
        };
        Ok(Self { client, source, held: Mutex::default() })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The id of the session for the next tunnel.
    ///
    /// # Errors
    /// The daemon does not open one, or has none that is open.
    pub(crate) async fn session(&self) -> Result<String> {
        let mut held = self.held.lock().await;
        if let Some(current) = &held.current {
            return Ok(current.id.clone());
        }
        let id = self.find(&mut held).await?;
        let shown = self.client.ask(&call::show(&id)).await?;
        match shown.authenticated {
            Authenticated::Strong => (),
            Authenticated::Weak => say(&paint(DOUBTFUL, WEAKLY_AUTHENTICATED)),
            Authenticated::No => say(&paint(DOUBTFUL, NO_END)),
        }
        held.current = Some(Current::new(id.clone(), shown.row.expires_at));
        Ok(id)
    }

    async fn find(&self, held: &mut Held) -> Result<String> {
        match &self.source {
            Source::Named(id) => Ok(id.clone()),
            Source::Own(domain, wallet) => {
                let (client, create) = (self.client.clone(), call::create(domain, wallet, KeyChoice::Cached));
                let opening = held.opening.insert(tokio::spawn(async move { client.ask(&create).await }));
                let created = opening.await;
                held.opening = None;
                let id = created??.session_id.as_str().to_owned();
                held.own.push(id.clone());
                Ok(id)
            }
            Source::Open(domain) => {
                let is_usable = |row: &SessionSummary| {
                    row.domain == *domain && !held.unusable.iter().any(|id| id == row.session_id.as_str())
                };
                let sessions = self.client.sessions().await?.sessions.into_iter().filter(is_usable);
                match sessions.max_by_key(|row| row.expires_at) {
                    Some(row) => Ok(row.session_id.as_str().to_owned()),
                    None => bail!(
                        "no usable session with {} is open; name a wallet with --wallet to open one",
                        clean(domain)
                    ),
                }
            }
        }
    }

    /// Gives up a session in which no tunnel opens. Returns whether another can take its place.
    pub(crate) async fn replace(&self, id: &str) -> bool {
        if matches!(self.source, Source::Named(_)) {
            return false;
        }
        let mut held = self.held.lock().await;
        held.current.take_if(|current| current.id == id);
        held.unusable.push(id.to_owned());
        true
    }

    /// Renews the session for as long as the future is polled, unless the user has named it.
    pub(crate) async fn keep(&self) {
        let mut look = interval(LOOK);
        loop {
            look.tick().await;
            self.renew().await;
        }
    }

    async fn renew(&self) {
        let mut held = self.held.lock().await;
        let is_due = |current: &&mut Current| Timestamp::now() >= current.renew_at;
        let Some(current) = held.current.as_mut().filter(is_due) else { return };
        match self.client.ask(&call::renew(&current.id)).await {
            Ok(renewed) if renewed.expires_at > current.expires_at => {
                *current = Current::new(std::mem::take(&mut current.id), renewed.expires_at);
            }
            // It is gone, or has reached its longest lifetime: the next tunnel gets another.
            Ok(_) | Err(Error::SessionGone(_)) => held.current = None,
            // The daemon may respond again before the session expires.
            Err(_) => *current = Current::new(std::mem::take(&mut current.id), current.expires_at),
        }
    }

    /// Ends the sessions that it has opened.
    pub(crate) async fn end(&self) {
        let mut held = self.held.lock().await;
        if let Some(opening) = held.opening.take() {
            say(WAITING);
            if let Ok(Ok(Ok(created))) = timeout(OPENING_LIMIT, opening).await {
                held.own.push(created.session_id.as_str().to_owned());
            }
        }
        for id in std::mem::take(&mut held.own) {
            let end = call::delete(&id, CachedKey::Keep, Receipt::None, OtherEnd::Background);
            match self.client.ask(&end).await {
                // A daemon that has stopped has no sessions.
                Ok(_) | Err(Error::SessionGone(_) | Error::NoDaemon { .. }) => (),
                Err(error) => {
                    let reason = clean(&in_words(&error.into()));
                    say(&format!("{} a session stays open until it expires: {reason}", paint(BAD, "rke:")));
                }
            }
        }
    }
}

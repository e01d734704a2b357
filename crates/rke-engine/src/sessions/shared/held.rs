//! The copies of keys that this machine has, and for how long.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use rke_proto::handshake::{BreakCode, KeyId};
use rke_secret::memory_scan::MemoryScan;
use rke_shared_store::{
    Block, Fetched, Held, Holder, Id, MARGIN, Need, Outage, Search, Searching, StoreError,
};
use tokio::time::{sleep, timeout};

use super::super::search::{Residues, fingerprint};
use super::super::tunnels::Tunnels;
use super::description::Description;
use super::{Shared, store_id};
use crate::model::clock::Moment;
use crate::model::session_id::SessionId;
use crate::model::session_key::SessionKey;
use crate::model::usage::{Usage, UsageLimits};
use crate::store::{Copies, CopyTerms, KeyUse, NewSession, OnExpiry, Standing};

/// How often a copy is asked for before a use has to do with what is there.
const ATTEMPTS: usize = 4;

/// The longest that a request waits for a copy, so that its client has an answer within a second.
const PATIENCE: Duration = Duration::from_millis(900);

/// How long a stop gives back what copies may still encrypt.
const GIVING_BACK: Duration = Duration::from_millis(300);

/// Wipes copies when another machine deletes a session.
pub(super) struct Wiper {
    pub(super) copies: Copies,
    pub(super) tunnels: Arc<Tunnels>,
    pub(super) residues: Arc<Residues>,
}

impl Holder for Wiper {
    fn wipe(&self, id: &Id) {
        let id = SessionId(id.0);
        self.copies.wipe(id);
        self.tunnels.cut(id, BreakCode::Deleted);
    }

    fn wipe_and_search(&self, id: &Id) -> Option<Searching> {
        let copy = self.copies.take(SessionId(id.0));
        let wanted = copy.as_ref().map(|session| fingerprint(&session.key));
        // Before anything can fail.
        drop(copy);
        self.wipe(id);
        let (wanted, residues) = (wanted?.ok()?, Arc::clone(&self.residues));
        Some(Box::pin(async move {
            let MemoryScan { scanned_bytes, hits, .. } = residues.search(wanted).await.ok()?;
            Some(Search { scanned_bytes, hits })
        }))
    }
}

/// Wipes a copy whose hold is over, and gives back what it may still encrypt.
pub(super) fn on_end(
    whose: &Arc<OnceLock<Weak<Shared>>>,
    tunnels: &Arc<Tunnels>,
    limits: UsageLimits,
) -> OnExpiry {
    let (whose, tunnels) = (Arc::clone(whose), Arc::clone(tunnels));
    Box::new(move |id, session, _| {
        let unused = unused(&session, limits);
        drop(session);
        tunnels.cut(id, BreakCode::Other);
        if let Some(shared) = whose.get().and_then(Weak::upgrade) {
            tokio::spawn(async move { shared.store.release(&store_id(id), unused).await });
        }
    })
}

fn unused(session: &NewSession, limits: UsageLimits) -> Block {
    let (messages, bytes) = session.key.usage().left(limits);
    Block { messages, bytes }
}

impl Shared {
    /// Whether a copy is here that can be used for this.
    pub(in super::super) fn holds(&self, id: SessionId, key_use: KeyUse, now: Moment) -> bool {
        match self.copies.standing(id, key_use.encrypts(), now) {
            Standing::Held(until) => until.since(now) > self.hold / MARGIN,
            Standing::Missing | Standing::Short => false,
        }
    }

    /// Makes sure that a copy is here that can be used for this.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) async fn bring(&self, id: SessionId, key_use: KeyUse) -> Result<(), StoreError> {
        if self.holds(id, key_use, Moment::now()) {
            return Ok(());
        }
        // However many wait for the same session, and whatever the store does.
        let bring = async {
            // On a busy machine, the hold of a copy may be over when it arrives.
            for _ in 0..ATTEMPTS {
                self.bring_in_turn(id, key_use).await?;
                if self.holds(id, key_use, Moment::now()) {
                    break;
                }
            }
            Ok(())
        };
        timeout(PATIENCE, bring).await.unwrap_or_else(|_| Err(Outage::Unconfirmed.into()))
    }

    async fn bring_in_turn(&self, id: SessionId, key_use: KeyUse) -> Result<(), StoreError> {
        let place = self.fetches.queue(&id);
        let _turn = place.wait().await;
        let (messages, bytes) = key_use.encrypts();
        let need = Need { messages, bytes };
        match self.copies.standing(id, (messages, bytes), Moment::now()) {
            Standing::Held(_) if self.holds(id, key_use, Moment::now()) => Ok(()),
            // It has what it needs, except for time.
            Standing::Held(_) => self.extend(id, Need::default()).await,
            Standing::Short => self.extend(id, need).await,
            Standing::Missing => self.fetch(id, need).await,
        }
    }

    async fn extend(&self, id: SessionId, need: Need) -> Result<(), StoreError> {
        let extend =
            |held: Held| self.copies.extend(id, terms(&held), (held.block.messages, held.block.bytes));
        self.store.extend(&store_id(id), need, extend).await
    }

    async fn fetch(&self, id: SessionId, need: Need) -> Result<(), StoreError> {
        let earlier = self.store.bring(&store_id(id), need, |fetched| self.install(id, fetched)).await?;
        // A copy whose hold had ended before it was swept.
        if let Some(earlier) = earlier {
            self.store.release(&store_id(id), unused(&earlier, self.usage)).await;
        }
        Ok(())
    }

    fn install(&self, id: SessionId, fetched: Fetched) -> Result<Option<NewSession>, StoreError> {
        let described = Description::decode(fetched.description()).map_err(|_| StoreError::Damaged)?;
        let Description { origin, page, from_cache, id: key_id, lives_until } = described;
        fetched.install(|secret, held| {
            let usage = Usage::all_but(held.block.messages, held.block.bytes, self.usage);
            let key = SessionKey::of_root(secret, KeyId(key_id), lives_until, usage)?;
            let session = NewSession { origin, page, from_cache, key };
            Ok(self.copies.hold(id, session, terms(&held)))
        })?
    }

    /// Keeps a copy here, for what uses it for long. Returns when it cannot be kept.
    pub(in super::super) async fn keep(&self, id: SessionId) {
        loop {
            let kept = self.extend(id, Need::default()).await;
            let is_gone = matches!(kept, Err(StoreError::NotFound | StoreError::OtherKeys));
            if is_gone || self.copies.standing(id, (0, 0), Moment::now()) == Standing::Missing {
                return;
            }
            sleep(self.hold / 3).await;
        }
    }

    /// Takes a copy out, so that its key can be searched for once it is wiped.
    pub(in super::super) async fn take(&self, id: SessionId) -> Result<NewSession, StoreError> {
        loop {
            self.bring(id, KeyUse::Decrypt).await?;
            if let Some(session) = self.copies.take(id) {
                return Ok(session);
            }
        }
    }

    /// Wipes all copies. The sessions live on.
    pub(in super::super) fn wipe_copies(&self) {
        self.store.wipe_holds();
    }

    /// Wipes all copies, because the daemon stops, and gives back what they may still encrypt, as far as there is time.
    pub(in super::super) async fn stop(&self) {
        let unused = |(id, session): (SessionId, NewSession)| (id, unused(&session, self.usage));
        let left: Vec<(SessionId, Block)> = self.copies.take_all().into_iter().map(unused).collect();
        let used = left.into_iter().filter(|(_, block)| *block != Block::default());
        let releases = used.map(|(id, block)| async move { self.store.release(&store_id(id), block).await });
        let _ = tokio::time::timeout(GIVING_BACK, futures_util::future::join_all(releases)).await;
    }
}

fn terms(held: &Held) -> CopyTerms {
    let seconds = |milliseconds: u64| (milliseconds / 1000).try_into().unwrap_or(u32::MAX);
    let until = Moment::since_start(held.until.since_start());
    CopyTerms { until, created_at: seconds(held.created_at), expires_at: seconds(held.expires_at) }
}

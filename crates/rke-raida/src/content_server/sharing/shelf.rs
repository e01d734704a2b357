//! The shared secrets of one kind: their part of the store, and this instance's copies.

use std::sync::Arc;
use std::time::Duration;

use rke_proto::handshake::ID_LEN;
use rke_shared_store::{
    BootTime, Ending as StoreEnding, Fetched, Id, Limits, Need, NewRecord, OnEnded, OpenStoreError, Role,
    SETTLE, Settings, Sharing, Store, StoreError, Warning,
};

use super::copies::{Copies, Due, Standing};
use crate::content_server::reception::MAX_LIFETIME_SECONDS;
use crate::content_server::reception::{About, Ending, ReceptionPolicy, SecretKind, SharedSecret};

/// The longest life of a shared secret.
const LONGEST: Duration = Duration::from_secs(MAX_LIFETIME_SECONDS as u64);

/// The secrets of one kind.
pub(super) struct Shelf {
    pub(super) store: Store,
    pub(super) copies: Arc<Copies>,
}

impl Shelf {
    pub(super) async fn open(
        sharing: &Sharing,
        copies: Copies,
        rules: &ReceptionPolicy,
    ) -> Result<(Self, Vec<Warning>), OpenStoreError> {
        let role = match copies.kind() {
            SecretKind::Key => Role::ContentServer,
            SecretKind::Resumption => Role::Resumptions,
        };
        let limits = Limits {
            max: rules.max_keys as u64,
            ttl: LONGEST,
            max_lifetime: LONGEST,
            idle: None,
            hold: sharing.hold,
            messages: rules.usage.messages,
            bytes: rules.usage.bytes,
        };
        let Sharing { addresses, key_file, .. } = sharing.clone();
        let settings = Settings { addresses, key_file, role, limits, settle: SETTLE };
        let copies = Arc::new(copies);
        let (store, warnings) =
            Store::open(settings, Arc::<Copies>::clone(&copies), on_ended(Arc::clone(&copies))).await?;
        Ok((Self { store, copies }, warnings))
    }

    /// Makes sure that a copy is here that may be used for this.
    pub(super) async fn hold(&self, id: &[u8; ID_LEN], need: Need) -> Result<(), StoreError> {
        match self.copies.standing(id, need) {
            Standing::Held => Ok(()),
            Standing::Short => self.extend(id, need).await,
            Standing::Missing => {
                let install = |fetched: Fetched| {
                    let about = About::decode(fetched.description()).ok_or(StoreError::Damaged)?;
                    let noted = about.clone();
                    let is_known =
                        fetched.install(|secret, held| self.copies.install(*id, secret, about, held))?;
                    is_known.then_some(noted).ok_or(StoreError::Damaged)
                };
                let about = self.store.bring(&Id(*id), need, install).await?;
                self.note_use(id, &about).await;
                Ok(())
            }
        }
    }

    pub(super) async fn extend(&self, id: &[u8; ID_LEN], need: Need) -> Result<(), StoreError> {
        self.store.extend(&Id(*id), need, |held| self.copies.extend(id, held)).await
    }

    /// Extends a hold that is used. If the secret is gone, so are its connections.
    pub(super) async fn renew(&self, Due { id, note_use }: Due) {
        let extended = self.extend(&id, Need::default()).await;
        self.copies.extended(&id);
        if let Err(StoreError::NotFound) = extended {
            self.copies.end(&id, Ending::Deleted);
        }
        let about = self.copies.reception().about(self.copies.kind(), &id);
        if let Some(about) = about.filter(|_| note_use) {
            self.note_use(&id, &about).await;
        }
    }

    /// Gives a secret to the store, and counts it on its owner.
    ///
    /// # Errors
    /// [`StoreError`]; then the store does not have it, or will not for long.
    pub(super) async fn create(&self, shared: &SharedSecret, lifetime: Duration) -> Result<(), StoreError> {
        let SharedSecret { id, secret, about } = shared;
        let description = about.encode();
        let new = NewRecord {
            id: Some(Id(*id)),
            secret,
            domain: &about.domain,
            description: &description,
            farewell: None,
        };
        self.store.create_for(new, lifetime).await?;
        if let Err(error) = self.count(id, about, lifetime).await {
            // Nobody has heard of it yet.
            let _ = self.store.delete(&Id(*id)).await;
            return Err(error);
        }
        Ok(())
    }

    /// Counts a use of a secret that is here. If it fails, the secret is only older than it should be.
    async fn note_use(&self, id: &[u8; ID_LEN], about: &About) {
        if let Some(left) = self.copies.left(id)
            && let Err(error) = self.count(id, about, left).await
        {
            tracing::debug!(%error, "a use of a shared secret was not noted");
        }
    }

    async fn count(&self, id: &[u8; ID_LEN], about: &About, lifetime: Duration) -> Result<(), StoreError> {
        let most = self.copies.reception().most_of(about);
        let gone = self.store.own(&about.owner(), &Id(*id), lifetime, most).await?;
        let mut reception = self.copies.reception();
        for about in gone.iter().filter_map(|gone| About::decode(&gone.rest.as_ref()?.description)) {
            reception.note_evicted(self.copies.kind(), &about);
        }
        Ok(())
    }

    /// Deletes a secret. When this returns without an error, no instance uses it, and its connections are closed on all.
    pub(super) async fn delete(&self, id: &[u8; ID_LEN]) -> Result<(), StoreError> {
        use rke_shared_store::Holder;
        match self.store.delete(&Id(*id)).await {
            Ok(_) | Err(StoreError::NotFound) => (),
            Err(error) => return Err(error),
        }
        self.copies.stopped().await;
        Ok(())
    }

    /// Wipes the copies whose holds are over, and extends those in use.
    pub(super) fn tend(self: &Arc<Self>, margin: Duration) {
        for over in self.copies.wipe_over() {
            let shelf = Arc::clone(self);
            tokio::spawn(async move { shelf.store.release(&Id(over.id), over.unused).await });
        }
        for due in self.copies.due(margin) {
            let shelf = Arc::clone(self);
            tokio::spawn(async move { shelf.renew(due).await });
        }
    }

    /// How long it is until the next hold is over.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.copies.next_end().map(|end| end.since(BootTime::now()))
    }
}

/// Reports what has expired, on the instance that has removed it.
fn on_ended(copies: Arc<Copies>) -> OnEnded {
    Box::new(move |_, ending, rest| {
        if ending == StoreEnding::Removed
            && copies.kind() == SecretKind::Key
            && let Some(about) = About::decode(&rest.description)
        {
            copies.reception().note_expired(&about);
        }
    })
}

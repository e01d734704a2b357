//! Copies of secrets that several instances share, and what goes to the store instead of being kept here.

use std::sync::Arc;

use rke_host::session_keys::HeldSession;
use rke_host::usage::UsageLimits;
use rke_proto::coin::CoinId;
use rke_proto::handshake::{ForgetProof, ForgetToken, ID_LEN, KeyId, Reason, ResumptionId, SessionSecrets};
use rke_proto::{Bitmap, ContentServerId, Form, RaidaIndex};
use rke_secret::{Secret, SecretError};
use serde::{Deserialize, Serialize};

use super::counters::Evicted;
use super::ending::{Closing, Ending};
use super::forget::proof_of;
use super::limits::Place;
use super::uses::UseGrant;
use super::{Holder, How, Kept, NewSession, Origin, Owner, Pending, Reception, Uses, owner};
use crate::audit::ServerEvent;

/// Which of a session's two secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::content_server) enum SecretKind {
    Key,
    Resumption,
}

/// What is sealed with a shared secret: what an end knows about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::content_server) struct About {
    /// In hexadecimal: what has ended is reported without the id.
    id: String,
    cs_id: String,
    pub(in crate::content_server) domain: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    coin: Option<String>,
    form: String,
    raidas: Vec<u8>,
    /// In Unix seconds.
    since: u64,
    is_resumed: bool,
}

/// A secret for the store, and what is known about it.
pub(in crate::content_server) struct SharedSecret {
    pub(in crate::content_server) id: [u8; ID_LEN],
    pub(in crate::content_server) secret: Secret<32>,
    pub(in crate::content_server) about: About,
}

/// What a client's first record has opened.
pub(in crate::content_server) struct Agreed {
    pub(in crate::content_server) key: SharedSecret,
    /// What opens later sessions, after an exchange.
    pub(in crate::content_server) resumption: Option<SharedSecret>,
    /// The resumption that has opened this session.
    pub(in crate::content_server) resumed: Option<[u8; ID_LEN]>,
    /// In Unix seconds.
    pub(in crate::content_server) expires_at: u64,
}

impl About {
    fn of(id: [u8; ID_LEN], origin: &Origin, since: u64, is_resumed: bool) -> Self {
        Self {
            id: hex::encode(id),
            cs_id: origin.cs_id.to_string(),
            domain: origin.domain.clone(),
            coin: origin.coin.map(|coin| coin.to_string()),
            form: origin.form.name().into(),
            raidas: origin.raidas.iter().map(RaidaIndex::get).collect(),
            since,
            is_resumed,
        }
    }

    /// As it is sealed. Text and numbers always have a JSON form.
    pub(in crate::content_server) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` if it is not one of this version.
    pub(in crate::content_server) fn decode(sealed: &[u8]) -> Option<Self> {
        serde_json::from_slice(sealed).ok()
    }

    pub(in crate::content_server) fn id(&self) -> Option<[u8; ID_LEN]> {
        hex::decode(&self.id).ok()?.try_into().ok()
    }

    /// The account that it counts on, as the store's owners are named.
    pub(in crate::content_server) fn owner(&self) -> String {
        self.coin.as_ref().map_or_else(|| UNPROVEN.into(), |coin| owner_of(coin))
    }

    /// Whether a coin is proven.
    pub(in crate::content_server) fn is_proven(&self) -> bool {
        self.coin.is_some()
    }

    fn origin(&self) -> Option<Origin> {
        let mut raidas = Bitmap::default();
        for raida in &self.raidas {
            raidas.insert(RaidaIndex::new(*raida)?);
        }
        Some(Origin {
            cs_id: ContentServerId::new(&self.cs_id)?,
            domain: self.domain.clone(),
            coin: self.coin.as_deref().map(str::parse::<CoinId>).transpose().ok()?,
            form: Form::of_name(&self.form)?,
            raidas,
        })
    }

    /// The session of this key, as applications see it.
    pub(in crate::content_server) fn session(&self, expires_at: u64) -> Option<HeldSession> {
        let Origin { cs_id, domain, coin, form, raidas } = self.origin()?;
        let (key_id, is_resumed, since) = (KeyId(self.id()?), self.is_resumed, self.since);
        let (encrypt_count, decrypt_count) = (0, 0);
        Some(HeldSession {
            key_id,
            domain,
            cs_id,
            form,
            raidas,
            is_resumed,
            coin,
            since,
            expires_at,
            encrypt_count,
            decrypt_count,
        })
    }
}

/// By how many seconds the clocks of instances may differ, for packets to be remembered long enough.
const CLOCKS_DIFFER: u64 = 60;

/// The account of everything that proves no coin.
const UNPROVEN: &str = "unproven";

fn owner_of(coin: &str) -> String {
    format!("coin {coin}")
}

impl Pending {
    /// The hash of its first packet, the accounts that it counts on, and how many seconds it has to be remembered from `now`, also by instances
    /// whose clocks differ.
    pub(in crate::content_server) fn packet(&self, now: u64) -> ([u8; 32], Vec<String>, u64) {
        let account = |holder: &Holder| match holder {
            Holder::Owner(Owner::Coin(coin)) => owner_of(&coin.to_string()),
            Holder::Owner(Owner::Unproven) => UNPROVEN.into(),
            Holder::Resumption(id) => format!("resumption {id}"),
            Holder::Key(id) => format!("key {id}"),
        };
        let seconds = self.memory.until.saturating_sub(now).saturating_add(CLOCKS_DIFFER).max(1);
        (self.memory.hash, self.memory.holders.iter().map(account).collect(), seconds)
    }
}

impl NewSession {
    /// What the store keeps of it, at `now` in Unix seconds.
    pub(in crate::content_server) fn agreed(self, now: u64) -> Agreed {
        let Self { secrets, origin, expires_at, how } = self;
        let SessionSecrets { key, resumption, key_id } = secrets;
        let shared = |id, secret, is_resumed| {
            let about = About::of(id, &origin, now, is_resumed);
            SharedSecret { id, secret, about }
        };
        match how {
            How::Exchange(id) => Agreed {
                key: shared(key_id.0, key, false),
                resumption: Some(shared(id.0, resumption, false)),
                resumed: None,
                expires_at,
            },
            How::Resumption(id) => {
                Agreed { key: shared(key_id.0, key, true), resumption: None, resumed: Some(id.0), expires_at }
            }
        }
    }
}

impl Reception {
    fn copy(&self, kind: SecretKind, id: &[u8; ID_LEN]) -> Option<&Place<Kept>> {
        match kind {
            SecretKind::Key => self.known.keys.get(&KeyId(*id)),
            SecretKind::Resumption => self.known.resumptions.get(&ResumptionId(*id)),
        }
    }

    fn grant_of(&mut self, id: &[u8; ID_LEN]) -> Option<&mut UseGrant> {
        self.known.keys.get_mut(&KeyId(*id))?.uses.grant.as_deref_mut()
    }

    /// Puts a copy here, until `expires_at` in Unix seconds, unless there is one. `false` if it is not one of this version.
    pub(in crate::content_server) fn hold(
        &mut self,
        kind: SecretKind,
        shared: SharedSecret,
        expires_at: u64,
    ) -> bool {
        let SharedSecret { id, secret, about } = shared;
        if self.copy(kind, &id).is_some() {
            return true;
        }
        let Some(origin) = about.origin().map(Arc::new) else { return false };
        let owner = owner(origin.coin);
        let mut uses = Uses::since(about.since, about.is_resumed);
        let limits = UsageLimits { messages: 0, bytes: 0 };
        uses.grant = Some(Box::new(UseGrant { limits, is_all: false, streams: Arc::default() }));
        let kept = Kept::new(secret, origin, uses);
        match kind {
            SecretKind::Key => drop(self.known.keys.insert(KeyId(id), kept, owner, expires_at)),
            SecretKind::Resumption => {
                drop(self.known.resumptions.insert(ResumptionId(id), kept, owner, expires_at));
            }
        }
        true
    }

    /// Lets a copy of a key encrypt this much more.
    pub(in crate::content_server) fn grant(&mut self, id: &[u8; ID_LEN], messages: u64, bytes: u64) {
        if let Some(grant) = self.grant_of(id) {
            grant.limits.messages = grant.limits.messages.saturating_add(messages);
            grant.limits.bytes = grant.limits.bytes.saturating_add(bytes);
            grant.is_all = false;
        }
    }

    /// Notes that the store has no more to grant.
    pub(in crate::content_server) fn grant_nothing(&mut self, id: &[u8; ID_LEN]) {
        if let Some(grant) = self.grant_of(id) {
            grant.is_all = true;
        }
    }

    /// How much the copy of a key may still encrypt: messages and bytes. `None` if there is no copy.
    pub(in crate::content_server) fn granted(
        &self,
        kind: SecretKind,
        id: &[u8; ID_LEN],
    ) -> Option<(u64, u64)> {
        let uses = &self.copy(kind, id)?.value.uses;
        let (messages, bytes) = uses.usage.so_far();
        let limits = uses.grant.as_ref()?.limits;
        Some((limits.messages.saturating_sub(messages), limits.bytes.saturating_sub(bytes)))
    }

    /// Whether connections, handshakes or streams use a copy.
    pub(in crate::content_server) fn is_in_use(&self, kind: SecretKind, id: &[u8; ID_LEN]) -> bool {
        self.copy(kind, id).is_some_and(|place| {
            let streams =
                place.value.uses.grant.as_ref().is_some_and(|grant| Arc::strong_count(&grant.streams) > 1);
            streams || place.value.notifier.is_watched()
        })
    }

    /// Marks a copy of a key as used by a stream, for as long as the value lives.
    pub(in crate::content_server) fn stream(&mut self, id: &[u8; ID_LEN]) -> Option<Arc<()>> {
        self.grant_of(id).map(|grant| Arc::clone(&grant.streams))
    }

    /// What is known about a copy.
    pub(in crate::content_server) fn about(&self, kind: SecretKind, id: &[u8; ID_LEN]) -> Option<About> {
        let Kept { origin, uses, .. } = &self.copy(kind, id)?.value;
        let (since, is_resumed) = uses.origin();
        Some(About::of(*id, origin, since, is_resumed))
    }

    /// Wipes a copy, and notifies its connections. When this returns, its bytes are zero.
    pub(in crate::content_server) fn wipe(
        &mut self,
        kind: SecretKind,
        id: &[u8; ID_LEN],
        ending: Ending,
    ) -> Option<Closing> {
        let place = match kind {
            SecretKind::Key => self.known.keys.take(&KeyId(*id)),
            SecretKind::Resumption => self.known.resumptions.take(&ResumptionId(*id)),
        };
        let Kept { secret, notifier, .. } = place?.value;
        drop(secret);
        Some(notifier.end(ending))
    }

    /// The proof that forgetting a secret returns, if the token is right. `None` if there is no copy.
    pub(in crate::content_server) fn proof(
        &self,
        kind: SecretKind,
        id: &[u8; ID_LEN],
        token: &ForgetToken,
    ) -> Option<Result<ForgetProof, Reason>> {
        proof_of(self.copy(kind, id), token)
    }

    /// How many secrets of this owner the store may have.
    pub(in crate::content_server) fn most_of(&self, about: &About) -> u64 {
        let rules = &self.known.rules;
        let most = if about.is_proven() { rules.keys_per_coin } else { rules.unproven_keys };
        most as u64
    }

    /// The rules.
    pub(in crate::content_server) fn rules(&self) -> &super::ReceptionPolicy {
        &self.known.rules
    }

    /// Records that a shared session is open.
    pub(in crate::content_server) fn note_opened(&self, about: &About) {
        let (domain, coin) = (about.domain.clone(), about.coin.clone());
        self.record(about, ServerEvent::SessionOpened { domain, resumed: about.is_resumed, coin });
    }

    /// Records that a client has deleted a shared secret.
    pub(in crate::content_server) fn note_forgotten(&mut self, kind: SecretKind, about: &About) {
        self.counters.forgotten += 1;
        tracing::info!(id = about.id, "wiped a key or a resumption because the client asked for it");
        let domain = about.domain.clone();
        self.record(
            about,
            match kind {
                SecretKind::Key => ServerEvent::SessionForgotten { domain },
                SecretKind::Resumption => ServerEvent::ResumptionForgotten { domain },
            },
        );
    }

    /// Records that a shared secret made room for another of its owner.
    pub(in crate::content_server) fn note_evicted(&mut self, kind: SecretKind, about: &About) {
        let (id, whose, domain) = (&about.id, about.owner(), about.domain.clone());
        let (evicted, event) = match kind {
            SecretKind::Key => (Evicted::Key, ServerEvent::SessionEvicted { domain }),
            SecretKind::Resumption => (Evicted::Resumption, ServerEvent::ResumptionEvicted { domain }),
        };
        self.counters.evictions.add(evicted);
        tracing::info!(id, whose, "a shared secret made room for another; it had been unused for longest");
        self.record(about, event);
    }

    /// Records that a shared session has expired.
    pub(in crate::content_server) fn note_expired(&self, about: &About) {
        self.record(about, ServerEvent::SessionExpired { domain: about.domain.clone() });
    }

    fn record(&self, about: &About, event: ServerEvent) {
        if let Some(id) = about.id() {
            self.audit.record_of(id, event);
        }
    }
}

/// For a proof that instances share: the token that asks for it, and the proof.
pub(in crate::content_server) fn pack_proof(
    token: &ForgetToken,
    proof: &ForgetProof,
) -> Result<Secret<32>, SecretError> {
    Secret::fill(|packed| {
        packed[..ID_LEN].copy_from_slice(&token.0);
        packed[ID_LEN..].copy_from_slice(&proof.0);
    })
}

/// The proof, if the token is right.
pub(in crate::content_server) fn unpack_proof(
    packed: &Secret<32>,
    token: &ForgetToken,
) -> Option<ForgetProof> {
    packed.expose(|packed| {
        let (mut own, mut proof) = ([0; ID_LEN], [0; ID_LEN]);
        own.copy_from_slice(&packed[..ID_LEN]);
        proof.copy_from_slice(&packed[ID_LEN..]);
        ForgetToken(own).matches(token).then_some(ForgetProof(proof))
    })
}

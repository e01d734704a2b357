//! Noise handshakes: which psk a prologue refers to, what message 1 must contain, and what the client's first record
//! opens. `docs/protocol.md` section 7.

use std::sync::Arc;

use rke_proto::Form;
use rke_proto::coin::CoinId;
use rke_proto::handshake::kem::EncapsulationSeeds;
use rke_proto::handshake::keys::attach_psk;
use rke_proto::handshake::{
    Accepted, ExchangePrologue, Grant, HandshakeError, KeyId, MessageOne, Prologue, Reason, Responder,
    ResumptionId, SessionSecrets, psk,
};
use rke_secret::SecretError;
use sha2::{Digest, Sha256};

use super::ending::{EndWatcher, Ending};
use super::limits::{Owner, Place};
use super::{
    Client, Fresh, Holder, How, Kept, Known, NewSession, Opens, Origin, Outcome, PacketMemory, Pending,
    REMEMBERED_SECONDS, Reception, ReceptionPolicy, Uses, no_memory, owner, shares_of,
};
use crate::audit::ServerEvent;
use crate::content_server::ServedKeySet;

/// The source of a handshake's psk.
enum Basis<'a> {
    Exchange { set: &'a ServedKeySet, exchange: &'a ExchangePrologue },
    Resumption(ResumptionId, &'a Place<Kept>),
    Key(KeyId, &'a Place<Kept>),
}

/// What an accepted handshake grants.
struct Terms {
    grant: Grant,
    watcher: Option<EndWatcher>,
    opens: Purpose,
}

enum Purpose {
    Session { origin: Arc<Origin>, expires_at: u64, how: How },
    Tunnel(KeyId),
}

impl Reception {
    pub(super) fn shake_hands(
        &mut self,
        prologue: &Prologue,
        raw: &[u8],
        message: &[u8],
        now: u64,
        fresh: &Fresh,
    ) -> Result<Outcome, Reason> {
        let basis = self.known.basis(prologue, now)?;
        let hash: [u8; 32] = Sha256::new().chain_update(raw).chain_update(message).finalize().into();
        // A remembered packet was good, so this refusal may come first. It costs no key exchange.
        if self.replays.look_up(&hash, now).is_some() {
            return Err(Reason::Replayed);
        }
        let received = basis.receive(raw, message, &fresh.seeds);
        let (responder, MessageOne { domain }) = received.map_err(|error| basis.refusal(error))?;
        let domain = basis.domain(domain, &self.known.rules)?;
        let until = basis.remembered_until(now, &self.known.rules);
        let holders = basis.holders(&self.known.rules);
        self.replays.remember(hash, &holders, (), (now, until)).map_err(|_| Reason::Busy)?;
        let terms = basis.terms(domain, now, &self.known.rules, fresh);
        accept(responder, terms, PacketMemory { hash, holders, until }).map_err(no_memory)
    }

    /// Keeps a session whose client has proved that it has the key, at `now` in Unix seconds.
    ///
    /// # Errors
    /// Why the resumption that opened it was removed in the meantime, or that its own lifetime is over.
    pub fn establish(&mut self, new: NewSession, now: u64) -> Result<KeyId, Ending> {
        self.sweep(now);
        let NewSession { secrets, origin, expires_at, how } = new;
        let SessionSecrets { key, resumption, key_id } = secrets;
        if expires_at <= now {
            return Err(Ending::Expired);
        }
        let resumed = matches!(how, How::Resumption(_));
        let uses = Uses::since(now, resumed);
        match how {
            How::Exchange(id) => {
                let kept = Kept::new(resumption, Arc::clone(&origin), Uses::default());
                let gone = self.known.resumptions.insert(id, kept, owner(origin.coin), expires_at);
                self.evict_resumptions(gone);
            }
            How::Resumption(id) => {
                drop(resumption);
                self.known.resumptions.get(&id).ok_or(Ending::Deleted)?;
                self.known.resumptions.touch(&id);
            }
        }
        let owner = owner(origin.coin);
        let (domain, coin) = (origin.domain.clone(), origin.coin.map(|coin| coin.to_string()));
        let gone = self.known.keys.insert(key_id, Kept::new(key, origin, uses), owner, expires_at);
        self.audit.record_of(key_id.0, ServerEvent::SessionOpened { domain, resumed, coin });
        self.evict_keys(gone);
        tracing::debug!(%key_id, "a session is open");
        Ok(key_id)
    }

    /// Identifies the client that attaches to a session, once its first record has opened, at `now` in Unix seconds.
    ///
    /// # Errors
    /// Why the key was removed in the meantime.
    pub fn attach(&mut self, key_id: KeyId, watcher: &EndWatcher, now: u64) -> Result<Client, Ending> {
        self.sweep(now);
        let gone = || watcher.ending().unwrap_or(Ending::Deleted);
        let place = self.known.keys.get(&key_id).ok_or_else(gone)?;
        let Origin { domain, coin, .. } = &*place.value.origin;
        let client = Client { key_id, domain: domain.clone(), coin: *coin };
        self.known.keys.touch(&key_id);
        Ok(client)
    }
}

impl Known {
    /// Looks up what a prologue refers to, with the refusals that need no psk, in their order.
    fn basis<'a>(&'a self, prologue: &'a Prologue, now: u64) -> Result<Basis<'a>, Reason> {
        match prologue {
            Prologue::Exchange(exchange) => {
                let set = self.key_set(&exchange.context, now)?;
                match exchange.raidas().count() < self.rules.required {
                    true => Err(Reason::WrongShares),
                    false => Ok(Basis::Exchange { set, exchange }),
                }
            }
            Prologue::Resume { cs_id, id } => {
                let kept = self.resumptions.get(id).filter(|kept| kept.value.origin.cs_id == *cs_id);
                Ok(Basis::Resumption(*id, kept.ok_or(Reason::NoSuchKey)?))
            }
            Prologue::Attach { cs_id, id } => {
                let kept = self.keys.get(id).filter(|kept| kept.value.origin.cs_id == *cs_id);
                Ok(Basis::Key(*id, kept.ok_or(Reason::NoSuchKey)?))
            }
        }
    }
}

impl Basis<'_> {
    fn receive(
        &self,
        raw: &[u8],
        message: &[u8],
        seeds: &EncapsulationSeeds,
    ) -> Result<(Responder, MessageOne), HandshakeError> {
        match self {
            Self::Exchange { set, exchange } => {
                let shares = shares_of(set, exchange)?;
                let psk =
                    psk::from_shares(shares.iter().map(|(_, share)| share), set.form.share_width(), raw)?;
                drop(shares);
                Responder::receive(raw, &psk, message, seeds)
            }
            Self::Resumption(_, kept) => Responder::receive(raw, &kept.value.secret, message, seeds),
            Self::Key(_, kept) => {
                let psk = attach_psk(&kept.value.secret)?;
                Responder::receive(raw, &psk, message, seeds)
            }
        }
    }

    fn refusal(&self, error: HandshakeError) -> Reason {
        match (error, self) {
            (HandshakeError::Secret(error), _) => no_memory(error),
            (_, Self::Exchange { .. }) => Reason::WrongShares,
            (_, Self::Resumption(..) | Self::Key(..)) => Reason::NoSuchKey,
        }
    }

    /// The domain in message 1, if this handshake permits it.
    fn domain(&self, domain: Option<String>, rules: &ReceptionPolicy) -> Result<String, Reason> {
        match self {
            Self::Exchange { .. } => domain.filter(|domain| rules.serve(domain)).ok_or(Reason::AnotherDomain),
            Self::Resumption(_, kept) | Self::Key(_, kept) => {
                domain.filter(|domain| *domain == kept.value.origin.domain).ok_or(Reason::NoSuchKey)
            }
        }
    }

    /// The coins that the handshake proves. Narrow shares prove none.
    fn proven_coins(set: &ServedKeySet, exchange: &ExchangePrologue, rules: &ReceptionPolicy) -> Vec<CoinId> {
        match set.form {
            Form::Wide => exchange.proven_coins(rules.required),
            Form::Live | Form::Handshake3Narrow => Vec::new(),
        }
    }

    /// The accounts that the packet counts on: all of its coins, so that more keys give no client more room.
    fn holders(&self, rules: &ReceptionPolicy) -> Vec<Holder> {
        match self {
            Self::Exchange { set, exchange } => match Self::proven_coins(set, exchange, rules).as_slice() {
                [] => vec![Holder::Owner(Owner::Unproven)],
                coins => coins.iter().map(|coin| Holder::Owner(Owner::Coin(*coin))).collect(),
            },
            Self::Resumption(id, kept) => vec![Holder::Owner(kept.owner), Holder::Resumption(*id)],
            Self::Key(id, kept) => vec![Holder::Owner(kept.owner), Holder::Key(*id)],
        }
    }

    /// When the packet can be forgotten, in Unix seconds: a packet of kind 1 is stale from then on.
    fn remembered_until(&self, now: u64, rules: &ReceptionPolicy) -> u64 {
        match self {
            Self::Exchange { exchange, .. } => {
                exchange.context.timestamp.saturating_add(rules.skew_seconds).saturating_add(1)
            }
            Self::Resumption(..) | Self::Key(..) => now.saturating_add(REMEMBERED_SECONDS),
        }
    }

    fn terms(self, domain: String, now: u64, rules: &ReceptionPolicy, fresh: &Fresh) -> Terms {
        match self {
            Self::Exchange { set, exchange } => {
                let (id, lifetime) = (fresh.resumption, rules.lifetime());
                let coin = Self::proven_coins(set, exchange, rules).first().copied();
                let (form, raidas) = (set.form, exchange.raidas());
                let origin = Arc::new(Origin { cs_id: exchange.context.cs_id, domain, coin, form, raidas });
                let expires_at = now.saturating_add(lifetime.into());
                Terms {
                    grant: Grant { resumption: Some(id), lifetime },
                    watcher: None,
                    opens: Purpose::Session { origin, expires_at, how: How::Exchange(id) },
                }
            }
            // No further resumption: this one opens as many sessions as its lifetime permits, and no chain outlives
            // the exchange.
            Self::Resumption(id, kept) => Terms {
                grant: Grant { resumption: None, lifetime: remaining_seconds(kept, now) },
                watcher: Some(kept.value.notifier.subscribe()),
                opens: Purpose::Session {
                    origin: Arc::clone(&kept.value.origin),
                    expires_at: kept.expires_at,
                    how: How::Resumption(id),
                },
            },
            Self::Key(id, kept) => Terms {
                grant: Grant { resumption: None, lifetime: remaining_seconds(kept, now) },
                watcher: Some(kept.value.notifier.subscribe()),
                opens: Purpose::Tunnel(id),
            },
        }
    }
}

/// Seconds until it expires.
fn remaining_seconds(kept: &Place<Kept>, now: u64) -> u32 {
    kept.expires_at.saturating_sub(now).try_into().unwrap_or(u32::MAX)
}

fn accept(responder: Responder, terms: Terms, memory: PacketMemory) -> Result<Outcome, SecretError> {
    let Terms { grant, watcher, opens } = terms;
    // After kind 5 the secrets have no further use and are wiped here.
    let (response, Accepted { secrets, transport, .. }) = responder.accept(grant)?;
    let opens = match opens {
        Purpose::Session { origin, expires_at, how } => {
            Opens::Session(NewSession { secrets, origin, expires_at, how })
        }
        Purpose::Tunnel(key_id) => Opens::Tunnel(key_id),
    };
    Ok(Outcome::Accepted(Box::new(Pending { response, transport, watcher, opens, memory })))
}

//! The Content Server's side of section 7 against the client's side, both as values.

mod forgetting;
mod handshakes;
mod keeping;
mod narrow;
mod refusals;
mod uses;

use rke_proto::coin::Group;
use std::sync::Arc;

use rke_proto::coin::{CoinId, CoinPair};
use rke_proto::handshake::kem::EphemeralKey;
use rke_proto::handshake::keys::{attach_psk, forget_proof, forget_token};
use rke_proto::handshake::packet::Forget;
use rke_proto::handshake::{
    Accepted, ExchangePrologue, Initiator, KeyId, Prologue, Reason, Response, ResumptionId, psk,
};
use rke_proto::{Bitmap, ClientSn, ContentServerId, KeyContext, KeySetId, RaidaIndex};
use rke_secret::Secret;

use super::super::MasterSecrets;
use super::*;

const NOW: u64 = 1_785_312_000;
const DOMAIN: &str = "content.example";
const COIN: CoinId = CoinId { denomination: 0, serial: 42 };
const OTHER: CoinId = CoinId { denomination: 1, serial: 43 };

fn cs_id(text: &str) -> ContentServerId {
    ContentServerId::new(text).expect("an ID")
}

fn key_set(number: u8) -> KeySetId {
    KeySetId::new(number).expect("a key set")
}

fn set(raidas: impl IntoIterator<Item = u8>) -> Bitmap {
    raidas.into_iter().map(|raida| RaidaIndex::new(raida).expect("a RAIDA")).collect()
}

fn pair(first: CoinId, second: Option<CoinId>) -> CoinPair {
    CoinPair { first, second }
}

/// The context of the n-th exchange.
fn context(nth: u32) -> KeyContext {
    let [a, b, c, d] = nth.to_be_bytes();
    KeyContext {
        cs_id: cs_id("CONTENT"),
        key_set: key_set(1),
        client_sn: ClientSn([0, a, b, c, d]),
        timestamp: NOW,
    }
}

fn exchange_with(context: KeyContext, groups: &[(Bitmap, CoinPair)]) -> ExchangePrologue {
    let groups = groups.iter().map(|(raidas, coins)| Group { raidas: *raidas, coins: *coins });
    ExchangePrologue::new(context, groups.collect()).expect("disjoint groups")
}

/// The n-th exchange, with one coin at 17 RAIDAs.
fn exchange_of(nth: u32, coin: CoinId) -> ExchangePrologue {
    exchange_with(context(nth), &[(set(0..17), pair(coin, None))])
}

fn exchange(nth: u32) -> ExchangePrologue {
    exchange_of(nth, COIN)
}

/// A reception that serves key set 1 of `CONTENT`, and its master secrets.
struct Stage {
    reception: Reception,
    served: ServedKeySet,
}

/// A session at the client.
struct Session {
    accepted: Accepted,
    coin_domain: &'static str,
}

impl Session {
    fn key_id(&self) -> KeyId {
        self.accepted.secrets.key_id
    }

    fn resumption(&self) -> ResumptionId {
        self.accepted.grant.resumption.expect("a resumption")
    }

    fn forget_key(&self) -> Forget {
        Forget { id: self.key_id().0, token: self.accepted.secrets.key.expose(forget_token) }
    }

    fn forget_resumption(&self) -> Forget {
        Forget { id: self.resumption().0, token: self.accepted.secrets.resumption.expose(forget_token) }
    }
}

fn stage_with(rules: ReceptionPolicy) -> Stage {
    let secrets = Arc::new(MasterSecrets::random(cs_id("CONTENT"), key_set(1)).expect("secret memory"));
    let served = ServedKeySet { secrets, form: Form::Wide, retires_at: None };
    Stage { reception: Reception::new(rules, vec![served.clone()]), served }
}

fn stage() -> Stage {
    stage_with(ReceptionPolicy::default())
}

/// A whole first packet from what a psk is for.
fn packet_of(prologue: &Prologue, psk: &Secret<32>, domain: &str) -> (Initiator, Vec<u8>) {
    let key = EphemeralKey::random().expect("secret memory");
    Initiator::begin(prologue, psk, key, domain).expect("secret memory")
}

impl Stage {
    /// The first packet of an exchange by a client with these shares.
    fn exchange(&self, exchange: &ExchangePrologue, domain: &str) -> (Initiator, Vec<u8>) {
        let shares = shares_of(&self.served, exchange).expect("secret memory");
        let shares = shares.iter().map(|(_, share)| share);
        let psk = psk::from_shares(shares, self.served.form.share_width(), &exchange.to_bytes())
            .expect("secret memory");
        packet_of(&Prologue::Exchange(exchange.clone()), &psk, domain)
    }

    fn resume(session: &Session, domain: &str) -> (Initiator, Vec<u8>) {
        let prologue = Prologue::Resume { cs_id: cs_id("CONTENT"), id: session.resumption() };
        packet_of(&prologue, &session.accepted.secrets.resumption, domain)
    }

    fn attach(session: &Session, domain: &str) -> (Initiator, Vec<u8>) {
        let psk = attach_psk(&session.accepted.secrets.key).expect("secret memory");
        packet_of(&Prologue::Attach { cs_id: cs_id("CONTENT"), id: session.key_id() }, &psk, domain)
    }

    fn receive_at(&mut self, packet: &[u8], now: u64) -> Outcome {
        let fresh = Fresh::random().expect("randomness");
        self.reception.receive(packet, now, &fresh).expect("a packet of a good form")
    }

    fn receive(&mut self, packet: &[u8]) -> Outcome {
        self.receive_at(packet, NOW)
    }

    /// The reason of a refusal. `None` where there was none.
    fn refusal_at(&mut self, packet: &[u8], now: u64) -> Option<Reason> {
        match self.receive_at(packet, now) {
            Outcome::Respond(Response::Refused(reason)) => Some(reason),
            _ => None,
        }
    }

    fn refusal(&mut self, packet: &[u8]) -> Option<Reason> {
        self.refusal_at(packet, NOW)
    }

    /// A handshake up to the client's first record, which has not come.
    fn pending_at(&mut self, (initiator, packet): (Initiator, Vec<u8>), now: u64) -> (Accepted, Pending) {
        let Outcome::Accepted(pending) = self.receive_at(&packet, now) else { panic!("not accepted") };
        let Response::Accepted(message) = &pending.response else { panic!("not accepted") };
        (initiator.receive(message).expect("the server has the psk"), *pending)
    }

    /// A whole handshake of kind 1 or 2.
    fn open_at(&mut self, begun: (Initiator, Vec<u8>), now: u64) -> Session {
        let (accepted, pending) = self.pending_at(begun, now);
        let Opens::Session(new) = pending.opens else { panic!("not a session") };
        let key_id = self.reception.establish(new, now).expect("established");
        assert_eq!(key_id, accepted.secrets.key_id);
        Session { accepted, coin_domain: DOMAIN }
    }

    fn open(&mut self, exchange: &ExchangePrologue) -> Session {
        let begun = self.exchange(exchange, DOMAIN);
        self.open_at(begun, NOW)
    }

    /// Attaches with the first record, at a time.
    fn attached_at(&mut self, session: &Session, now: u64) -> Option<(Client, EndWatcher)> {
        let (_, packet) = Self::attach(session, session.coin_domain);
        let Outcome::Accepted(pending) = self.receive_at(&packet, now) else { return None };
        let Opens::Tunnel(key_id) = pending.opens else { panic!("not a tunnel") };
        let watcher = pending.watcher.expect("a watcher");
        Some((self.reception.attach(key_id, &watcher, now).ok()?, watcher))
    }

    fn attached(&mut self, session: &Session) -> Option<(Client, EndWatcher)> {
        self.attached_at(session, NOW)
    }

    /// The proof in the response to a forget, and whether all connections are closed.
    fn forgotten_at(&mut self, forget: &Forget, now: u64) -> Option<([u8; 16], Closing)> {
        match self.receive_at(&forget.to_bytes(), now) {
            Outcome::Forgotten(Response::Forgotten { id, proof }, closing) => {
                assert_eq!(id, forget.id);
                Some((proof.0, closing))
            }
            _ => None,
        }
    }
}

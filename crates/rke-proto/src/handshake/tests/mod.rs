//! The handshake under test: against known answers, against another implementation, and against what a peer may send.

mod agreements;
mod forms;
mod memory_scan;
mod peer;
mod records;
mod stacks;
mod symmetric_state;
mod vectors;

use rke_secret::Secret;
use sha2::{Digest, Sha256};

use super::kem::EncapsulationSeeds;
use super::prologue::{ExchangePrologue, Prologue};
use super::{
    Accepted, EphemeralKey, FirstPacket, Grant, Initiator, Responder, Response, ResumptionId, SEED_LEN, psk,
};
use crate::coin::Group;
use crate::coin::{CoinId, CoinPair};
use crate::derive::ShareWidth;
use crate::{Bitmap, ClientSn, ContentServerId, KeyContext, KeySetId, RaidaIndex};

const COIN_1: CoinId = CoinId { denomination: 0, serial: 42 };
const COIN_2: CoinId = CoinId { denomination: 0, serial: 43 };
const DOMAIN: &str = "content.example.com";

fn raida(index: u8) -> RaidaIndex {
    RaidaIndex::new(index).expect("a RAIDA")
}

fn bitmap(indices: impl IntoIterator<Item = u8>) -> Bitmap {
    indices.into_iter().map(raida).collect()
}

fn secret(bytes: [u8; 32]) -> Secret<32> {
    Secret::fill(|secret| *secret = bytes).expect("secret memory")
}

fn counting_from(first: u8) -> Secret<32> {
    secret(std::array::from_fn(|at| first + at as u8))
}

fn context() -> KeyContext {
    KeyContext {
        cs_id: ContentServerId::new("CONTENT-SERVER01").expect("an ID"),
        key_set: KeySetId::new(1).expect("a key set"),
        client_sn: ClientSn([0, 0, 0, 0, 42]),
        timestamp: 1_785_312_000,
    }
}

/// The exchange of the vectors: two coins with the even RAIDAs up to 10, one with those from 12 on.
fn exchange() -> ExchangePrologue {
    let two = CoinPair { first: COIN_1, second: Some(COIN_2) };
    let one = CoinPair { first: COIN_1, second: None };
    let groups = vec![
        Group { raidas: bitmap((0..=10).step_by(2)), coins: two },
        Group { raidas: bitmap((12..=24).step_by(2)), coins: one },
    ];
    ExchangePrologue::new(context(), groups).expect("disjoint groups")
}

/// The share of a RAIDA in the vectors.
fn share(of: RaidaIndex) -> Secret<32> {
    secret(Sha256::new().chain_update(b"share").chain_update([of.get()]).finalize().into())
}

/// The shares of the vectors' exchange.
fn shares() -> Vec<(RaidaIndex, Secret<32>)> {
    exchange().raidas().iter().map(|raida| (raida, share(raida))).collect()
}

fn psk() -> Secret<32> {
    let shares = shares();
    psk::from_shares(shares.iter().map(|(_, share)| share), ShareWidth::Wide, &exchange().to_bytes())
        .expect("secret memory")
}

fn prologue() -> Prologue {
    Prologue::Exchange(exchange())
}

fn seed() -> Secret<SEED_LEN> {
    Secret::random().expect("random bytes")
}

fn key_of(seed: Secret<SEED_LEN>) -> EphemeralKey {
    EphemeralKey::of_seed(seed).expect("secret memory")
}

fn ephemeral_key() -> EphemeralKey {
    key_of(seed())
}

fn seeds() -> EncapsulationSeeds {
    EncapsulationSeeds::random().expect("random bytes")
}

fn grant() -> Grant {
    Grant { resumption: Some(ResumptionId([0xA5; 16])), lifetime: 86_400 }
}

/// What a server with this psk answers an honest first packet, and what it has then.
fn accept(packet: &[u8], psk: &Secret<32>) -> (Vec<u8>, Accepted) {
    let Ok(FirstPacket::Handshake { raw, message, .. }) = FirstPacket::decode(packet) else {
        panic!("a handshake")
    };
    let (responder, _) = Responder::receive(raw, psk, message, &seeds()).expect("a good packet");
    match responder.accept(grant()).expect("secret memory") {
        (Response::Accepted(message), accepted) => (message, accepted),
        _ => panic!("it accepts"),
    }
}

/// What client and server have after a handshake.
fn handshaken() -> (Accepted, Accepted) {
    let (initiator, packet) =
        Initiator::begin(&prologue(), &psk(), ephemeral_key(), DOMAIN).expect("secret memory");
    let (message, server) = accept(&packet, &psk());
    (initiator.receive(&message).expect("a good response"), server)
}

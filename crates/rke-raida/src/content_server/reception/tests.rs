//! The Content Server's half of section 7 against the client's half, both as values.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rke_proto::cipher::{aes256_ctr, hmac, hmac_matches};
use rke_proto::command;
use rke_proto::envelope::{self, ResponseParts};
use rke_proto::header::RequestHeader;
use rke_proto::round::{Pace, REQUEST_RANDOM_LEN, Recipient, Round, Rules as RoundRules};
use rke_proto::tunnel::confirm::{ConfirmError, Next};
use rke_proto::tunnel::packet::{HEADER_LEN, TRAILER};
use rke_proto::tunnel::{Confirmation, share_check};
use rke_proto::{ClientSn, ContentServerId, Envelope, EnvelopeKey, KeyId, RaidaIndex};

use super::super::MasterSecrets;
use super::*;

const NOW: u64 = 1_785_312_000;
const COIN: CoinId = CoinId { denomination: 0, serial: 42 };
const SESSION: SessionIdentifier = [9; 8];
const ID: ClientKeyId = ClientKeyId([1, 2, 3, 4, 5]);
const OTHER_ID: ClientKeyId = ClientKeyId([1, 2, 3, 4, 6]);
const SUCCESS: u8 = Status::SUCCESS.0;
const UNKNOWN: u8 = Status::UNKNOWN_KEY.0;
const REFUSED: u8 = Status::BAD_PARAMETER.0;

/// Hands a whole packet to the client.
fn take(client: &mut Confirmation, round: &Round, packet: &mut [u8]) -> Result<Next, ConfirmError> {
    let (header, payload) = packet::split(packet)?;
    client.receive(round, &header, payload)
}

fn cs_id(text: &str) -> ContentServerId {
    ContentServerId::new(text).expect("an ID")
}

fn key_id(value: u8) -> KeyId {
    KeyId::new(value).expect("a key id")
}

fn set(raidas: impl IntoIterator<Item = u8>) -> Bitmap {
    raidas.into_iter().map(|raida| RaidaIndex::new(raida).expect("a RAIDA")).collect()
}

fn context() -> KeyContext {
    let client_sn = ClientSn([1, 2, 3, 4, 5]);
    KeyContext { cs_id: cs_id("CONTENT"), key_id: key_id(1), client_sn, timestamp: NOW }
}

/// The random bytes of an answer: the n-th of a reception.
fn random(nth: u8) -> [u8; REPLY_RANDOM_LEN] {
    std::array::from_fn(|at| nth ^ (at as u8).wrapping_mul(7))
}

/// A reception that serves key set 1 of `CONTENT`, and its master secrets.
struct Stage {
    reception: Reception,
    secrets: Arc<MasterSecrets>,
    answers: u8,
}

fn stage_with(rules: Rules) -> Stage {
    let secrets = Arc::new(MasterSecrets::random(cs_id("CONTENT"), key_id(1)).expect("secret memory"));
    let served = ServedKeySet { secrets: Arc::clone(&secrets), retires_at: None };
    Stage { reception: Reception::new(rules, vec![served]), secrets, answers: 0 }
}

fn stage() -> Stage {
    stage_with(Rules::default())
}

impl Stage {
    fn receive_at(&mut self, packet: &[u8], now: u64) -> Outcome {
        let mut packet = packet.to_vec();
        let (header, payload) = packet::split(&mut packet).expect("a packet");
        self.answers = self.answers.wrapping_add(1);
        self.reception.receive(&header, payload, now, &random(self.answers))
    }

    fn receive(&mut self, packet: &[u8]) -> Outcome {
        self.receive_at(packet, NOW)
    }

    fn key(&self, context: &KeyContext, bitmap: Bitmap) -> Secret<32> {
        self.secrets.session_key(context, ShareWidth::Wide, bitmap).expect("secret memory")
    }

    /// A handshake by somebody who has the right key.
    fn handshake(&self, context: &KeyContext, bitmap: Bitmap, key_id: ClientKeyId) -> Vec<u8> {
        let nonce = HandshakeNonce::new(context, bitmap);
        let handshake = Handshake { coin: COIN, session: SESSION };
        self.key(context, bitmap).expose(|key| handshake.seal(key, key_id, &nonce))
    }

    /// A round to which `raidas` have answered: true shares, or other ones for `liars`.
    fn round(&self, raidas: Bitmap, liars: Bitmap, width: ShareWidth) -> Round {
        let recipients = RaidaIndex::all().map(|raida| Recipient {
            raida,
            endpoint: endpoint(raida),
            envelope: Envelope::Type4(COIN),
            key: envelope_key(),
            random: [raida.get(); REQUEST_RANDOM_LEN],
            pace: Pace::default(),
        });
        let rules = RoundRules::new(13);
        let mut round =
            Round::collect_shares(recipients.collect(), width, &context(), rules).expect("secret memory");
        let sent = round.take_due(Duration::ZERO);
        let sent: Vec<_> = sent.map(|(raida, _, datagram)| (raida, datagram.to_vec())).collect();
        for (raida, request) in sent.into_iter().filter(|(raida, _)| raidas.contains(*raida)) {
            let shares = self.secrets.shares(&context(), width, set([raida.get()])).expect("secret memory");
            let (_, share) = &shares[0];
            let is_lie = liars.contains(raida);
            let mut answer = answer_with(&request, width, |out| {
                share.expose(|share| out.copy_from_slice(&share[..out.len()]));
                // Another byte for each liar: the same lie twice would cancel out in the XOR.
                out[raida.position() % width.share_len()] ^= u8::from(is_lie);
            });
            round.receive(endpoint(raida), &mut answer, Duration::from_millis(1));
        }
        assert_eq!(round.answered(), raidas);
        round
    }

    fn confirm(&mut self, round: &Round) -> (Confirmation, Result<(), ConfirmError>) {
        confirm_with(round, |packet| match self.receive(packet) {
            Outcome::Answer(answer) | Outcome::Refuse(answer) => answer,
            Outcome::Data(..) => panic!("a handshake is no data"),
        })
    }
}

fn endpoint(raida: RaidaIndex) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 50000 + u16::from(raida.get())))
}

fn envelope_key() -> EnvelopeKey {
    let an = Secret::fill(|an| *an = [7; 16]).expect("secret memory");
    EnvelopeKey::type_4(&an).expect("secret memory")
}

fn answer_with(request: &[u8], width: ShareWidth, write_share: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut request = request.to_vec();
    let header = RequestHeader::decode(&request).expect("a header");
    let body = envelope::open_request(&header, &envelope_key(), &mut request).expect("a body");
    let (challenge, _) = command::split_challenge(body).expect("a challenge");
    let raida = RaidaIndex::new(header.raida).expect("a RAIDA");
    let challenge = challenge.as_bytes();
    let parts = ResponseParts {
        raida,
        status: Status::SUCCESS,
        challenge: Some(*challenge),
        execution_micros: 0,
        random: [3; 24],
    };
    let echoed = if width == ShareWidth::Wide { challenge.len() } else { 0 };
    envelope::seal_response(&header, &envelope_key(), &parts, echoed + width.share_len(), |out| {
        out[..echoed].copy_from_slice(&challenge[..echoed]);
        write_share(&mut out[echoed..]);
    })
    .expect("secret memory")
}

/// The client's side up to its end, against a peer that turns packets into answers.
fn confirm_with(
    round: &Round,
    mut peer: impl FnMut(&[u8]) -> Vec<u8>,
) -> (Confirmation, Result<(), ConfirmError>) {
    let mut client = begin(round);
    loop {
        let mut answer = peer(client.packet());
        match take(&mut client, round, &mut answer) {
            Ok(Next::Send) => (),
            Ok(Next::Confirmed) => return (client, Ok(())),
            Err(error) => return (client, Err(error)),
        }
    }
}

fn begin(round: &Round) -> Confirmation {
    let handshake = Handshake { coin: COIN, session: SESSION };
    Confirmation::begin(round, &context(), ID, handshake).expect("secret memory").expect("a ready round")
}

fn all() -> Bitmap {
    RaidaIndex::all().collect()
}

/// The packet of an answer that goes on.
fn answer_of(outcome: Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Answer(answer) => answer,
        other => panic!("not an answer: {other:?}"),
    }
}

/// The status of a refusal in clear.
fn refusal_of(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Refuse(answer) if answer.len() == HEADER_LEN + 25 + TRAILER.len() => answer[HEADER_LEN],
        other => panic!("not a refusal in clear: {other:?}"),
    }
}

/// The status of an answer under the key.
fn status_under(key: &Secret<32>, answer: &[u8]) -> u8 {
    let mut answer = answer.to_vec();
    let (header, payload) = packet::split(&mut answer).expect("a packet");
    key.expose(|key| Answer::open(key, &header, payload)).expect("an answer under the key").status.0
}

/// A packet of the client's data.
fn data_packet(key: &Secret<32>, key_id: ClientKeyId, nonce: u8, data: &[u8]) -> Vec<u8> {
    key.expose(|key| packet::seal_data(key, key_id, &SESSION, [nonce; NONCE_LEN], data)).expect("a packet")
}

#[test]
fn a_handshake_under_the_right_key_is_agreed() {
    let mut stage = stage();
    let round = stage.round(set(0..17), Bitmap::default(), ShareWidth::Wide);
    let (client, confirmed) = stage.confirm(&round);
    confirmed.expect("a confirmed key");
    assert_eq!(client.liars(), Bitmap::default());
    let (key, bitmap) = client.into_key();
    assert_eq!(bitmap, set(0..17));
    assert!(key.matches(&stage.key(&context(), bitmap)));
    assert_eq!(stage.reception.client(ID), Some((SESSION, COIN)));
    assert_eq!(stage.reception.len(), 1);
}

#[test]
fn the_same_handshake_sent_again_gets_the_same_bytes() {
    let mut stage = stage();
    let handshake = stage.handshake(&context(), all(), ID);
    let first = answer_of(stage.receive(&handshake));
    assert_eq!(status_under(&stage.key(&context(), all()), &first), SUCCESS);
    assert_eq!(answer_of(stage.receive_at(&handshake, NOW + 1000)), first);
    assert_eq!(stage.reception.len(), 1);
}

#[test]
fn another_handshake_under_the_same_key_is_refused() {
    let mut stage = stage();
    let _ = stage.receive(&stage.handshake(&context(), all(), ID));
    let nonce = HandshakeNonce::new(&context(), all());
    let other = Handshake { coin: COIN, session: [8; 8] };
    let other = stage.key(&context(), all()).expose(|key| other.seal(key, ID, &nonce));
    assert_eq!(refusal_of(stage.receive(&other)), REFUSED);
    assert_eq!(stage.reception.client(ID), Some((SESSION, COIN)));
}

#[test]
fn the_same_key_under_a_second_key_id_is_refused() {
    let mut stage = stage();
    let _ = stage.receive(&stage.handshake(&context(), all(), ID));
    let Outcome::Refuse(answer) = stage.receive(&stage.handshake(&context(), all(), OTHER_ID)) else {
        panic!("taken twice")
    };
    assert_eq!(status_under(&stage.key(&context(), all()), &answer), REFUSED);
    assert_eq!((stage.reception.client(OTHER_ID), stage.reception.len()), (None, 1));
}

#[test]
fn a_timestamp_off_by_more_than_the_skew_is_unknown() {
    let mut stage = stage();
    let at = |timestamp| KeyContext { timestamp, client_sn: ClientSn([timestamp as u8; 5]), ..context() };
    for stale in [0, NOW - 301, NOW + 301, u64::MAX] {
        let handshake = stage.handshake(&at(stale), all(), ID);
        assert_eq!(refusal_of(stage.receive(&handshake)), UNKNOWN, "{stale}");
    }
    for (taken, id) in [(NOW - 300, ID), (NOW + 300, OTHER_ID)] {
        let handshake = stage.handshake(&at(taken), all(), id);
        answer_of(stage.receive(&handshake));
    }
}

#[test]
fn an_unknown_key_set_or_content_server_is_unknown() {
    let mut stage = stage();
    let other_set = KeyContext { key_id: key_id(2), ..context() };
    let other_server = KeyContext { cs_id: cs_id("CONTEXT"), ..context() };
    for context in [other_set, other_server] {
        let handshake = stage.handshake(&context, all(), ID);
        assert_eq!(refusal_of(stage.receive(&handshake)), UNKNOWN, "{context:?}");
    }
    let same_prefix = KeyContext { cs_id: cs_id("CONTENT-2"), ..context() };
    let handshake = stage.handshake(&same_prefix, all(), ID);
    assert_eq!(refusal_of(stage.receive(&handshake)), UNKNOWN, "only the prefix is the same");
    let own = stage.handshake(&context(), all(), ID);
    for bad in [[8, 0x02], [25, 0x01]] {
        // A RAIDA over 24; key set 0.
        let mut bad_nonce = own.clone();
        bad_nonce[usize::from(bad[0])] ^= bad[1];
        assert_eq!(refusal_of(stage.receive(&bad_nonce)), UNKNOWN);
    }
    assert!(stage.reception.is_empty());
}

#[test]
fn a_retired_key_set_is_unknown_but_its_keys_go_on() {
    let mut stage = stage();
    let _ = stage.receive(&stage.handshake(&context(), all(), ID));
    let secrets = Arc::clone(&stage.secrets);
    stage.reception.set_key_sets(vec![ServedKeySet { secrets, retires_at: Some(NOW + 10) }]);
    let late = KeyContext { client_sn: ClientSn([7; 5]), ..context() };
    let handshake = stage.handshake(&late, all(), OTHER_ID);
    assert_eq!(refusal_of(stage.receive_at(&handshake, NOW + 10)), UNKNOWN);
    answer_of(stage.receive_at(&handshake, NOW + 9));
    let key = stage.key(&context(), all());
    let outcome = stage.receive_at(&data_packet(&key, ID, 1, b"on"), NOW + 10);
    assert_eq!(outcome, Outcome::Data(ID, b"on".to_vec()));
}

#[test]
fn twelve_raidas_in_the_bitmap_are_refused() {
    let mut stage = stage();
    let handshake = stage.handshake(&context(), set(0..12), ID);
    assert_eq!(refusal_of(stage.receive(&handshake)), REFUSED);
    let handshake = stage.handshake(&context(), set(0..13), ID);
    answer_of(stage.receive(&handshake));
    let mut stage = stage_with(Rules { required: 20, ..Rules::default() });
    let handshake = stage.handshake(&context(), set(0..19), ID);
    assert_eq!(refusal_of(stage.receive(&handshake)), REFUSED);
}

#[test]
fn no_more_keys_than_the_rules_allow() {
    let mut stage = stage_with(Rules { max_keys: 2, lifetime_seconds: 60, ..Rules::default() });
    let context = |n: u8| KeyContext { client_sn: ClientSn([n; 5]), ..context() };
    for n in [1, 2] {
        let handshake = stage.handshake(&context(n), all(), ClientKeyId([n; 5]));
        answer_of(stage.receive(&handshake));
    }
    let third = stage.handshake(&context(3), all(), ClientKeyId([3; 5]));
    let Outcome::Refuse(answer) = stage.receive(&third) else { panic!("a third key") };
    assert_eq!(status_under(&stage.key(&context(3), all()), &answer), REFUSED);
    answer_of(stage.receive_at(&third, NOW + 60));
}

#[test]
fn keys_go_when_their_lifetime_is_over() {
    let mut stage = stage_with(Rules { lifetime_seconds: 1000, ..Rules::default() });
    let _ = stage.receive(&stage.handshake(&context(), all(), ID));
    let key = stage.key(&context(), all());
    assert!(matches!(stage.receive_at(&data_packet(&key, ID, 1, b""), NOW + 999), Outcome::Data(..)));
    stage.reception.sweep(NOW + 999);
    assert_eq!(stage.reception.len(), 1);
    // Nothing else holds the secret: dropping it is what wipes it.
    stage.reception.sweep(NOW + 1000);
    assert!(stage.reception.is_empty() && stage.reception.handshakes.is_empty());
    assert_eq!(refusal_of(stage.receive_at(&data_packet(&key, ID, 2, b""), NOW + 1000)), UNKNOWN);
    assert!(stage.reception.seal(ID, [4; NONCE_LEN], b"late").is_none());
    assert!(stage.reception.client(ID).is_none());
}

#[test]
fn an_old_handshake_does_not_bring_an_expired_key_back() {
    let mut stage = stage_with(Rules { lifetime_seconds: 10, ..Rules::default() });
    let handshake = stage.handshake(&context(), all(), ID);
    let key = stage.key(&context(), all());
    let data = data_packet(&key, ID, 1, b"pay 1");
    let _ = stage.receive(&handshake);
    assert!(matches!(stage.receive(&data), Outcome::Data(..)));
    for seconds in [10, 300, 301] {
        let again = stage.receive_at(&handshake, NOW + seconds);
        assert!(matches!(again, Outcome::Refuse(_)), "after {seconds} s");
        assert_eq!(refusal_of(stage.receive_at(&data, NOW + seconds)), UNKNOWN);
    }
    assert!(stage.reception.is_empty());
}

#[test]
fn data_goes_both_ways() {
    let mut stage = stage();
    let _ = stage.receive(&stage.handshake(&context(), all(), ID));
    let key = stage.key(&context(), all());
    for (nonce, data) in [(1, b"".as_slice()), (2, b"ping"), (3, &[0; 5000])] {
        let outcome = stage.receive(&data_packet(&key, ID, nonce, data));
        assert_eq!(outcome, Outcome::Data(ID, data.to_vec()));
        let mut packet = stage.reception.seal(ID, [0x80 | nonce; NONCE_LEN], data).expect("a packet");
        let (header, payload) = packet::split(&mut packet).expect("a packet");
        let opened = key.expose(|key| packet::open_data(key, &header, &SESSION, payload).map(|d| d.to_vec()));
        assert_eq!(opened.expect("data"), data);
    }
}

#[test]
fn no_packet_is_taken_twice() {
    let mut stage = stage();
    let handshake = stage.handshake(&context(), all(), ID);
    let answer = answer_of(stage.receive(&handshake));
    let key = stage.key(&context(), all());
    let packet = data_packet(&key, ID, 1, b"once");
    assert!(matches!(stage.receive(&packet), Outcome::Data(..)));
    assert_eq!(refusal_of(stage.receive(&packet)), REFUSED);
    // The same counter block, so the same keystream, whatever the rest of the nonce.
    let mut nonce = [1; NONCE_LEN];
    nonce[23] = 2;
    let same_block = key.expose(|key| packet::seal_data(key, ID, &SESSION, nonce, b"twice"));
    assert_eq!(refusal_of(stage.receive(&same_block.expect("a packet"))), REFUSED);
    for own in [1, 2] {
        let mut nonce = [1; NONCE_LEN];
        let used = if own == 1 { &handshake } else { &answer };
        nonce[..16].copy_from_slice(&used[8..24]);
        let packet = key.expose(|key| packet::seal_data(key, ID, &SESSION, nonce, b"block"));
        assert_eq!(refusal_of(stage.receive(&packet.expect("a packet"))), REFUSED);
        assert!(stage.reception.seal(ID, nonce, b"block").is_none());
    }
}

#[test]
fn a_packet_of_ones_own_is_refused_when_it_comes_back() {
    let mut stage = stage();
    let handshake = stage.handshake(&context(), all(), ID);
    let answer = answer_of(stage.receive(&handshake));
    let packet = stage.reception.seal(ID, [5; NONCE_LEN], b"from the server").expect("a packet");
    assert_eq!(refusal_of(stage.receive(&packet)), REFUSED);
    assert_eq!(refusal_of(stage.receive(&answer)), UNKNOWN, "an answer is no data");
    let round = stage.round(all(), Bitmap::default(), ShareWidth::Wide);
    let mut client = begin(&round);
    let mut reflected = client.packet().to_vec();
    assert!(take(&mut client, &round, &mut reflected).is_err(), "a handshake is no answer");
}

#[test]
fn altered_and_cut_data_is_refused_and_uses_nothing_up() {
    let mut stage = stage();
    let _ = stage.receive(&stage.handshake(&context(), all(), ID));
    let good = data_packet(&stage.key(&context(), all()), ID, 1, b"some data");
    for at in 0..good.len() {
        let mut altered = good.clone();
        altered[at] ^= 0x01;
        if packet::split(&mut altered).is_ok() {
            assert_eq!(refusal_of(stage.receive(&altered)), UNKNOWN, "byte {at}");
        }
        assert!(packet::split(&mut good[..at].to_vec()).is_err(), "cut at {at}");
    }
    for payload_len in 0..good.len() - HEADER_LEN - TRAILER.len() {
        let mut short = good[..HEADER_LEN + payload_len].to_vec();
        short[1..3].copy_from_slice(&(payload_len as u16).to_be_bytes());
        short.extend(TRAILER);
        assert_eq!(refusal_of(stage.receive(&short)), UNKNOWN, "{payload_len} bytes of payload");
    }
    assert!(matches!(stage.receive(&good), Outcome::Data(..)));
}

#[test]
fn altered_and_cut_handshakes_are_refused() {
    let mut stage = stage();
    let good = stage.handshake(&context(), set(0..14), ID);
    for at in 0..good.len() {
        assert!(packet::split(&mut good[..at].to_vec()).is_err(), "cut at {at}");
        // The key id is the sender's free choice, and no HMAC covers it: the client finds it
        // changed in the answer.
        if (3..8).contains(&at) {
            continue;
        }
        let mut altered = good.clone();
        altered[at] ^= 0x01;
        if packet::split(&mut altered).is_ok() {
            assert!([UNKNOWN, REFUSED].contains(&refusal_of(stage.receive(&altered))), "byte {at}");
        }
    }
    for payload_len in 0..good.len() - HEADER_LEN - TRAILER.len() {
        let mut short = good[..HEADER_LEN + payload_len].to_vec();
        short[1..3].copy_from_slice(&(payload_len as u16).to_be_bytes());
        short.extend(TRAILER);
        assert_eq!(refusal_of(stage.receive(&short)), UNKNOWN, "{payload_len} bytes of payload");
    }
    assert!(stage.reception.is_empty());
    answer_of(stage.receive(&good));
}

#[test]
fn a_changed_key_id_does_not_confirm_the_clients_key() {
    let mut stage = stage();
    let round = stage.round(all(), Bitmap::default(), ShareWidth::Wide);
    let (_, confirmed) = confirm_with(&round, |packet| {
        let mut changed = packet.to_vec();
        changed[3] ^= 1;
        answer_of(stage.receive(&changed))
    });
    assert!(matches!(confirmed, Err(ConfirmError::Malformed(_))));
}

#[test]
fn altered_and_cut_answers_do_not_confirm() {
    let mut stage = stage();
    let liars = set([3, 9]);
    let round = stage.round(set(0..16), liars, ShareWidth::Wide);
    // The client at each step, with the answer that would take it further.
    let step = |stage: &mut Stage, steps: usize| {
        let mut client = begin(&round);
        for _ in 0..steps {
            let mut answer = match stage.receive(client.packet()) {
                Outcome::Answer(answer) | Outcome::Refuse(answer) => answer,
                Outcome::Data(..) => panic!("data"),
            };
            assert_eq!(take(&mut client, &round, &mut answer).expect("a good answer"), Next::Send);
        }
        client
    };
    for steps in [1, 2] {
        let client = step(&mut stage, steps);
        let good = answer_of(stage.receive(client.packet()));
        for at in 0..good.len() {
            let mut altered = good.clone();
            altered[at] ^= 0x01;
            let refused = take(&mut step(&mut stage, steps), &round, &mut altered);
            assert!(refused.is_err(), "step {steps}, byte {at}: {refused:?}");
            let refused = take(&mut step(&mut stage, steps), &round, &mut good[..at].to_vec());
            assert!(refused.is_err(), "step {steps}, cut at {at}: {refused:?}");
        }
        assert!(take(&mut step(&mut stage, steps), &round, &mut good.clone()).is_ok());
    }
}

#[test]
fn the_share_check_names_exactly_the_liars_and_the_rest_make_the_key() {
    for liars in 0..=12 {
        let mut stage = stage();
        let liars: Bitmap = RaidaIndex::all().filter(|raida| raida.get() * 7 % 25 < liars).collect();
        let round = stage.round(all(), liars, ShareWidth::Wide);
        let (client, confirmed) = stage.confirm(&round);
        confirmed.expect("a confirmed key");
        assert_eq!(client.liars(), liars);
        let (key, bitmap) = client.into_key();
        assert_eq!(bitmap, all().without(liars));
        assert!(key.matches(&stage.key(&context(), bitmap)));
        let outcome = stage.receive(&data_packet(&key, ID, 1, b"hello"));
        assert_eq!(outcome, Outcome::Data(ID, b"hello".to_vec()));
    }
}

#[test]
fn thirteen_liars_of_twenty_five_are_named_and_the_key_is_refused() {
    let mut stage = stage();
    let lied = set(6..19);
    let round = stage.round(all(), lied, ShareWidth::Wide);
    match stage.confirm(&round).1 {
        Err(ConfirmError::TooManyLiars { honest, liars }) => {
            assert_eq!((honest, liars), (all().without(lied), lied));
        }
        other => panic!("{other:?}"),
    }
    assert!(stage.reception.is_empty());
}

#[test]
fn altered_and_cut_share_checks_are_refused() {
    let mut stage = stage();
    let asked = set(0..13);
    let nonce = HandshakeNonce::new(&context(), asked);
    let shares = stage.secrets.shares(&context(), ShareWidth::Wide, asked).expect("secret memory");
    let good = share_check::ask(&nonce, shares.iter().map(|(raida, share)| (*raida, share)));
    let status = |stage: &mut Stage, packet: &[u8]| match stage.receive(packet) {
        Outcome::Answer(answer) | Outcome::Refuse(answer) => answer[HEADER_LEN],
        Outcome::Data(..) => panic!("data"),
    };
    let tags_of_others = HEADER_LEN + 8 + 13 * 4..good.len() - TRAILER.len();
    for at in 0..good.len() {
        assert!(packet::split(&mut good[..at].to_vec()).is_err(), "cut at {at}");
        let mut altered = good.clone();
        altered[at] ^= 0x01;
        if packet::split(&mut altered).is_ok() {
            let expected: &[u8] = if tags_of_others.contains(&at) { &[SUCCESS] } else { &[UNKNOWN, REFUSED] };
            assert!(expected.contains(&status(&mut stage, &altered)), "byte {at}");
        }
    }
    for payload_len in 0..good.len() - HEADER_LEN - TRAILER.len() {
        let mut short = good[..HEADER_LEN + payload_len].to_vec();
        short[1..3].copy_from_slice(&(payload_len as u16).to_be_bytes());
        short.extend(TRAILER);
        assert_eq!(refusal_of(stage.receive(&short)), REFUSED, "{payload_len} bytes of payload");
    }
    assert_eq!(status(&mut stage, &good), SUCCESS);
    assert_eq!(refusal_of(stage.receive_at(&good, NOW + 301)), UNKNOWN);
    assert!(stage.reception.is_empty(), "a share check agrees on nothing");
}

#[test]
fn a_client_whose_handshake_covers_the_header_is_agreed_with() {
    let mut stage = stage();
    let key = stage.key(&context(), all());
    let mut packet = stage.handshake(&context(), all(), ID);
    key.expose(|key| cover_the_header(key, &mut packet));
    let answer = answer_of(stage.receive(&packet));
    assert_eq!(status_under(&key, &answer), SUCCESS);
    let mut altered = packet.clone();
    altered[3] ^= 1;
    assert_eq!(refusal_of(stage.receive(&altered)), UNKNOWN, "here the key id is covered");
}

#[test]
fn a_server_that_wants_the_header_covered_confirms_too() {
    for liars in [set([]), set([1, 24])] {
        let mut stage = stage();
        let round = stage.round(all(), liars, ShareWidth::Wide);
        let secrets = Arc::clone(&stage.secrets);
        let (client, confirmed) = confirm_with(&round, |packet| {
            if packet[3..8] != ClientKeyId::SHARE_CHECK.0 && !covers_the_header(&secrets, packet) {
                let (status, server_nonce) = (Status::UNKNOWN_KEY, [0; 16]);
                let answer = Answer { status, server_nonce, lifetime: 0, bitmap: Bitmap::default() };
                return answer.in_clear(ID, [1; NONCE_LEN]);
            }
            match stage.receive(packet) {
                Outcome::Answer(answer) | Outcome::Refuse(answer) => answer,
                Outcome::Data(..) => panic!("data"),
            }
        });
        confirmed.expect("a confirmed key");
        assert_eq!(client.liars(), liars);
    }
}

/// Where the HMAC of a handshake lies.
const TAG_AT: usize = HEADER_LEN + 119;

/// Decrypts a handshake, or encrypts it again.
fn crypt(key: &[u8; 32], packet: &mut [u8]) {
    let (header, rest) = packet.split_at_mut(HEADER_LEN);
    let block = header[8..24].try_into().expect("16 bytes");
    let payload_len = rest.len() - TRAILER.len();
    aes256_ctr(key, block, &mut rest[..payload_len]);
}

/// Seals a handshake the other way.
fn cover_the_header(key: &[u8; 32], packet: &mut [u8]) {
    crypt(key, packet);
    let tag = hmac(key, &[&packet[..TAG_AT]]);
    packet[TAG_AT..TAG_AT + 32].copy_from_slice(&tag);
    crypt(key, packet);
}

fn covers_the_header(secrets: &MasterSecrets, packet: &[u8]) -> bool {
    let nonce = HandshakeNonce::decode(packet[8..HEADER_LEN].try_into().expect("24 bytes")).expect("a nonce");
    let key = secrets.session_key(&context(), ShareWidth::Wide, nonce.bitmap).expect("secret memory");
    key.expose(|key| {
        let mut packet = packet.to_vec();
        crypt(key, &mut packet);
        let tag = packet[TAG_AT..TAG_AT + 32].try_into().expect("32 bytes");
        hmac_matches(key, &[&packet[..TAG_AT]], tag)
    })
}

#[test]
fn narrow_shares_are_taken_only_where_the_rules_say_so() {
    let narrow = Rules { narrowest: ShareWidth::Narrow, ..Rules::default() };
    for (rules, is_taken) in [(Rules::default(), false), (narrow, true)] {
        let mut stage = stage_with(rules);
        let round = stage.round(all(), Bitmap::default(), ShareWidth::Narrow);
        let (client, confirmed) = stage.confirm(&round);
        if is_taken {
            confirmed.expect("a confirmed key");
            let (key, bitmap) = client.into_key();
            let own = stage.secrets.session_key(&context(), ShareWidth::Narrow, bitmap);
            assert!(key.matches(&own.expect("secret memory")));
        } else {
            assert!(matches!(confirmed, Err(ConfirmError::Refused(Status::UNKNOWN_KEY))));
        }
    }
    let mut stage = stage_with(narrow);
    let wide = stage.round(all(), Bitmap::default(), ShareWidth::Wide);
    stage.confirm(&wide).1.expect("wide shares are taken besides");
}

#[test]
fn narrow_shares_are_never_checked() {
    let mut stage = stage_with(Rules { narrowest: ShareWidth::Narrow, ..Rules::default() });
    let round = stage.round(all(), set([5]), ShareWidth::Narrow);
    let mut packets = 0;
    let (_, confirmed) = confirm_with(&round, |packet| {
        packets += 1;
        assert_ne!(packet[3..8], ClientKeyId::SHARE_CHECK.0, "the client does not ask");
        match stage.receive(packet) {
            Outcome::Answer(answer) | Outcome::Refuse(answer) => answer,
            Outcome::Data(..) => panic!("data"),
        }
    });
    assert!(matches!(confirmed, Err(ConfirmError::Refused(Status::UNKNOWN_KEY))));
    assert_eq!(packets, 1);
    // Who asks anyway, with the tags of narrow shares, learns that none is right.
    let nonce = HandshakeNonce::new(&context(), all());
    let shares = stage.secrets.shares(&context(), ShareWidth::Narrow, all()).expect("secret memory");
    let check = share_check::ask(&nonce, shares.iter().map(|(raida, share)| (*raida, share)));
    let answer = answer_of(stage.receive(&check));
    assert_eq!(answer[HEADER_LEN], REFUSED);
    assert_eq!(answer[HEADER_LEN + 21..HEADER_LEN + 25], [0; 4]);
}

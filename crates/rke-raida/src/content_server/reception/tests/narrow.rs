//! Envelope type 6, and handshake 3 over narrow shares.

use rke_proto::Status;
use rke_proto::handshake::share_check;
use rke_proto::tunnel::packet::{self, HEADER_LEN, NONCE_LEN, TRAILER};
use rke_proto::tunnel::{ClientKeyId, Covered, Handshake, HandshakeNonce, Response, SessionIdentifier};

use super::super::narrow::key_of;
use super::*;

const SESSION: SessionIdentifier = [9; 8];
const ID: ClientKeyId = ClientKeyId([1, 2, 3, 4, 5]);
const OTHER_ID: ClientKeyId = ClientKeyId([1, 2, 3, 4, 6]);
const REFUSED: u8 = Status::BAD_PARAMETER.0;
const UNKNOWN: u8 = Status::UNKNOWN_KEY.0;

fn all() -> Bitmap {
    RaidaIndex::all().collect()
}

/// A reception that serves a key set of narrow shares for sessions of this form.
fn stage_of(form: Form, rules: ReceptionPolicy) -> Stage {
    let mut stage = stage_with(ReceptionPolicy { allow_narrow: true, ..rules });
    stage.served.form = form;
    stage.reception.set_key_sets(vec![stage.served.clone()]);
    stage
}

/// One for live sessions.
fn narrow_stage(rules: ReceptionPolicy) -> Stage {
    stage_of(Form::Live, rules)
}

impl Stage {
    fn narrow_key(&self, context: &KeyContext, bitmap: Bitmap) -> Secret<32> {
        key_of(&self.served, context, bitmap).expect("secret memory")
    }

    fn narrow_handshake(&self, context: &KeyContext, bitmap: Bitmap, id: ClientKeyId) -> Vec<u8> {
        let nonce = HandshakeNonce::new(context, bitmap);
        let handshake = Handshake { coin: COIN, session: SESSION };
        self.narrow_key(context, bitmap).expose(|key| handshake.seal(key, id, &nonce))
    }

    fn receive_type_6_at(&mut self, packet: &[u8], now: u64) -> Reply {
        let mut packet = packet.to_vec();
        let (header, payload) = packet::split(&mut packet).expect("a packet");
        let mut random = [0; REPLY_RANDOM_LEN];
        getrandom::fill(&mut random).expect("randomness");
        self.reception.receive_narrow(&header, payload, now, &random)
    }

    fn receive_type_6(&mut self, packet: &[u8]) -> Reply {
        self.receive_type_6_at(packet, NOW)
    }

    fn agree(&mut self, context: &KeyContext, id: ClientKeyId) -> Vec<u8> {
        let handshake = self.narrow_handshake(context, all(), id);
        match self.receive_type_6(&handshake) {
            Reply::Response(answer) => answer,
            other => panic!("not agreed: {other:?}"),
        }
    }
}

/// The status of a refusal in the clear.
fn refusal_of(reply: Reply) -> u8 {
    match reply {
        Reply::Refuse(answer) if answer.len() == HEADER_LEN + 25 + TRAILER.len() => answer[HEADER_LEN],
        other => panic!("not a refusal in the clear: {other:?}"),
    }
}

/// A response under the key.
fn opened(key: &Secret<32>, answer: &[u8]) -> Response {
    let mut answer = answer.to_vec();
    let (header, payload) = packet::split(&mut answer).expect("a packet");
    key.expose(|key| Response::open(key, &header, payload)).expect("an answer under the key")
}

fn data_packet(key: &Secret<32>, id: ClientKeyId, nonce: u8, data: &[u8], covered: Covered) -> Vec<u8> {
    key.expose(|key| packet::seal_data(key, id, &SESSION, [nonce; NONCE_LEN], data, covered))
        .expect("a packet")
}

#[test]
fn a_narrow_key_is_agreed_and_carries_data_both_ways_in_the_clients_form() {
    for covered in [Covered::HeaderAndPayload, Covered::Payload] {
        let mut stage = narrow_stage(ReceptionPolicy::default());
        let answer = stage.agree(&context(1), ID);
        let key = stage.narrow_key(&context(1), all());
        let answer = opened(&key, &answer);
        assert_eq!((answer.status, answer.lifetime, answer.bitmap), (Status::SUCCESS, 86_400, all()));
        let packet = data_packet(&key, ID, 1, b"ping", covered);
        assert_eq!(stage.receive_type_6(&packet), Reply::Data(ID, b"ping".to_vec()));
        assert_eq!(refusal_of(stage.receive_type_6(&packet)), REFUSED, "no packet is taken twice");
        let mut sealed = stage.reception.seal_narrow(ID, [2; NONCE_LEN], b"pong").expect("a packet");
        let (header, payload) = packet::split(&mut sealed).expect("a packet");
        let opened = key.expose(|key| {
            let opened = packet::open_data(key, &header, &SESSION, payload);
            opened.map(|(data, covered)| (data.to_vec(), covered))
        });
        assert_eq!(opened, Ok((b"pong".to_vec(), covered)));
        assert_eq!(stage.reception.narrow_client(ID).map(|(session, _)| session), Some(SESSION));
    }
}

#[test]
fn envelope_type_6_is_for_live_key_sets_that_are_allowed() {
    let (mut wide, mut strong) = (
        stage_of(Form::Wide, ReceptionPolicy::default()),
        stage_of(Form::Handshake3Narrow, ReceptionPolicy::default()),
    );
    let mut forbidden = narrow_stage(ReceptionPolicy::default());
    forbidden.reception.known.rules.allow_narrow = false;
    for stage in [&mut wide, &mut strong, &mut forbidden] {
        let handshake = stage.narrow_handshake(&context(1), all(), ID);
        assert_eq!(refusal_of(stage.receive_type_6(&handshake)), UNKNOWN);
        assert!(stage.reception.is_empty());
    }
}

#[test]
fn handshake_3_is_for_key_sets_that_are_meant_for_it_and_allowed() {
    let mut live = narrow_stage(ReceptionPolicy::default());
    let mut forbidden = stage_of(Form::Handshake3Narrow, ReceptionPolicy::default());
    forbidden.reception.known.rules.allow_narrow = false;
    for stage in [&mut live, &mut forbidden] {
        let (_, packet) = stage.exchange(&exchange(1), DOMAIN);
        assert_eq!(stage.refusal(&packet), Some(Reason::NoSuchKeySet));
    }
}

#[test]
fn the_same_handshake_sent_again_gets_the_same_bytes_and_another_under_its_key_none() {
    let mut stage = narrow_stage(ReceptionPolicy::default());
    let handshake = stage.narrow_handshake(&context(1), all(), ID);
    let first = stage.receive_type_6(&handshake);
    assert!(matches!(first, Reply::Response(_)));
    assert_eq!(stage.receive_type_6_at(&handshake, NOW + 300), first);
    let other = Handshake { coin: COIN, session: [8; 8] };
    let nonce = HandshakeNonce::new(&context(1), all());
    let key = stage.narrow_key(&context(1), all());
    let other = key.expose(|key| other.seal(key, ID, &nonce));
    assert_eq!(refusal_of(stage.receive_type_6(&other)), REFUSED);
    let second_id = stage.narrow_handshake(&context(1), all(), OTHER_ID);
    let Reply::Refuse(answer) = stage.receive_type_6(&second_id) else { panic!("taken twice") };
    assert_eq!(opened(&key, &answer).status, Status::BAD_PARAMETER);
    assert_eq!(stage.reception.len(), 1);
}

#[test]
fn stale_retired_unknown_and_too_few_are_refused() {
    let mut stage = narrow_stage(ReceptionPolicy::default());
    let at = |timestamp| KeyContext { timestamp, ..context(1) };
    for stale in [0, NOW - 301, NOW + 301, u64::MAX] {
        let handshake = stage.narrow_handshake(&at(stale), all(), ID);
        assert_eq!(refusal_of(stage.receive_type_6(&handshake)), UNKNOWN, "{stale}");
    }
    let other_set = KeyContext { key_set: key_set(2), ..context(1) };
    let other_server = KeyContext { cs_id: cs_id("CONTEXT"), ..context(1) };
    for context in [other_set, other_server] {
        let handshake = stage.narrow_handshake(&context, all(), ID);
        assert_eq!(refusal_of(stage.receive_type_6(&handshake)), UNKNOWN, "{context:?}");
    }
    let few = stage.narrow_handshake(&context(1), set(0..12), ID);
    assert_eq!(refusal_of(stage.receive_type_6(&few)), REFUSED);
    let wrong = data_packet(&Secret::random().expect("secret memory"), ID, 1, b"", Covered::Payload);
    assert_eq!(refusal_of(stage.receive_type_6(&wrong)), UNKNOWN);
    let retired = ServedKeySet { retires_at: Some(NOW), ..stage.served.clone() };
    stage.reception.set_key_sets(vec![retired]);
    let handshake = stage.narrow_handshake(&context(1), all(), ID);
    assert_eq!(refusal_of(stage.receive_type_6(&handshake)), UNKNOWN);
}

#[test]
fn a_client_may_lower_case_the_id_and_is_answered_with_the_shares_of_that_form() {
    // The first six bytes of the second show no case.
    for id in ["CONTENT-SERVER01", "2026-01-SERVER"] {
        let mut stage = narrow_stage(ReceptionPolicy::default());
        let masters = MasterSecrets::random(cs_id(id), key_set(1)).expect("secret memory");
        stage.served.secrets = Arc::new(masters);
        stage.reception.set_key_sets(vec![stage.served.clone()]);
        let lower = cs_id(&id.to_ascii_lowercase());
        for (nth, (cs_id, key_id)) in (1..).zip([(cs_id(id), ID), (lower, OTHER_ID)]) {
            let context = KeyContext { cs_id, ..context(nth) };
            let answer = stage.agree(&context, key_id);
            assert_eq!(opened(&stage.narrow_key(&context, all()), &answer).status, Status::SUCCESS);
        }
        let mixed = cs_id(&id.replace("ER", "er"));
        let key = |form, nth| {
            stage.narrow_key(&KeyContext { cs_id: form, ..context(nth) }, all()).expose(|key| *key)
        };
        // A key of 8 bits is that of another form too, now and then.
        let is_its_own =
            |nth: &_| [cs_id(id), lower].into_iter().all(|form| key(form, *nth) != key(mixed, *nth));
        let mixed = KeyContext { cs_id: mixed, ..context((3..).find(is_its_own).expect("a key of its own")) };
        let handshake = stage.narrow_handshake(&mixed, all(), ClientKeyId([9; 5]));
        assert_eq!(refusal_of(stage.receive_type_6(&handshake)), UNKNOWN);
    }
}

#[test]
fn handshake_3_takes_the_lower_case_over_narrow_shares_alone() {
    let lower = ExchangePrologue::new(
        KeyContext { cs_id: context(1).cs_id.lower_case(), ..context(1) },
        exchange(1).groups().to_vec(),
    );
    let lower = lower.expect("a prologue");
    let mut narrow = stage_of(Form::Handshake3Narrow, ReceptionPolicy::default());
    let session = narrow.open(&lower);
    assert!(
        narrow.attached(&session).is_none(),
        "an id is good with the form of the handshake that made it alone"
    );
    let mut wide = stage_of(Form::Wide, ReceptionPolicy::default());
    let (_, packet) = wide.exchange(&lower, DOMAIN);
    assert_eq!(wide.refusal(&packet), Some(Reason::NoSuchKeySet));
}

#[test]
fn narrow_keys_go_in_time_tell_their_connections_and_do_not_come_back() {
    let mut stage = narrow_stage(ReceptionPolicy { lifetime_seconds: 10, ..ReceptionPolicy::default() });
    stage.agree(&context(1), ID);
    let (_, watcher) = stage.reception.narrow_client(ID).expect("a client");
    let handshake = stage.narrow_handshake(&context(1), all(), ID);
    stage.reception.sweep(NOW + 10);
    assert_eq!((stage.reception.len(), watcher.ending()), (0, Some(Ending::Expired)));
    assert!(stage.reception.seal_narrow(ID, [4; NONCE_LEN], b"late").is_none());
    let Reply::Refuse(answer) = stage.receive_type_6_at(&handshake, NOW + 20) else { panic!("taken again") };
    let key = stage.narrow_key(&context(1), all());
    assert_eq!(opened(&key, &answer).status, Status::BAD_PARAMETER);
}

#[test]
fn narrow_keys_have_the_allowance_of_those_who_prove_no_coin() {
    let mut stage = narrow_stage(ReceptionPolicy { unproven_keys: 2, ..ReceptionPolicy::default() });
    let ids = [1, 2, 3].map(|nth| ClientKeyId([nth; 5]));
    for (nth, id) in (1..).zip(ids) {
        stage.agree(&context(nth), id);
    }
    let kept = ids.map(|id| stage.reception.narrow_client(id).is_some());
    assert_eq!(kept, [false, true, true]);
}

#[test]
fn handshake_3_over_narrow_shares_proves_no_coin_and_has_no_share_check() {
    let mut stage = stage_of(Form::Handshake3Narrow, ReceptionPolicy::default());
    let session = stage.open(&exchange(1));
    let (client, _) = stage.attached(&session).expect("attached");
    assert_eq!(client.coin, None);
    let shares = shares_of(&stage.served, &exchange(2)).expect("secret memory");
    assert!(shares.iter().all(|(_, share)| share.expose(|share| share[1..] == [0; 31])), "one byte each");
    let check = share_check::ask(&exchange(2), shares.iter().map(|(raida, share)| (*raida, share)));
    assert_eq!(stage.refusal(&check), Some(Reason::WrongShares));
}

#[test]
fn an_answer_in_the_clear_is_as_the_wire_has_it() {
    let mut stage = narrow_stage(ReceptionPolicy::default());
    let key = Secret::random().expect("secret memory");
    let packet = data_packet(&key, ID, 1, b"data", Covered::HeaderAndPayload);
    let Reply::Refuse(answer) = stage.receive_type_6(&packet) else { panic!("taken") };
    assert_eq!((answer[0], &answer[1..3], &answer[3..8]), (6, [0, 25].as_slice(), ID.0.as_slice()));
    assert_eq!(answer[HEADER_LEN], UNKNOWN);
    assert_eq!(answer[HEADER_LEN + 17..HEADER_LEN + 25], [0; 8], "no lifetime, no RAIDA");
}

use rke_proto::command::SHARE_REQUEST_LEN;
use rke_proto::envelope::RequestParts;
use rke_proto::{ClientSn, ContentServerId, KeyContext, KeyId};

use super::*;

const NOW: u64 = 1_785_312_000;
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const KNOWN: CoinId = CoinId { denomination: 0, serial: 42 };
const OTHER: CoinId = CoinId { denomination: 1, serial: 43 };
const STRANGER: CoinId = CoinId { denomination: 0, serial: 99 };
const ENVELOPES: [Envelope; 4] =
    [Envelope::Type0, Envelope::Type1(KNOWN), Envelope::Type4(KNOWN), Envelope::Type5(OTHER, KNOWN)];

fn an(coin: CoinId) -> Secret<16> {
    Secret::fill(|an| *an = [coin.serial as u8; 16]).expect("secret memory")
}

fn key(envelope: Envelope) -> EnvelopeKey {
    match envelope {
        Envelope::Type0 => EnvelopeKey::None,
        Envelope::Type1(coin) => EnvelopeKey::type_1(&an(coin)).expect("secret memory"),
        Envelope::Type4(coin) => EnvelopeKey::type_4(&an(coin)).expect("secret memory"),
        Envelope::Type5(first, second) => {
            EnvelopeKey::type_5(&an(first), &an(second)).expect("secret memory")
        }
    }
}

fn cs_id() -> ContentServerId {
    ContentServerId::new("CS").expect("an ID")
}

fn key_id(value: u8) -> KeyId {
    KeyId::new(value).expect("a key id")
}

fn master() -> Secret<32> {
    Secret::fill(|master| *master = [7; 32]).expect("secret memory")
}

/// RAIDA 7, which knows two coins, lets one of them preload, and holds key set 1 of `CS`.
struct Stage {
    responder: Responder,
    dir: tempfile::TempDir,
}

fn stage() -> Stage {
    let dir = tempfile::tempdir().expect("a folder");
    let mut key_sets = KeySets::open(dir.path()).expect("key sets");
    key_sets.keep(cs_id(), key_id(1), master()).expect("kept");
    let ans = [KNOWN, OTHER].map(|coin| (coin, an(coin)));
    let raida = RaidaIndex::new(7).expect("RAIDA 7");
    let responder = Responder::new(raida, ans.into(), [KNOWN].into(), key_sets);
    Stage { responder, dir }
}

impl Stage {
    fn answer(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        self.answer_to(LOOPBACK, datagram)
    }

    fn answer_to(&mut self, peer: IpAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        self.responder.answer(Arrival { peer, now: NOW, random: [9; 24] }, &mut datagram.to_vec())
    }

    fn status(&mut self, datagram: &[u8]) -> Option<Status> {
        self.answer(datagram).map(|answer| Status(answer[2]))
    }
}

/// A request that can be bent before it is sealed.
struct Request {
    raida: u8,
    command: (u8, u8),
    envelope: Envelope,
    challenge: Challenge,
    context: KeyContext,
    nonce: u8,
}

impl Request {
    fn new(envelope: Envelope) -> Self {
        let command = if envelope.wire_type() < 4 { 2 } else { 32 };
        let context =
            KeyContext { cs_id: cs_id(), key_id: key_id(1), client_sn: ClientSn([1; 5]), timestamp: NOW };
        Self {
            raida: 7,
            command: (15, command),
            envelope,
            challenge: Challenge::new([3; 12]),
            context,
            nonce: 1,
        }
    }

    fn seal_body(&self, len: usize, write: impl FnOnce(&mut [u8])) -> (RequestHeader, Vec<u8>) {
        let raida = RaidaIndex::new(self.raida).expect("a RAIDA");
        let random = [self.nonce; NONCE_LEN];
        let parts = RequestParts { raida, command: self.command, envelope: self.envelope, random };
        envelope::seal_request(&parts, &key(self.envelope), len, write).expect("secret memory")
    }

    fn seal(&self) -> Vec<u8> {
        self.seal_body(SHARE_REQUEST_LEN, |body| {
            command::write_share_request(&self.challenge, &self.context, body);
        })
        .1
    }

    fn preload(&self, key_sets: &[(KeyId, &Secret<32>)]) -> Vec<u8> {
        self.seal_body(command::preload_len(&self.context.cs_id, key_sets.len()), |body| {
            command::write_preload(&self.challenge, &self.context.cs_id, key_sets, body);
        })
        .1
    }
}

#[test]
fn gives_the_right_share_in_every_envelope() {
    for envelope in ENVELOPES {
        let request = Request::new(envelope);
        let (header, datagram) = request.seal_body(SHARE_REQUEST_LEN, |body| {
            command::write_share_request(&request.challenge, &request.context, body);
        });
        let mut answer = stage().answer(&datagram).expect("an answer");
        let opened = envelope::open_response(&header, &request.challenge, &key(envelope), &mut answer);
        let opened = opened.expect("a valid answer");
        assert_eq!(opened.status, Status::SUCCESS);
        let width = if request.command.1 == 2 { ShareWidth::Narrow } else { ShareWidth::Wide };
        let mut share = [0; 32];
        derive::share(&[7; 32], width, &request.context, &mut share);
        let echoed: &[u8] = if width == ShareWidth::Wide { request.challenge.as_bytes() } else { &[] };
        assert_eq!(*opened.payload, [echoed, &share[..width.share_len()]].concat(), "{envelope:?}");
    }
}

#[test]
fn each_fault_has_its_status() {
    let bend = |envelope, change: fn(&mut Request)| {
        let mut request = Request::new(envelope);
        change(&mut request);
        request.seal()
    };
    for envelope in ENVELOPES {
        for (change, status) in [
            ((|request| request.raida = 8) as fn(&mut Request), Status::WRONG_RAIDA),
            (|request| request.command.1 = 99, Status::UNKNOWN_COMMAND),
            (|request| request.command.0 = 14, Status::UNKNOWN_COMMAND),
            (|request| request.context.timestamp -= 301, Status::BAD_PARAMETER),
            (|request| request.context.timestamp += 301, Status::BAD_PARAMETER),
            (|request| request.context.timestamp = u64::MAX, Status::BAD_PARAMETER),
            (|request| request.context.key_id = key_id(2), Status::NO_SUCH_KEY_SET),
            (
                |request| request.context.cs_id = ContentServerId::new("CT").expect("an ID"),
                Status::NO_SUCH_KEY_SET,
            ),
            (|request| request.context.timestamp -= 300, Status::SUCCESS),
            (|request| request.context.timestamp += 300, Status::SUCCESS),
        ] {
            assert_eq!(stage().status(&bend(envelope, change)), Some(status), "{envelope:?}");
        }
        let mut trailer = Request::new(envelope).seal();
        *trailer.last_mut().expect("a byte") = 0;
        assert_eq!(stage().status(&trailer), Some(Status::BAD_TRAILER));
        let mut longer = Request::new(envelope).seal();
        longer.extend([0x3E, 0x3E]);
        assert_eq!(stage().status(&longer), Some(Status::BAD_LENGTH));
        let mut unknown = Request::new(envelope).seal();
        unknown[16] = 3;
        assert_eq!(stage().status(&unknown), Some(Status::BAD_ENCRYPTION));
        let (_, short) = Request::new(envelope).seal_body(SHARE_REQUEST_LEN - 1, |_| ());
        assert_eq!(stage().status(&short), Some(Status::BAD_LENGTH));
        let (_, zeros) = Request::new(envelope).seal_body(SHARE_REQUEST_LEN, |body| body.fill(1));
        assert_eq!(stage().status(&zeros), Some(Status::BAD_CHALLENGE));
    }
}

#[test]
fn unknown_coins_and_wrong_ans_are_refused() {
    for (envelope, wrong_hmac) in [
        (Envelope::Type1(STRANGER), Status::BAD_CHALLENGE),
        (Envelope::Type4(STRANGER), Status::BAD_HMAC),
        (Envelope::Type5(KNOWN, STRANGER), Status::BAD_HMAC),
    ] {
        let datagram = Request::new(envelope).seal();
        assert_eq!(stage().status(&datagram), Some(Status::COIN_NOT_FOUND));
        // The same coin under an AN that is not the one it was sealed with.
        let mut knows_another = stage();
        knows_another
            .responder
            .ans
            .insert(STRANGER, Secret::fill(|an| *an = [1; 16]).expect("secret memory"));
        assert_eq!(knows_another.status(&datagram), Some(wrong_hmac));
    }
}

#[test]
fn commands_travel_in_their_envelopes_only() {
    for (envelope, command) in [(Envelope::Type0, 32), (Envelope::Type1(KNOWN), 32), (Envelope::Type0, 1)] {
        let mut request = Request::new(envelope);
        request.command.1 = command;
        assert_eq!(stage().status(&request.seal()), Some(Status::ENVELOPE_NOT_ALLOWED));
    }
    let clear = Request::new(Envelope::Type0).seal();
    let afar = stage().answer_to("192.0.2.1".parse().expect("an address"), &clear).expect("an answer");
    assert_eq!(Status(afar[2]), Status::ENVELOPE_NOT_ALLOWED);
    let mapped =
        stage().answer_to("::ffff:127.0.0.1".parse().expect("an address"), &clear).expect("an answer");
    assert_eq!(Status(mapped[2]), Status::SUCCESS);
}

#[test]
fn a_retransmission_gets_the_same_answer_and_a_reused_challenge_none() {
    for envelope in ENVELOPES {
        let mut stage = stage();
        let mut request = Request::new(envelope);
        let first = stage.answer(&request.seal());
        assert!(first.is_some());
        assert_eq!(stage.answer(&request.seal()), first);
        request.nonce = 2;
        assert_eq!(stage.status(&request.seal()), Some(Status::SUCCESS), "the same, sealed anew");
        request.context.client_sn = ClientSn([2; 5]);
        assert_eq!(stage.status(&request.seal()), Some(Status::BAD_PARAMETER), "{envelope:?}");
    }
}

#[test]
fn allowed_coins_preload_and_it_survives_a_restart() {
    for envelope in [Envelope::Type1(KNOWN), Envelope::Type4(KNOWN), Envelope::Type5(OTHER, KNOWN)] {
        let mut stage = stage();
        let mut request = Request::new(envelope);
        request.command.1 = 1;
        let master = Secret::fill(|master| *master = [8; 32]).expect("secret memory");
        assert_eq!(stage.status(&request.preload(&[(key_id(2), &master)])), Some(Status::SUCCESS));
        drop(stage.responder);
        let reopened = KeySets::open(stage.dir.path()).expect("key sets");
        assert_eq!(reopened.len(), 2);
        assert!(reopened.master(&cs_id(), key_id(2)).is_some_and(|kept| kept.matches(&master)));
    }
}

#[test]
fn other_coins_do_not_preload() {
    let mut stage = stage();
    let mut request = Request::new(Envelope::Type4(OTHER));
    request.command.1 = 1;
    assert_eq!(stage.status(&request.preload(&[(key_id(2), &master())])), Some(Status::BAD_PARAMETER));
    assert!(stage.responder.key_sets.master(&cs_id(), key_id(2)).is_none());
}

#[test]
fn a_damaged_master_secret_is_removed_and_not_fatal() {
    let stage = stage();
    drop(stage.responder);
    let folder = stage.dir.path().join("key-sets");
    let file = std::fs::read_dir(&folder).expect("a folder").flatten().next().expect("a file").path();
    let mut bytes = std::fs::read(&file).expect("read");
    *bytes.last_mut().expect("a byte") ^= 1;
    std::fs::write(&file, bytes).expect("written");
    assert!(KeySets::open(stage.dir.path()).expect("key sets").is_empty());
    assert!(!file.exists());
}

#[test]
fn survives_every_cut_and_any_bytes() {
    let mut stage = stage();
    for envelope in ENVELOPES {
        let whole = Request::new(envelope).seal();
        for len in 0..whole.len() {
            let status = stage.status(&whole[..len]);
            assert!(
                matches!(status, None | Some(Status::BAD_LENGTH)),
                "{envelope:?} cut at {len}: {status:?}"
            );
        }
    }
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..10_000 {
        let mut datagram = Request::new(ENVELOPES[next() % 4]).seal();
        for _ in 0..=next() % 4 {
            let at = next() % datagram.len();
            datagram[at] = next() as u8;
        }
        datagram.truncate(next() % (datagram.len() + 64));
        let _ = stage.answer(&datagram);
        let garbage: Vec<u8> = (0..next() % 200).map(|_| next() as u8).collect();
        let _ = stage.answer(&garbage);
    }
    assert_eq!(
        stage.status(&Request::new(Envelope::Type4(OTHER)).seal()).map(|s| s != Status::INTERNAL),
        Some(true)
    );
}

use rke_proto::coin::{CoinId, CoinPair};
use rke_proto::command::SHARE_REQUEST_LEN;
use rke_proto::derive::ShareWidth;
use rke_proto::envelope::RequestParts;
use rke_proto::{ClientSn, ContentServerId, KeyContext, KeySetId};

use super::*;
use crate::owners::Preloader;

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
    EnvelopeKey::of(envelope, &envelope.coins().map(an).collect::<Vec<_>>()).expect("secret memory")
}

fn cs_id() -> ContentServerId {
    ContentServerId::new("CS").expect("an ID")
}

fn key_set(value: u8) -> KeySetId {
    KeySetId::new(value).expect("a key set")
}

fn master() -> Secret<32> {
    Secret::fill(|master| *master = [7; 32]).expect("secret memory")
}

/// RAIDA 7, which knows two coins, lets one of them preload, takes envelope 1, and holds key set 1 of `CS`, for shares
/// of either width, which belongs to that coin.
struct Stage {
    responder: Responder,
    dir: tempfile::TempDir,
    now: u64,
}

fn stage() -> Stage {
    stage_with(NodePolicy { envelope_1: Envelope1::Allowed, ..rules(&["0:42"]) })
}

fn rules(preloaders: &[&str]) -> NodePolicy {
    let preloaders = preloaders.iter().map(|text| text.parse::<Preloader>().expect("a preloader"));
    NodePolicy { preloaders: preloaders.collect(), ..NodePolicy::default() }
}

fn stage_with(rules: NodePolicy) -> Stage {
    let dir = tempfile::tempdir().expect("a folder");
    let mut key_sets = KeySets::open(RaidaIndex::new(7).expect("a RAIDA"), dir.path()).expect("key sets");
    let loaded = key_sets.preload(cs_id(), KNOWN, Preloading::Public, vec![(key_set(1), master())]);
    loaded.expect("kept");
    Stage { responder: responder(rules, key_sets), dir, now: NOW }
}

fn responder(rules: NodePolicy, key_sets: KeySets) -> Responder {
    Responder::new(RaidaIndex::new(7).expect("RAIDA 7"), ans(&[KNOWN, OTHER]), rules, key_sets)
}

fn ans(coins: &[CoinId]) -> Ans {
    coins.iter().map(|coin| (*coin, an(*coin))).collect()
}

impl Stage {
    fn respond(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        self.respond_to(LOOPBACK, datagram)
    }

    fn respond_to(&self, peer: IpAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        self.responder.respond(Arrival { peer, now: self.now, random: [9; 24] }, &mut datagram.to_vec())
    }

    /// Ends the node and starts it again, by other rules.
    fn restart(self, rules: NodePolicy) -> Self {
        let Self { responder: before, dir, now } = self;
        drop(before);
        let key_sets = KeySets::open(RaidaIndex::new(7).expect("a RAIDA"), dir.path()).expect("key sets");
        Self { responder: responder(rules, key_sets), dir, now }
    }

    fn holds(&self, key_set: KeySetId, master: &Secret<32>) -> bool {
        let key_sets = self.responder.key_sets.read().expect("unpoisoned");
        let kept = key_sets.master(&cs_id(), key_set, ShareWidth::Wide);
        kept.is_some_and(|kept| kept.matches(master))
    }

    fn status(&self, datagram: &[u8]) -> Option<Status> {
        self.respond(datagram).map(|answer| Status(answer[2]))
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
            KeyContext { cs_id: cs_id(), key_set: key_set(1), client_sn: ClientSn([1; 5]), timestamp: NOW };
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
        let (header, mut datagram) = envelope::unsealed_request(&parts, len);
        envelope::seal_request(&header, &key(self.envelope), &mut datagram, write).expect("secret memory");
        (header, datagram)
    }

    fn seal(&self) -> Vec<u8> {
        self.seal_body(SHARE_REQUEST_LEN, |body| {
            command::write_share_request(&self.challenge, &self.context, body);
        })
        .1
    }

    /// The same by command 1.
    fn preload(&self, key_sets: &[(KeySetId, &Secret<32>)]) -> Vec<u8> {
        self.preload_as(Preloading::Public, key_sets).1
    }

    /// The same by command 33, made at a time.
    fn preload_at(&self, timestamp: u64, key_sets: &[(KeySetId, &Secret<32>)]) -> Vec<u8> {
        self.preload_as(Preloading::Dated(timestamp), key_sets).1
    }

    fn preload_as(
        &self,
        preloading: Preloading,
        key_sets: &[(KeySetId, &Secret<32>)],
    ) -> (RequestHeader, Vec<u8>) {
        let cs_id = &self.context.cs_id;
        let own = Self { command: preloading.command().to_wire(), ..*self };
        own.seal_body(preloading.body_len(cs_id, key_sets.len()), |body| {
            preloading.write(&self.challenge, cs_id, key_sets, body);
        })
    }
}

/// A request in an envelope with a challenge of its own.
fn request(envelope: Envelope, challenge: u8) -> Request {
    Request { challenge: Challenge::new([challenge; 12]), ..Request::new(envelope) }
}

fn secret(byte: u8) -> Secret<32> {
    Secret::fill(|secret| *secret = [byte; 32]).expect("secret memory")
}

#[test]
fn gives_the_right_share_in_every_envelope() {
    for envelope in ENVELOPES {
        let request = Request::new(envelope);
        let (header, datagram) = request.seal_body(SHARE_REQUEST_LEN, |body| {
            command::write_share_request(&request.challenge, &request.context, body);
        });
        let mut answer = stage().respond(&datagram).expect("an answer");
        let opened = envelope::open_response(&header, &request.challenge, &key(envelope), &mut answer);
        let opened = opened.expect("a valid answer");
        assert_eq!(opened.status, Status::SUCCESS);
        let (kind, echoed): (_, &[u8]) = match envelope {
            Envelope::Type0 | Envelope::Type1(_) => (ShareKind::Narrow, &[]),
            Envelope::Type4(first) => {
                (ShareKind::Wide(CoinPair { first, second: None }), request.challenge.as_bytes())
            }
            Envelope::Type5(first, second) => {
                let coins = CoinPair { first, second: Some(second) };
                (ShareKind::Wide(coins), request.challenge.as_bytes())
            }
        };
        let mut share = [0; 32];
        derive::share(&[7; 32], kind, &request.context, &mut share);
        assert_eq!(*opened.payload, [echoed, &share[..kind.width().share_len()]].concat(), "{envelope:?}");
    }
}

#[test]
fn narrow_shares_travel_in_long_envelopes_too() {
    for envelope in [Envelope::Type4(KNOWN), Envelope::Type5(OTHER, KNOWN)] {
        let mut request = Request::new(envelope);
        request.command.1 = 2;
        let (header, datagram) = request.seal_body(SHARE_REQUEST_LEN, |body| {
            command::write_share_request(&request.challenge, &request.context, body);
        });
        let mut answer = stage().respond(&datagram).expect("an answer");
        let opened = envelope::open_response(&header, &request.challenge, &key(envelope), &mut answer);
        let mut share = [0; 32];
        derive::share(&[7; 32], ShareKind::Narrow, &request.context, &mut share);
        assert_eq!(opened.expect("a valid answer").payload, [share[0]], "{envelope:?}");
    }
}

#[test]
fn a_wide_share_is_another_for_other_coins() {
    let stage = stage();
    let mut shares: Vec<Vec<u8>> = [
        Envelope::Type4(KNOWN),
        Envelope::Type4(OTHER),
        Envelope::Type5(KNOWN, OTHER),
        Envelope::Type5(OTHER, KNOWN),
    ]
    .iter()
    .map(|envelope| {
        let request = Request::new(*envelope);
        let (header, datagram) = request.seal_body(SHARE_REQUEST_LEN, |body| {
            command::write_share_request(&request.challenge, &request.context, body);
        });
        let mut answer = stage.respond(&datagram).expect("an answer");
        let opened = envelope::open_response(&header, &request.challenge, &key(*envelope), &mut answer);
        opened.expect("a valid answer").payload[CHALLENGE_LEN..].to_vec()
    })
    .collect();
    shares.sort_unstable();
    shares.dedup();
    assert_eq!(shares.len(), 4);
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
            (|request| request.command.1 = 34, Status::UNKNOWN_COMMAND),
            (|request| request.command.0 = 14, Status::UNKNOWN_COMMAND),
            (|request| request.command = (0, 2), Status::UNKNOWN_COMMAND),
            (|request| request.context.timestamp -= 301, Status::BAD_PARAMETER),
            (|request| request.context.timestamp += 301, Status::BAD_PARAMETER),
            (|request| request.context.timestamp = u64::MAX, Status::BAD_PARAMETER),
            (|request| request.context.key_set = key_set(2), Status::NO_SUCH_KEY_SET),
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
        let knows_another = stage();
        let another = (STRANGER, Secret::fill(|an| *an = [1; 16]).expect("secret memory"));
        let known = ans(&[KNOWN, OTHER]).into_iter().chain([another]).collect();
        knows_another.responder.change(known, NodePolicy { envelope_1: Envelope1::Allowed, ..rules(&[]) });
        assert_eq!(knows_another.status(&datagram), Some(wrong_hmac));
    }
}

#[test]
fn commands_travel_in_their_envelopes_only() {
    for envelope in [Envelope::Type0, Envelope::Type1(KNOWN)] {
        for command in [1, 32, 33] {
            let mut request = Request::new(envelope);
            request.command.1 = command;
            let status = stage().status(&request.seal());
            assert_eq!(status, Some(Status::ENVELOPE_NOT_ALLOWED), "{command} in {envelope:?}");
        }
    }
    let strict = stage_with(rules(&["0:42"]));
    for (envelope, status) in [
        (Envelope::Type0, Status::SUCCESS),
        (Envelope::Type1(KNOWN), Status::ENVELOPE_NOT_ALLOWED),
        (Envelope::Type1(STRANGER), Status::ENVELOPE_NOT_ALLOWED),
        (Envelope::Type4(KNOWN), Status::SUCCESS),
    ] {
        assert_eq!(strict.status(&Request::new(envelope).seal()), Some(status), "{envelope:?}");
    }
    let clear = Request::new(Envelope::Type0).seal();
    let afar = stage().respond_to("192.0.2.1".parse().expect("an address"), &clear).expect("an answer");
    assert_eq!(Status(afar[2]), Status::ENVELOPE_NOT_ALLOWED);
    let mapped =
        stage().respond_to("::ffff:127.0.0.1".parse().expect("an address"), &clear).expect("an answer");
    assert_eq!(Status(mapped[2]), Status::SUCCESS);
}

/// The answer to a status command with this much behind the challenge: its status, and its payload where it has one.
fn ask_status(stage: &Stage, envelope: Envelope, command: Command, more: usize) -> (Status, Vec<u8>) {
    let request = Request { command: command.to_wire(), ..Request::new(envelope) };
    let (header, datagram) = request.seal_body(CHALLENGE_LEN + more, |body| {
        body[..CHALLENGE_LEN].copy_from_slice(request.challenge.as_bytes());
    });
    let afar = "192.0.2.1".parse().expect("an address");
    let mut answer = stage.respond_to(afar, &datagram).expect("an answer");
    if answer[2] != Status::SUCCESS.0 {
        return (Status(answer[2]), Vec::new());
    }
    let opened = envelope::open_response(&header, &request.challenge, &key(envelope), &mut answer);
    let opened = opened.expect("a valid answer");
    (opened.status, opened.payload.to_vec())
}

#[test]
fn echo_and_version_are_for_everybody() {
    let stage = stage();
    let done = |payload: &[u8]| (Status::SUCCESS, payload.to_vec());
    for envelope in ENVELOPES {
        for more in [0, 1, 1000] {
            assert_eq!(ask_status(&stage, envelope, Command::Echo, more), done(b""), "{envelope:?}");
        }
        let version = ask_status(&stage, envelope, Command::Version, 0);
        match envelope {
            // What is known of the response would give the AN away.
            Envelope::Type1(_) => assert_eq!(version, (Status::ENVELOPE_NOT_ALLOWED, Vec::new())),
            _ => assert_eq!(version, done(b"00.01.00"), "{envelope:?}"),
        }
        let (_, short) = Request { command: Command::Echo.to_wire(), ..Request::new(envelope) }
            .seal_body(CHALLENGE_LEN - 1, |_| ());
        assert_eq!(stage.status(&short), Some(Status::BAD_LENGTH));
        let (_, wrong) = Request { command: Command::Echo.to_wire(), ..Request::new(envelope) }
            .seal_body(CHALLENGE_LEN, |body| body.fill(1));
        assert_eq!(stage.status(&wrong), Some(Status::BAD_CHALLENGE));
    }
    let strict = stage_with(rules(&[]));
    let refused = ask_status(&strict, Envelope::Type1(KNOWN), Command::Echo, 0);
    assert_eq!(refused, (Status::ENVELOPE_NOT_ALLOWED, Vec::new()));
}

#[test]
fn nothing_is_remembered_of_echo_and_version() {
    let stage = stage_with(NodePolicy { replay_places: 0, ..rules(&[]) });
    for command in [Command::Echo, Command::Version] {
        for envelope in [Envelope::Type0, Envelope::Type4(KNOWN)] {
            assert_eq!(ask_status(&stage, envelope, command, 0).0, Status::SUCCESS, "{command:?}");
        }
    }
}

#[test]
fn a_retransmission_gets_the_same_answer_and_a_reused_challenge_none() {
    for envelope in ENVELOPES {
        let stage = stage();
        let mut request = Request::new(envelope);
        let first = stage.respond(&request.seal());
        assert!(first.is_some());
        assert_eq!(stage.respond(&request.seal()), first);
        request.nonce = 2;
        assert_eq!(stage.status(&request.seal()), Some(Status::SUCCESS), "the same, sealed again");
        request.context.client_sn = ClientSn([2; 5]);
        assert_eq!(stage.status(&request.seal()), Some(Status::BAD_PARAMETER), "{envelope:?}");
    }
}

#[test]
fn of_requests_under_one_challenge_at_the_same_moment_one_is_answered() {
    let stage = stage();
    for challenge in 0..200 {
        let start = std::sync::Barrier::new(4);
        let ask = |client_sn: u8| {
            let mut request = request(Envelope::Type4(KNOWN), challenge);
            request.context.client_sn = ClientSn([client_sn; 5]);
            let datagram = request.seal();
            start.wait();
            stage.status(&datagram)
        };
        let statuses: Vec<_> = std::thread::scope(|threads| {
            let ask = &ask;
            let asked = [0, 1, 2, 3].map(|client_sn| threads.spawn(move || ask(client_sn)));
            asked.map(|asked| asked.join().expect("no panic")).into()
        });
        let count = |status| statuses.iter().filter(|given| **given == Some(status)).count();
        let counts = (count(Status::SUCCESS), count(Status::BAD_PARAMETER));
        assert_eq!(counts, (1, 3), "round {challenge}: {statuses:?}");
    }
}

#[test]
fn the_same_challenge_under_another_coin_or_command_is_another_request() {
    let stage = stage();
    let mut own = Request::new(Envelope::Type4(KNOWN));
    assert_eq!(stage.status(&own.seal()), Some(Status::SUCCESS));
    let mut others = Request::new(Envelope::Type4(OTHER));
    others.context.client_sn = ClientSn([2; 5]);
    assert_eq!(stage.status(&others.seal()), Some(Status::SUCCESS));
    own.command.1 = 2;
    own.context.client_sn = ClientSn([2; 5]);
    assert_eq!(stage.status(&own.seal()), Some(Status::SUCCESS));
}

#[test]
fn a_full_memory_refuses_and_one_coin_fills_no_more_than_a_sixteenth() {
    let mut stage = stage_with(NodePolicy { replay_places: 64, ..rules(&[]) });
    let asked = |envelope, challenge| request(envelope, challenge).seal();
    let first = stage.respond(&asked(Envelope::Type4(KNOWN), 0));
    for challenge in 1..4 {
        assert_eq!(stage.status(&asked(Envelope::Type4(KNOWN), challenge)), Some(Status::SUCCESS));
    }
    assert_eq!(stage.status(&asked(Envelope::Type4(KNOWN), 4)), Some(Status::INTERNAL));
    assert_eq!(stage.status(&asked(Envelope::Type5(OTHER, KNOWN), 5)), Some(Status::INTERNAL));
    assert_eq!(stage.status(&asked(Envelope::Type4(OTHER), 6)), Some(Status::SUCCESS));
    assert_eq!(stage.respond(&asked(Envelope::Type4(KNOWN), 0)), first, "nothing is forgotten");
    let mut reused = request(Envelope::Type4(KNOWN), 1);
    reused.context.client_sn = ClientSn([9; 5]);
    assert_eq!(stage.status(&reused.seal()), Some(Status::BAD_PARAMETER));
    stage.now = NOW + 301;
    let mut later = request(Envelope::Type4(KNOWN), 4);
    later.context.timestamp = stage.now;
    assert_eq!(stage.status(&later.seal()), Some(Status::SUCCESS), "there is room again");
}

#[test]
fn nothing_is_stored_for_a_request_that_there_is_no_room_to_remember() {
    let stage = stage_with(NodePolicy { replay_places: 0, ..rules(&["0:42"]) });
    let preload = request(Envelope::Type4(KNOWN), 1).preload_at(NOW, &[(key_set(2), &secret(8))]);
    assert_eq!(stage.status(&preload), Some(Status::INTERNAL));
    assert!(!stage.holds(key_set(2), &secret(8)));
}

#[test]
fn a_preload_by_command_33_is_proven_and_survives_a_restart() {
    for envelope in [Envelope::Type4(KNOWN), Envelope::Type5(KNOWN, OTHER)] {
        let stage = stage();
        let request = Request::new(envelope);
        let (header, datagram) = request.preload_as(Preloading::Dated(NOW), &[(key_set(2), &secret(8))]);
        let first = stage.respond(&datagram).expect("an answer");
        let opened = envelope::open_response(&header, &request.challenge, &key(envelope), &mut first.clone())
            .map(|opened| (opened.status, opened.payload.to_vec()));
        assert_eq!(opened, Ok((Status::SUCCESS, request.challenge.as_bytes().to_vec())));
        let first_len = first.len();
        assert_eq!(stage.respond(&datagram), Some(first), "a retransmission");
        let resealed = Request { nonce: 2, ..request }.preload_at(NOW, &[(key_set(2), &secret(8))]);
        let resealed = stage.respond(&resealed).expect("an answer");
        assert_eq!(
            (Status(resealed[2]), resealed.len()),
            (Status::SUCCESS, first_len),
            "the same, sealed again"
        );
        let other = Request { nonce: 3, ..Request::new(envelope) };
        let other = other.preload_at(NOW + 1, &[(key_set(2), &secret(9))]);
        assert_eq!(stage.status(&other), Some(Status::BAD_PARAMETER), "the same challenge");
        let stage = stage.restart(rules(&[]));
        assert!(stage.holds(key_set(1), &master()) && stage.holds(key_set(2), &secret(8)));
    }
}

#[test]
fn a_recorded_preload_brings_no_older_secret_back() {
    let stage = stage();
    let envelope = Envelope::Type4(KNOWN);
    let older = request(envelope, 1).preload_at(NOW - 1, &[(key_set(1), &secret(8))]);
    let newer = request(envelope, 2).preload_at(NOW, &[(key_set(1), &secret(9))]);
    assert_eq!(stage.status(&older), Some(Status::SUCCESS));
    assert_eq!(stage.status(&newer), Some(Status::SUCCESS));
    let by_command_1 = request(envelope, 3).preload(&[(key_set(1), &secret(8))]);
    assert_eq!(stage.status(&by_command_1), Some(Status::OWNED_BY_ANOTHER), "1 replaces nothing");
    // After a restart nothing is known of the challenges.
    let stage = stage.restart(rules(&["0:42"]));
    for recorded in [&older, &newer] {
        assert_eq!(stage.status(recorded), Some(Status::BAD_PARAMETER));
    }
    assert!(stage.holds(key_set(1), &secret(9)));
}

#[test]
fn a_preload_by_command_33_is_made_within_five_minutes_of_the_nodes_clock() {
    for (timestamp, status) in [
        (0, Status::BAD_PARAMETER),
        (NOW - 301, Status::BAD_PARAMETER),
        (NOW - 300, Status::SUCCESS),
        (NOW + 300, Status::SUCCESS),
        (NOW + 301, Status::BAD_PARAMETER),
        (u64::MAX, Status::BAD_PARAMETER),
    ] {
        let preload = Request::new(Envelope::Type4(KNOWN)).preload_at(timestamp, &[(key_set(2), &secret(8))]);
        assert_eq!(stage().status(&preload), Some(status), "{timestamp}");
    }
}

#[test]
fn a_key_set_of_command_33_gives_wide_shares_only_and_one_of_command_1_both() {
    let stage = stage();
    let envelope = Envelope::Type4(KNOWN);
    let preload = request(envelope, 1).preload_at(NOW, &[(key_set(2), &secret(8))]);
    assert_eq!(stage.status(&preload), Some(Status::SUCCESS));
    let ask = |value: u8, command, challenge| {
        let mut request = request(envelope, challenge);
        (request.context.key_set, request.command.1) = (key_set(value), command);
        stage.status(&request.seal())
    };
    assert_eq!(ask(2, 32, 2), Some(Status::SUCCESS));
    assert_eq!(ask(2, 2, 3), Some(Status::NO_SUCH_KEY_SET));
    assert_eq!((ask(1, 32, 4), ask(1, 2, 5)), (Some(Status::SUCCESS), Some(Status::SUCCESS)));
}

#[test]
fn command_1_preloads_and_preloads_the_same_again() {
    for envelope in [Envelope::Type4(KNOWN), Envelope::Type5(KNOWN, OTHER)] {
        let stage = stage();
        for challenge in 1..3 {
            let (header, preload) = request(envelope, challenge)
                .preload_as(Preloading::Public, &[(key_set(1), &master()), (key_set(2), &secret(8))]);
            let answer = stage.respond(&preload).expect("an answer");
            assert_eq!((Status(answer[2]), answer.len()), (Status::SUCCESS, header.envelope.header_len()));
        }
        let different = request(envelope, 3).preload(&[(key_set(3), &secret(8)), (key_set(2), &secret(9))]);
        assert_eq!(stage.status(&different), Some(Status::OWNED_BY_ANOTHER));
        assert!(!stage.holds(key_set(3), &secret(8)), "nothing of it is kept");
        assert!(stage.restart(rules(&[])).holds(key_set(2), &secret(8)));
    }
}

#[test]
fn coins_preload_only_what_the_operator_lists_and_no_other_coin_owns() {
    let any = NodePolicy { replay_places: 1024, ..rules(&["0:42", "1:43"]) };
    for (name, list, envelope, cs_id, status) in [
        ("not listed", vec!["0:42"], Envelope::Type4(OTHER), "FREE", Status::BAD_PARAMETER),
        ("coin 2 does not count", vec!["0:42"], Envelope::Type5(OTHER, KNOWN), "FREE", Status::BAD_PARAMETER),
        ("listed", vec!["0:42"], Envelope::Type5(KNOWN, OTHER), "FREE", Status::SUCCESS),
        ("owned by another", vec!["0:42", "1:43"], Envelope::Type4(OTHER), "CS", Status::OWNED_BY_ANOTHER),
        (
            "listed, yet owned by another",
            vec!["1:43=CS"],
            Envelope::Type4(OTHER),
            "CS",
            Status::OWNED_BY_ANOTHER,
        ),
        ("listed for another ID", vec!["1:43=FREE"], Envelope::Type4(OTHER), "THIRD", Status::BAD_PARAMETER),
        (
            "named for another coin",
            vec!["0:42=FREE", "1:43"],
            Envelope::Type4(OTHER),
            "FREE",
            Status::BAD_PARAMETER,
        ),
    ] {
        for preloading in [Preloading::Public, Preloading::Dated(NOW)] {
            let stage = stage_with(rules(&list));
            let mut request = Request::new(envelope);
            request.context.cs_id = ContentServerId::new(cs_id).expect("an ID");
            let (_, preload) = request.preload_as(preloading, &[(key_set(2), &secret(8))]);
            assert_eq!(stage.status(&preload), Some(status), "{name}, {preloading:?}");
            let key_sets = stage.responder.key_sets.read().expect("unpoisoned");
            let kept = key_sets.master(&request.context.cs_id, key_set(2), ShareWidth::Wide);
            assert_eq!(kept.is_some(), status == Status::SUCCESS, "{name}");
        }
    }
    // The first has it.
    let stage = stage_with(any);
    for (coin, challenge, status) in
        [(OTHER, 1, Status::SUCCESS), (KNOWN, 2, Status::OWNED_BY_ANOTHER), (OTHER, 3, Status::SUCCESS)]
    {
        let mut request = request(Envelope::Type4(coin), challenge);
        request.context.cs_id = ContentServerId::new("FREE").expect("an ID");
        let preload = request.preload_at(NOW + u64::from(challenge), &[(key_set(2), &secret(8))]);
        assert_eq!(stage.status(&preload), Some(status), "{coin}");
    }
}

#[test]
fn survives_every_cut_and_any_bytes() {
    let stage = stage();
    let preload = Request::new(Envelope::Type4(KNOWN)).preload_at(NOW, &[(key_set(2), &secret(8))]);
    let wholes = ENVELOPES.map(|envelope| (envelope, Request::new(envelope).seal()));
    for (envelope, whole) in wholes.into_iter().chain([(Envelope::Type4(KNOWN), preload)]) {
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
        let _ = stage.respond(&datagram);
        let garbage: Vec<u8> = (0..next() % 200).map(|_| next() as u8).collect();
        let _ = stage.respond(&garbage);
    }
    assert_eq!(
        stage.status(&Request::new(Envelope::Type4(OTHER)).seal()).map(|s| s != Status::INTERNAL),
        Some(true)
    );
}

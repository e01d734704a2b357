use super::*;
use crate::Challenge;
use crate::ClientSn;
use crate::coin::CoinId;
use crate::envelope::{self, ResponseParts};
use crate::header::RequestHeader;

const MS: Duration = Duration::from_millis(1);
const COIN: CoinId = CoinId { denomination: 0, serial: 42 };
const OTHER: CoinId = CoinId { denomination: 1, serial: 43 };

fn endpoint(raida: RaidaIndex) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 50000 + u16::from(raida.get())))
}

fn an(raida: RaidaIndex, coin: u8) -> Secret<16> {
    Secret::fill(|an| *an = [raida.get() ^ coin; 16]).expect("secret memory")
}

fn key_for(raida: RaidaIndex, envelope: Envelope) -> EnvelopeKey {
    let key = match envelope {
        Envelope::Type0 => Ok(EnvelopeKey::None),
        Envelope::Type1(_) => EnvelopeKey::type_1(&an(raida, 0x40)),
        Envelope::Type4(_) => EnvelopeKey::type_4(&an(raida, 0x40)),
        Envelope::Type5(..) => EnvelopeKey::type_5(&an(raida, 0x40), &an(raida, 0x80)),
    };
    key.expect("secret memory")
}

fn master(raida: RaidaIndex) -> [u8; 32] {
    [raida.get() + 1; 32]
}

fn context() -> KeyContext {
    KeyContext {
        cs_id: ContentServerId::new("CS").expect("a CSID"),
        key_id: KeyId::new(1).expect("a key id"),
        client_sn: ClientSn([1, 2, 3, 4, 5]),
        timestamp: 1_785_312_000,
    }
}

fn round_of(raidas: u8, envelope: Envelope, width: ShareWidth) -> Round {
    let recipients = RaidaIndex::all().take(raidas.into()).map(|raida| Recipient {
        raida,
        endpoint: endpoint(raida),
        envelope,
        key: key_for(raida, envelope),
        random: std::array::from_fn(|at| raida.get().wrapping_mul(31).wrapping_add(at as u8)),
        pace: Pace::default(),
    });
    Round::collect_shares(recipients.collect(), width, &context(), Rules::new(13)).expect("secret memory")
}

fn wide_round(raidas: u8) -> Round {
    round_of(raidas, Envelope::Type5(COIN, OTHER), ShareWidth::Wide)
}

fn sent_at(round: &mut Round, now: Duration) -> Vec<(RaidaIndex, Vec<u8>)> {
    round.take_due(now).map(|(raida, _, datagram)| (raida, datagram.to_vec())).collect()
}

/// What an honest node answers.
fn honest_answer(raida: RaidaIndex, request: &[u8]) -> Vec<u8> {
    answer_with(raida, request, Status::SUCCESS)
}

fn answer_with(raida: RaidaIndex, request: &[u8], status: Status) -> Vec<u8> {
    let mut request = request.to_vec();
    let header = RequestHeader::decode(&request).expect("a request header");
    let key = key_for(raida, header.envelope);
    let body = envelope::open_request(&header, &key, &mut request).expect("an honest request");
    let (challenge, rest) = command::split_challenge(body).expect("a challenge");
    let context = command::decode_share_request(rest).expect("a share request");
    let width = if header.command == 32 { ShareWidth::Wide } else { ShareWidth::Narrow };
    let mut share = [0; 32];
    derive::share(&master(raida), width, &context, &mut share);
    let mut payload = Vec::new();
    if status == Status::SUCCESS {
        if width == ShareWidth::Wide {
            payload.extend(challenge.as_bytes());
        }
        payload.extend(&share[..width.share_len()]);
    }
    let parts = ResponseParts {
        raida,
        status,
        challenge: Some(*challenge.as_bytes()),
        execution_micros: 7,
        random: [raida.get() ^ 0x55; 24],
    };
    envelope::seal_response(&header, &key, &parts, payload.len(), |out| out.copy_from_slice(&payload))
        .expect("secret memory")
}

fn deliver(round: &mut Round, raida: RaidaIndex, mut datagram: Vec<u8>, now: Duration) {
    round.receive(endpoint(raida), &mut datagram, now);
    assert!(datagram.iter().all(|byte| *byte == 0), "a received datagram is wiped");
}

fn expected_key(raidas: Bitmap, width: ShareWidth) -> Secret<32> {
    let shares: Vec<Secret<32>> = raidas
        .iter()
        .map(|raida| Secret::fill(|out| derive::share(&master(raida), width, &context(), out)))
        .collect::<Result<_, _>>()
        .expect("secret memory");
    derive::key_from_shares(shares.iter(), width, &context(), raidas).expect("secret memory")
}

#[test]
fn every_envelope_gives_the_right_key() {
    for (envelope, width) in [
        (Envelope::Type0, ShareWidth::Narrow),
        (Envelope::Type1(COIN), ShareWidth::Narrow),
        (Envelope::Type4(COIN), ShareWidth::Wide),
        (Envelope::Type5(COIN, OTHER), ShareWidth::Wide),
    ] {
        let mut round = round_of(25, envelope, width);
        for (raida, request) in sent_at(&mut round, Duration::ZERO) {
            deliver(&mut round, raida, honest_answer(raida, &request), MS);
        }
        assert_eq!(round.progress(MS), Progress::Ready);
        assert_eq!(round.envelopes(), [envelope.wire_type()]);
        let key = round.derive_key(&context()).expect("secret memory").expect("a key");
        assert!(key.matches(&expected_key(round.answered(), width)), "{envelope:?}");
    }
}

#[test]
fn thirteen_answers_make_it_ready_after_the_grace() {
    let mut round = wide_round(25);
    let sent = sent_at(&mut round, Duration::ZERO);
    for (raida, request) in &sent[..13] {
        assert!(matches!(round.progress(10 * MS), Progress::Waiting { .. }));
        deliver(&mut round, *raida, honest_answer(*raida, request), 10 * MS);
    }
    assert_eq!(round.progress(10 * MS), Progress::Waiting { until: 60 * MS });
    let (late, request) = &sent[20];
    deliver(&mut round, *late, honest_answer(*late, request), 40 * MS);
    assert_eq!(round.progress(60 * MS), Progress::Ready);
    assert_eq!(round.answered().count(), 14);
    assert_eq!(round.faults().len(), 11);
}

#[test]
fn twelve_answers_make_no_key() {
    let mut round = wide_round(25);
    for (raida, request) in sent_at(&mut round, Duration::ZERO).into_iter().take(12) {
        deliver(&mut round, raida, honest_answer(raida, &request), MS);
    }
    assert!(matches!(round.progress(4000 * MS), Progress::Waiting { .. }));
    assert!(round.derive_key(&context()).expect("secret memory").is_none());
}

#[test]
fn gives_up_as_soon_as_thirteen_cannot_come() {
    let mut round = wide_round(25);
    let sent = sent_at(&mut round, Duration::ZERO);
    for (raida, request) in sent.iter().take(12) {
        deliver(&mut round, *raida, answer_with(*raida, request, Status::NO_SUCH_KEY_SET), MS);
        assert!(matches!(round.progress(MS), Progress::Waiting { .. }));
    }
    round.note_unreachable(sent[12].0, MS);
    assert_eq!(round.progress(MS), Progress::Waiting { until: 51 * MS });
    for (raida, request) in &sent[13..] {
        deliver(&mut round, *raida, honest_answer(*raida, request), 2 * MS);
    }
    assert_eq!(round.progress(2 * MS), Progress::Hopeless);
    assert_eq!(round.answered().count(), 12);
    assert_eq!(round.faults()[0].1, Fault::Refused(Status::NO_SUCH_KEY_SET));
    assert_eq!(round.faults()[12].1, Fault::Unreachable);
}

#[test]
fn fewer_recipients_than_required_is_hopeless_from_the_start() {
    assert_eq!(wide_round(12).progress(Duration::ZERO), Progress::Hopeless);
}

#[test]
fn resends_the_same_bytes_to_the_silent_at_growing_intervals() {
    let mut round = wide_round(13);
    let first = sent_at(&mut round, Duration::ZERO);
    assert_eq!(first.len(), 13);
    let mut times = Vec::new();
    for at in 1..4000 {
        let sent = sent_at(&mut round, at * MS);
        if !sent.is_empty() {
            assert_eq!(sent, first);
            times.push(at);
        }
    }
    assert_eq!(times, [200, 600, 1400, 3000]);
    deliver(&mut round, first[3].0, honest_answer(first[3].0, &first[3].1), 4000 * MS);
    let resent = sent_at(&mut round, 5000 * MS);
    assert!(resent.len() == 12 && resent.iter().all(|(raida, _)| *raida != first[3].0));
}

#[test]
fn drops_answers_that_do_not_verify() {
    for envelope in [Envelope::Type1(COIN), Envelope::Type4(COIN), Envelope::Type5(COIN, OTHER)] {
        let width = if envelope.wire_type() == 1 { ShareWidth::Narrow } else { ShareWidth::Wide };
        let mut round = round_of(13, envelope, width);
        let (raida, request) = sent_at(&mut round, Duration::ZERO).swap_remove(4);
        let good = honest_answer(raida, &request);
        for len in 0..good.len() {
            deliver(&mut round, raida, good[..len].to_vec(), MS);
        }
        // Byte 1, the execution time and the unused bytes of the header prove nothing.
        let unused: &[usize] = if width == ShareWidth::Narrow {
            &[1, 8, 12, 13, 14, 15, 32]
        } else {
            &[1, 4, 5, 6, 7, 8, 12, 13, 14, 15, 22, 23]
        };
        let bytes_that_count = |at: &usize| {
            // The nonce of a long answer is covered through the payload's own challenge.
            !unused.contains(at) && *at != 2 && !(width == ShareWidth::Wide && (40..46).contains(at))
        };
        for at in (0..good.len()).filter(bytes_that_count) {
            let mut forged = good.clone();
            forged[at] ^= 0x10;
            deliver(&mut round, raida, forged, MS);
            assert_eq!(round.answered().count(), 0, "{envelope:?} byte {at}");
        }
        deliver(&mut round, raida, [good.clone(), vec![0]].concat(), MS);
        round.receive(endpoint(RaidaIndex::new(5).expect("5")), &mut good.clone(), MS);
        round.receive(SocketAddr::from(([127, 0, 0, 2], 50004)), &mut good.clone(), MS);
        assert_eq!(round.answered().count(), 0);
        assert!(matches!(round.faults()[4].1, Fault::Malformed(_)));
        deliver(&mut round, raida, good, MS);
        assert_eq!(round.answered().count(), 1);
    }
}

#[test]
fn an_answer_to_another_request_of_the_same_raida_is_dropped() {
    let mut older = wide_round(13);
    let mut round = wide_round(13);
    let (raida, request) = sent_at(&mut older, Duration::ZERO).swap_remove(0);
    round.requests[0].challenge = Challenge::new([9; 12]);
    deliver(&mut round, raida, honest_answer(raida, &request), MS);
    assert_eq!(round.faults()[0].1, Fault::Malformed(DecodeError::Mismatch("the challenge in the answer")));
}

#[test]
fn a_success_without_a_share_is_no_answer() {
    let mut round = wide_round(13);
    let (raida, request) = sent_at(&mut round, Duration::ZERO).swap_remove(0);
    let refusal = answer_with(raida, &request, Status::INTERNAL);
    let mut bare_success = refusal.clone();
    bare_success[2] = Status::SUCCESS.0;
    deliver(&mut round, raida, bare_success, MS);
    assert_eq!(round.answered().count(), 0);
}

#[test]
fn a_valid_answer_counts_after_an_unproven_refusal() {
    let mut round = wide_round(13);
    let (raida, request) = sent_at(&mut round, Duration::ZERO).swap_remove(0);
    deliver(&mut round, raida, answer_with(raida, &request, Status::INTERNAL), MS);
    assert_eq!(round.progress(51 * MS), Progress::Hopeless);
    deliver(&mut round, raida, honest_answer(raida, &request), 2 * MS);
    assert_eq!(round.progress(51 * MS), Progress::Waiting { until: 200 * MS });
}

#[test]
fn duplicates_count_once() {
    let mut round = wide_round(25);
    let (raida, request) = sent_at(&mut round, Duration::ZERO).swap_remove(0);
    for _ in 0..20 {
        deliver(&mut round, raida, honest_answer(raida, &request), MS);
    }
    assert_eq!(round.answered().count(), 1);
}

#[test]
fn a_preload_round_collects_confirmations_and_no_key() {
    let raidas: Vec<RaidaIndex> = RaidaIndex::all().collect();
    let secrets: Vec<Secret<32>> = raidas
        .iter()
        .map(|raida| Secret::fill(|out| *out = master(*raida)).expect("secret memory"))
        .collect();
    let envelope = Envelope::Type4(COIN);
    let recipients = raidas.iter().zip(&secrets).map(|(raida, secret)| {
        let key = key_for(*raida, envelope);
        let recipient = Recipient {
            raida: *raida,
            endpoint: endpoint(*raida),
            envelope,
            key,
            random: [raida.get(); 36],
            pace: Pace::default(),
        };
        (recipient, secret)
    });
    let cs_id = ContentServerId::new("CS").expect("a CSID");
    let key_id = KeyId::new(3).expect("a key id");
    let mut round =
        Round::preload(recipients.collect(), &cs_id, key_id, Rules::new(25)).expect("secret memory");
    for (raida, request) in sent_at(&mut round, Duration::ZERO) {
        let mut opened = request.clone();
        let header = RequestHeader::decode(&opened).expect("a header");
        let key = key_for(raida, envelope);
        let body = envelope::open_request(&header, &key, &mut opened).expect("an open body");
        let (challenge, rest) = command::split_challenge(body).expect("a challenge");
        let preload = command::Preload::decode(rest).expect("a preload");
        assert_eq!(preload.cs_id, cs_id);
        assert!(preload.key_sets().eq([(key_id, &master(raida))]));
        for len in 0..rest.len() {
            assert!(command::Preload::decode(&rest[..len]).is_err(), "cut at {len}");
        }
        let parts = ResponseParts {
            raida,
            status: Status::SUCCESS,
            challenge: Some(*challenge.as_bytes()),
            execution_micros: 0,
            random: [1; 24],
        };
        let answer = envelope::seal_response(&header, &key, &parts, 0, |_| ()).expect("secret memory");
        deliver(&mut round, raida, answer, MS);
    }
    assert_eq!(round.progress(MS), Progress::Ready);
    assert!(round.derive_key(&context()).expect("secret memory").is_none());
}

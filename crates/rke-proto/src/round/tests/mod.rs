mod envelope_1;

use super::sending::Sending;
use super::*;
use crate::Challenge;
use crate::ClientSn;
use crate::Status;
use crate::coin::{CoinId, CoinPair};
use crate::command;
use crate::cursor::DecodeError;
use crate::derive::ShareKind;
use crate::envelope::{self, Counter, ResponseParts};
use crate::header::RequestHeader;
use crate::{Envelope, EnvelopeKey};

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
    let ans = [an(raida, 0x40), an(raida, 0x80)];
    EnvelopeKey::of(envelope, &ans[..envelope.coins().count()]).expect("secret memory")
}

fn master(raida: RaidaIndex) -> [u8; 32] {
    [raida.get() + 1; 32]
}

fn context() -> KeyContext {
    KeyContext {
        cs_id: ContentServerId::new("CS").expect("a CSID"),
        key_set: KeySetId::new(1).expect("a key set"),
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
        pace: Pace { most_requests: u32::MAX, ..Pace::default() },
        fallback: None,
    });
    Round::collect_shares(recipients.collect(), width, &context(), RoundConfig::new(13))
        .expect("secret memory")
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
    answer_in(Counter::Continues, raida, request, status)
}

fn answer_in(counter: Counter, raida: RaidaIndex, request: &[u8], status: Status) -> Vec<u8> {
    let mut request = request.to_vec();
    let header = RequestHeader::decode(&request).expect("a request header");
    let key = key_for(raida, header.envelope);
    let body = envelope::open_request(&header, &key, &mut request).expect("an honest request");
    let (challenge, rest) = command::split_challenge(body).expect("a challenge");
    let context = command::decode_share_request(rest).expect("a share request");
    let width = if header.command == 32 { ShareWidth::Wide } else { ShareWidth::Narrow };
    let mut share = [0; 32];
    derive::share(&master(raida), kind_for(width, header.envelope), &context, &mut share);
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
    let write = |out: &mut [u8]| out.copy_from_slice(&payload);
    envelope::seal_response_in(counter, &header, &key, &parts, payload.len(), write).expect("secret memory")
}

/// The shares of that width that are given to who asks in that envelope.
fn kind_for(width: ShareWidth, envelope: Envelope) -> ShareKind {
    match width {
        ShareWidth::Narrow => ShareKind::Narrow,
        ShareWidth::Wide => ShareKind::Wide(envelope.coin_pair().expect("coins")),
    }
}

fn deliver(round: &mut Round, raida: RaidaIndex, mut datagram: Vec<u8>, now: Duration) {
    round.receive(endpoint(raida), &mut datagram, now);
    assert!(datagram.iter().all(|byte| *byte == 0), "a received datagram is wiped");
}

#[test]
fn every_envelope_gives_the_right_shares() {
    for (envelope, width) in [
        (Envelope::Type0, ShareWidth::Narrow),
        (Envelope::Type1(COIN), ShareWidth::Narrow),
        (Envelope::Type4(COIN), ShareWidth::Narrow),
        (Envelope::Type4(COIN), ShareWidth::Wide),
        (Envelope::Type5(COIN, OTHER), ShareWidth::Wide),
    ] {
        let mut round = round_of(25, envelope, width);
        for (raida, request) in sent_at(&mut round, Duration::ZERO) {
            deliver(&mut round, raida, honest_answer(raida, &request), MS);
        }
        assert_eq!(round.progress(MS), Progress::Ready);
        assert_eq!(round.envelopes(), [envelope.wire_type()]);
        let shares: Vec<_> = round.shares(round.answered()).collect();
        assert_eq!(shares.len(), 25);
        for (raida, share) in shares {
            let kind = kind_for(width, envelope);
            let own = Secret::fill(|own| derive::share(&master(raida), kind, &context(), own));
            assert!(share.matches(&own.expect("secret memory")), "{envelope:?}");
        }
        let key = round.narrow_key(&context()).expect("secret memory");
        let sum = round.answered().iter().fold(0, |sum, raida| {
            let mut share = [0; 32];
            derive::share(&master(raida), ShareKind::Narrow, &context(), &mut share);
            sum ^ share[0]
        });
        let own = Secret::fill(|own| derive::narrow_key(sum, &context(), own)).expect("secret memory");
        assert_eq!(key.map(|key| key.matches(&own)), (width == ShareWidth::Narrow).then_some(true));
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
    let mut round = round_of(25, Envelope::Type4(COIN), ShareWidth::Narrow);
    for (raida, request) in sent_at(&mut round, Duration::ZERO).into_iter().take(12) {
        deliver(&mut round, raida, honest_answer(raida, &request), MS);
    }
    assert!(matches!(round.progress(4000 * MS), Progress::Waiting { .. }));
    assert!(round.narrow_key(&context()).expect("secret memory").is_none());
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
    // The refusals may be forged: one second more, in which the silent are asked again.
    assert_eq!(round.progress(MS), Progress::Waiting { until: 200 * MS });
    for (raida, request) in &sent[13..] {
        deliver(&mut round, *raida, honest_answer(*raida, request), 2 * MS);
    }
    assert_eq!(round.progress(2 * MS), Progress::Waiting { until: 1001 * MS });
    assert_eq!(round.progress(1001 * MS), Progress::Hopeless);
    assert_eq!(round.answered().count(), 12);
    assert_eq!(round.faults()[0].1, Fault::Refused(Status::NO_SUCH_KEY_SET));
    assert_eq!(round.faults()[12].1, Fault::Unreachable);
}

#[test]
fn gives_up_after_the_grace_where_not_even_the_refused_could_help() {
    let mut round = wide_round(25);
    let sent = sent_at(&mut round, Duration::ZERO);
    deliver(&mut round, sent[0].0, answer_with(sent[0].0, &sent[0].1, Status::INTERNAL), MS);
    sent[1..14].iter().for_each(|(raida, _)| round.note_unreachable(*raida, MS));
    assert_eq!(round.progress(MS), Progress::Waiting { until: 51 * MS });
    assert_eq!(round.progress(51 * MS), Progress::Hopeless);
}

/// Has ICMP call the port closed to which this was sent.
fn close(round: &mut Round, (raida, request): &(RaidaIndex, Vec<u8>), now: Duration) -> Option<RaidaIndex> {
    round.note_closed(endpoint(*raida), &request[..48], now)
}

#[test]
fn thirteen_closed_ports_end_a_round_at_once_and_twelve_do_not() {
    let mut round = wide_round(25);
    let sent = sent_at(&mut round, Duration::ZERO);
    for request in &sent[..12] {
        assert_eq!(close(&mut round, request, MS), Some(request.0));
        assert_eq!(round.outcome(request.0).map(|outcome| outcome.result), Some(Err(Fault::Closed)));
    }
    for (raida, request) in &sent[13..] {
        deliver(&mut round, *raida, honest_answer(*raida, request), MS);
    }
    assert_eq!(round.progress(MS), Progress::Waiting { until: 200 * MS }, "for the last one");
    let mut other = wide_round(25);
    let all_sent = sent_at(&mut other, Duration::ZERO);
    all_sent.iter().for_each(|request| assert!(close(&mut other, request, MS).is_some()));
    assert_eq!(other.progress(MS), Progress::Hopeless, "nobody is left to wait for");
    close(&mut round, &sent[12], 2 * MS);
    assert_eq!(round.progress(2 * MS), Progress::Hopeless);
    assert!(round.faults().iter().all(|(_, fault)| *fault == Fault::Closed));
    assert_eq!((round.faults().len(), round.answered().count()), (13, 12));
}

#[test]
fn twelve_closed_ports_do_not_hold_up_thirteen_shares() {
    let mut round = wide_round(25);
    let sent = sent_at(&mut round, Duration::ZERO);
    sent[..12].iter().for_each(|request| assert!(close(&mut round, request, MS).is_some()));
    for (raida, request) in &sent[12..] {
        deliver(&mut round, *raida, honest_answer(*raida, request), MS);
    }
    assert_eq!(round.progress(MS), Progress::Ready);
}

#[test]
fn who_has_not_seen_a_request_cannot_call_its_port_closed() {
    for (envelope, width, header) in [
        (Envelope::Type1(COIN), ShareWidth::Narrow, 32),
        (Envelope::Type4(COIN), ShareWidth::Wide, 48),
        (Envelope::Type5(COIN, OTHER), ShareWidth::Wide, 48),
    ] {
        let mut round = round_of(13, envelope, width);
        let sent = sent_at(&mut round, Duration::ZERO);
        let (raida, request) = &sent[4];
        let mut guessed = request[..header].to_vec();
        guessed[header - 1] ^= 1;
        for quoted in [&[][..], &request[..header - 1], &guessed, &[&request[..], &[0]].concat()] {
            assert!(round.note_closed(endpoint(*raida), quoted, MS).is_none(), "{envelope:?}: {quoted:?}");
        }
        let elsewhere = endpoint(RaidaIndex::new(5).expect("5"));
        assert!(round.note_closed(elsewhere, &request[..header], MS).is_none());
        assert_eq!(round.faults()[4].1, Fault::Silent);
        assert!(round.note_closed(endpoint(*raida), &request[..header], MS).is_some());
        assert!(round.note_closed(endpoint(*raida), request, MS).is_some(), "the whole datagram");
        assert_eq!(round.faults()[4].1, Fault::Closed);
    }
}

#[test]
fn a_raida_whose_port_was_closed_is_asked_on_and_its_share_counts() {
    let mut round = wide_round(13);
    let sent = sent_at(&mut round, Duration::ZERO);
    for (raida, request) in &sent[1..] {
        deliver(&mut round, *raida, honest_answer(*raida, request), MS);
    }
    close(&mut round, &sent[0], MS);
    assert_eq!(round.progress(MS), Progress::Hopeless);
    // Where the round goes on for others, it is asked with them.
    let mut round = wide_round(25);
    let sent = sent_at(&mut round, Duration::ZERO);
    close(&mut round, &sent[0], MS);
    let again = sent_at(&mut round, 200 * MS);
    assert_eq!(again, sent);
    let (raida, request) = &again[0];
    deliver(&mut round, *raida, honest_answer(*raida, request), 201 * MS);
    assert!(round.answered().contains(*raida) && round.faults().len() == 24);
    assert!(close(&mut round, &sent[0], 202 * MS).is_none(), "it has answered");
}

#[test]
fn refusals_that_leave_enough_others_do_not_hold_a_round_up() {
    let mut round = wide_round(25);
    let sent = sent_at(&mut round, Duration::ZERO);
    for (at, (raida, request)) in sent.iter().enumerate() {
        let status = if at < 12 { Status::COIN_NOT_FOUND } else { Status::SUCCESS };
        deliver(&mut round, *raida, answer_with(*raida, request, status), MS);
    }
    assert_eq!(round.progress(MS), Progress::Ready);
}

#[test]
fn forged_refusals_of_all_do_not_end_a_round_that_the_answers_of_all_can_still_end_well() {
    let mut round = wide_round(25);
    let sent = sent_at(&mut round, Duration::ZERO);
    for (raida, request) in &sent {
        deliver(&mut round, *raida, answer_with(*raida, request, Status::BAD_HMAC), MS);
    }
    assert_eq!(round.progress(900 * MS), Progress::Waiting { until: 1001 * MS });
    for (raida, request) in &sent {
        deliver(&mut round, *raida, honest_answer(*raida, request), 900 * MS);
    }
    assert_eq!(round.progress(900 * MS), Progress::Ready);
    assert_eq!((round.answered().count(), round.faults().len()), (25, 0));
}

#[test]
fn a_proven_answer_is_success_whatever_its_status_says() {
    for envelope in [Envelope::Type4(COIN), Envelope::Type5(COIN, OTHER)] {
        let mut round = round_of(13, envelope, ShareWidth::Wide);
        for (raida, request) in sent_at(&mut round, Duration::ZERO) {
            let mut answer = honest_answer(raida, &request);
            answer[2] = raida.get();
            deliver(&mut round, raida, answer, MS);
        }
        assert_eq!(round.progress(MS), Progress::Ready, "{envelope:?}");
    }
    // Nothing proves the payload of envelope 1.
    let mut round = round_of(13, Envelope::Type1(COIN), ShareWidth::Narrow);
    let (raida, request) = sent_at(&mut round, Duration::ZERO).swap_remove(0);
    let mut answer = honest_answer(raida, &request);
    answer[2] = Status::INTERNAL.0;
    deliver(&mut round, raida, answer, MS);
    assert_eq!(round.faults()[0].1, Fault::Refused(Status::INTERNAL));
}

#[test]
fn those_that_answered_are_grouped_by_the_coins_that_asked_them() {
    let recipients = RaidaIndex::all().map(|raida| {
        let envelope = match raida.get() % 3 {
            0 => Envelope::Type5(COIN, OTHER),
            1 => Envelope::Type4(OTHER),
            _ => Envelope::Type5(OTHER, COIN),
        };
        let (endpoint, key, pace) = (endpoint(raida), key_for(raida, envelope), Pace::default());
        Recipient { raida, endpoint, envelope, key, random: [raida.get(); 36], pace, fallback: None }
    });
    let recipients = recipients.collect();
    let round = Round::collect_shares(recipients, ShareWidth::Wide, &context(), RoundConfig::new(13));
    let mut round = round.expect("secret memory");
    for (raida, request) in sent_at(&mut round, Duration::ZERO) {
        if !matches!(raida.get(), 0 | 7) {
            deliver(&mut round, raida, honest_answer(raida, &request), MS);
        }
    }
    let set = |of: fn(u8) -> bool| RaidaIndex::all().filter(|raida| of(raida.get())).collect::<Bitmap>();
    let pair = |first, second| CoinPair { first, second };
    let groups = round.groups(round.answered());
    let expected = [
        Group { raidas: set(|raida| raida % 3 == 1 && raida != 7), coins: pair(OTHER, None) },
        Group { raidas: set(|raida| raida % 3 == 2), coins: pair(OTHER, Some(COIN)) },
        Group { raidas: set(|raida| raida % 3 == 0 && raida != 0), coins: pair(COIN, Some(OTHER)) },
    ];
    assert_eq!(groups, expected);
    let some = set(|raida| matches!(raida, 0 | 6 | 7 | 8));
    let expected = [
        Group { raidas: set(|raida| raida == 6), coins: pair(COIN, Some(OTHER)) },
        Group { raidas: set(|raida| raida == 8), coins: pair(OTHER, Some(COIN)) },
    ];
    assert_eq!(round.groups(some), expected, "only those that have answered");
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
fn who_is_not_known_is_asked_twice() {
    let mut round = wide_round(13);
    for request in &mut round.requests {
        request.sending = Sending::new(Pace::default(), Duration::ZERO);
    }
    let times: Vec<u32> = (0..60_000).filter(|at| !sent_at(&mut round, *at * MS).is_empty()).collect();
    assert_eq!(times, [0, 200]);
    let Progress::Waiting { until } = round.progress(60_000 * MS) else { panic!("an answer may come") };
    assert!(until > Duration::from_secs(3600), "nothing is to be done before");
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
    round.requests[0].packet.challenge = Challenge::new([9; 12]);
    deliver(&mut round, raida, honest_answer(raida, &request), MS);
    assert_eq!(round.faults()[0].1, Fault::Malformed(DecodeError::Mismatch("the challenge in the response")));
}

#[test]
fn who_answers_in_envelope_5_what_nobody_can_open_is_asked_in_envelope_4() {
    let recipients = RaidaIndex::all().map(|raida| {
        let envelopes = [Envelope::Type5(COIN, OTHER), Envelope::Type4(COIN)];
        let [key, other_key] = envelopes.map(|envelope| key_for(raida, envelope));
        let [random, other_random] = [1, 2].map(|nth| [raida.get() + 100 * nth; REQUEST_RANDOM_LEN]);
        let fallback =
            Some(Fallback::Envelope4 { envelope: envelopes[1], key: other_key, random: other_random });
        let (endpoint, pace) = (endpoint(raida), Pace::default());
        Recipient { raida, endpoint, envelope: envelopes[0], key, random, pace, fallback }
    });
    let round =
        Round::collect_shares(recipients.collect(), ShareWidth::Wide, &context(), RoundConfig::new(25));
    let mut round = round.expect("secret memory");
    let garbles = |raida: RaidaIndex| raida.get().is_multiple_of(2);
    for (raida, request) in sent_at(&mut round, Duration::ZERO) {
        let mut answer = honest_answer(raida, &request);
        if garbles(raida) {
            // In the nonce, after the coin's part: the plaintext is garbled, although the HMAC is valid.
            answer[30] ^= 1;
        }
        deliver(&mut round, raida, answer, MS);
    }
    assert_eq!(round.answered().count(), 12);
    let asked_again = sent_at(&mut round, MS);
    assert_eq!(asked_again.len(), 13);
    for (raida, request) in asked_again {
        let header = RequestHeader::decode(&request).expect("a request");
        assert!(garbles(raida) && header.envelope == Envelope::Type4(COIN));
        // Junk once more changes nothing: there is no other way.
        deliver(&mut round, raida, vec![raida.get(); 40], MS);
        deliver(&mut round, raida, honest_answer(raida, &request), 2 * MS);
    }
    assert!(round.is_satisfied() && round.envelopes() == [4, 5]);
    let groups = round.groups(round.answered());
    assert_eq!(groups.iter().map(|group| group.raidas.count()).collect::<Vec<_>>(), [13, 12]);
    assert!(round.outcomes().all(|outcome| (outcome.way == Way::Envelope4) == garbles(outcome.raida)));
    assert!(round.shares(round.answered()).all(|(raida, share)| {
        let coins = if garbles(raida) { Envelope::Type4(COIN) } else { Envelope::Type5(COIN, OTHER) };
        let (kind, mut right) = (kind_for(ShareWidth::Wide, coins), [0; 32]);
        derive::share(&master(raida), kind, &context(), &mut right);
        share.expose(|share| *share == right)
    }));
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
    assert_eq!(round.progress(1001 * MS), Progress::Hopeless);
    deliver(&mut round, raida, honest_answer(raida, &request), 2 * MS);
    assert_eq!(round.progress(1001 * MS), Progress::Waiting { until: 200 * MS });
}

#[test]
fn a_bare_refusal_is_read_in_every_envelope_and_proves_nothing() {
    let wide = [Envelope::Type4(COIN), Envelope::Type5(COIN, OTHER)].map(|own| (own, ShareWidth::Wide));
    for (envelope, width) in [(Envelope::Type1(COIN), ShareWidth::Narrow)].into_iter().chain(wide) {
        let mut round = round_of(13, envelope, width);
        let (raida, request) = sent_at(&mut round, Duration::ZERO).swap_remove(4);
        let bare = |raida: RaidaIndex, status: Status, len: usize| {
            let mut bare = vec![0; len];
            (bare[0], bare[2]) = (raida.get(), status.0);
            bare
        };
        let other = RaidaIndex::new(5).expect("5");
        for nothing in [
            bare(raida, Status::SUCCESS, 32),
            bare(raida, Status::UNKNOWN_COMMAND, 31),
            bare(raida, Status::UNKNOWN_COMMAND, 33),
            bare(other, Status::UNKNOWN_COMMAND, 32),
        ] {
            round.receive(endpoint(raida), &mut nothing.clone(), MS);
            assert!(!matches!(round.faults()[4].1, Fault::Refused(_)), "{envelope:?}: {nothing:?}");
        }
        for (status, len) in [(Status::UNKNOWN_COMMAND, 32), (Status::BAD_PARAMETER, 48)] {
            // One of the envelope's own length has its form too, or belongs to another request.
            let is_read = len == 32 || envelope.header_len() != len;
            deliver(&mut round, raida, bare(raida, status, len), MS);
            let expected = if is_read { status } else { Status::UNKNOWN_COMMAND };
            assert_eq!(round.faults()[4], (raida, Fault::Refused(expected)), "{envelope:?}");
        }
        deliver(&mut round, raida, honest_answer(raida, &request), MS);
        assert_eq!(round.answered().count(), 1, "{envelope:?}");
    }
}

#[test]
fn more_answers_can_be_required_when_too_few_of_them_were_right() {
    let mut round = wide_round(20);
    let sent = sent_at(&mut round, Duration::ZERO);
    for (raida, request) in &sent[..13] {
        deliver(&mut round, *raida, honest_answer(*raida, request), MS);
    }
    assert_eq!(round.progress(51 * MS), Progress::Ready);
    round.require(15, 51 * MS);
    assert!(matches!(round.progress(51 * MS), Progress::Waiting { .. }) && !round.is_satisfied());
    for (raida, request) in &sent[13..15] {
        deliver(&mut round, *raida, honest_answer(*raida, request), 60 * MS);
    }
    assert_eq!(round.progress(110 * MS), Progress::Ready);
    assert_eq!(round.shares(round.answered()).count(), 15, "no share is left out for it");
    round.require(21, 110 * MS);
    assert_eq!(round.progress(160 * MS), Progress::Hopeless);
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

/// A round that preloads all 25.
fn preload_round(envelope: Envelope, preloading: Preloading) -> Round {
    let raidas: Vec<RaidaIndex> = RaidaIndex::all().collect();
    let secrets: Vec<Secret<32>> = raidas
        .iter()
        .map(|raida| Secret::fill(|out| *out = master(*raida)).expect("secret memory"))
        .collect();
    let recipients = raidas.iter().zip(&secrets).map(|(raida, secret)| {
        let (raida, key, pace) = (*raida, key_for(*raida, envelope), Pace::default());
        let random = [raida.get(); 36];
        (Recipient { raida, endpoint: endpoint(raida), envelope, key, random, pace, fallback: None }, secret)
    });
    let (cs_id, key_set) = (context().cs_id, KeySetId::new(3).expect("a key set"));
    Round::preload(recipients.collect(), &cs_id, key_set, preloading, RoundConfig::require_all(25))
        .expect("secret memory")
}

/// Opens a preload and answers with its challenge, bent, or with nothing.
fn confirm_preload(
    raida: RaidaIndex,
    request: &[u8],
    check: impl Fn(u8, &[u8]),
    bend: impl Fn(&mut Vec<u8>),
) -> Vec<u8> {
    let mut opened = request.to_vec();
    let header = RequestHeader::decode(&opened).expect("a header");
    let key = key_for(raida, header.envelope);
    let body = envelope::open_request(&header, &key, &mut opened).expect("an open body");
    let (challenge, rest) = command::split_challenge(body).expect("a challenge");
    check(header.command, rest);
    let mut payload = challenge.as_bytes().to_vec();
    bend(&mut payload);
    let (status, challenge) = (Status::SUCCESS, Some(*challenge.as_bytes()));
    let parts = ResponseParts { raida, status, challenge, execution_micros: 0, random: [1; 24] };
    let write = |out: &mut [u8]| out.copy_from_slice(&payload);
    envelope::seal_response(&header, &key, &parts, payload.len(), write).expect("secret memory")
}

#[test]
fn a_preload_round_collects_proofs_and_no_key() {
    for envelope in [Envelope::Type4(COIN), Envelope::Type5(COIN, OTHER)] {
        let mut round = preload_round(envelope, Preloading::Dated(1_785_312_000));
        let decode = |rest: &[u8]| command::Preload::decode_with_timestamp(rest).map(drop);
        for (raida, request) in sent_at(&mut round, Duration::ZERO) {
            let check = |command, rest: &[u8]| {
                let decoded = command::Preload::decode_with_timestamp(rest);
                let (timestamp, preload) = decoded.expect("a preload");
                assert_eq!((command, timestamp, preload.cs_id), (33, 1_785_312_000, context().cs_id));
                assert!(preload.key_sets().eq([(KeySetId::new(3).expect("k3"), &master(raida))]));
                for len in 0..rest.len() {
                    assert!(decode(&rest[..len]).is_err(), "cut at {len}");
                }
                assert!(decode(&[rest, &[0]].concat()).is_err());
            };
            deliver(&mut round, raida, confirm_preload(raida, &request, check, |_| ()), MS);
        }
        assert_eq!(round.progress(MS), Progress::Ready);
        assert!(round.narrow_key(&context()).expect("secret memory").is_none());
        assert_eq!(round.share_width(), None);
    }
}

#[test]
fn those_that_cannot_answer_do_not_end_a_preload_for_the_others() {
    let mut round = preload_round(Envelope::Type4(COIN), Preloading::Public);
    let sent = sent_at(&mut round, Duration::ZERO);
    let refusal: Vec<u8> = [1, 0, Status::INTERNAL.0].into_iter().chain([0; 29]).collect();
    deliver(&mut round, sent[1].0, refusal, MS);
    assert_eq!(round.faults()[1].1, Fault::Refused(Status::INTERNAL));
    assert!(matches!(round.progress(10_000 * MS), Progress::Waiting { .. }), "for all but one");
    close(&mut round, &sent[0], MS);
    assert_eq!(round.progress(MS), Progress::Waiting { until: 200 * MS });
    // The last request to any of them.
    assert!(
        sent_at(&mut round, 200 * MS).iter().map(|(raida, _)| raida.get()).eq([0].into_iter().chain(2..25))
    );
    assert!(matches!(round.progress(10_000 * MS), Progress::Waiting { .. }));
    for (raida, request) in &sent[2..] {
        let answer = confirm_preload(*raida, request, |_, _| (), Vec::clear);
        deliver(&mut round, *raida, answer, 10_000 * MS);
    }
    assert_eq!(round.progress(10_000 * MS), Progress::Hopeless);
    assert_eq!(round.answered().count(), 23);
}

#[test]
fn what_proves_nothing_confirms_no_preload() {
    let mut round = preload_round(Envelope::Type4(COIN), Preloading::Dated(1));
    let sent = sent_at(&mut round, Duration::ZERO);
    let bends: [fn(&mut Vec<u8>); 4] = [
        |payload| payload.clear(),
        |payload| payload[3] ^= 1,
        |payload| payload.push(0),
        |payload| {
            payload.pop();
        },
    ];
    for ((raida, request), bend) in sent.iter().zip(bends) {
        deliver(&mut round, *raida, confirm_preload(*raida, request, |_, _| (), bend), MS);
    }
    assert_eq!(round.answered().count(), 0);
}

#[test]
fn the_public_preload_is_confirmed_by_a_status_alone() {
    let mut round = preload_round(Envelope::Type4(COIN), Preloading::Public);
    for (raida, request) in sent_at(&mut round, Duration::ZERO) {
        let check = |command, rest: &[u8]| {
            let preload = command::Preload::decode(rest).expect("a preload");
            assert_eq!((command, preload.cs_id), (1, context().cs_id));
            assert!(preload.key_sets().eq([(KeySetId::new(3).expect("k3"), &master(raida))]));
        };
        deliver(&mut round, raida, confirm_preload(raida, &request, check, Vec::clear), MS);
    }
    assert_eq!(round.progress(MS), Progress::Ready);
}

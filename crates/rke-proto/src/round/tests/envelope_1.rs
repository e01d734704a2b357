//! Shares in envelope 1, where the operator allows it.

use super::*;
use crate::header::{LONG_HEADER_LEN, SHORT_HEADER_LEN};

/// When envelope 4 has timed out at an unknown RAIDA.
const IN_VAIN: Duration = Duration::from_millis(600);

type Random = [u8; REQUEST_RANDOM_LEN];

/// How a RAIDA answers a request.
type Answer = fn(RaidaIndex, &[u8]) -> Vec<u8>;

fn random(raida: RaidaIndex, nth: usize) -> Random {
    std::array::from_fn(|at| raida.get() ^ (nth as u8).wrapping_mul(37) ^ (at as u8) << 2)
}

fn round(required: usize, is_usual: bool) -> Round {
    round_with(required, is_usual, &random)
}

/// A round that asks for narrow shares in envelope 4, and in 1 where none comes.
fn round_with(required: usize, is_usual: bool, random: &dyn Fn(RaidaIndex, usize) -> Random) -> Round {
    let recipients = RaidaIndex::all().map(|raida| {
        let [envelope, other] = [Envelope::Type4(COIN), Envelope::Type1(COIN)];
        let fallback = Fallback::Envelope1 {
            envelope: other,
            key: key_for(raida, other),
            random: (1..=MAX_PROBES).map(|nth| random(raida, nth)).collect(),
            is_usual,
        };
        Recipient {
            raida,
            endpoint: endpoint(raida),
            envelope,
            key: key_for(raida, envelope),
            random: random(raida, 0),
            pace: Pace::default(),
            fallback: Some(fallback),
        }
    });
    let rules = RoundConfig::new(required);
    let round = Round::collect_shares(recipients.collect(), ShareWidth::Narrow, &context(), rules);
    round.expect("secret memory")
}

fn is_envelope_1(request: &[u8]) -> bool {
    request[16] == 1
}

/// What is sent at a time in envelope 1.
fn questions_at(round: &mut Round, now: Duration) -> Vec<(RaidaIndex, Vec<u8>)> {
    sent_at(round, now).into_iter().filter(|(_, request)| is_envelope_1(request)).collect()
}

fn answer_all(round: &mut Round, counter: Counter, sent: &[(RaidaIndex, Vec<u8>)], now: Duration) {
    for (raida, request) in sent {
        deliver(round, *raida, answer_in(counter, *raida, request, Status::SUCCESS), now);
    }
}

fn share_is_right(round: &Round, raida: RaidaIndex) -> bool {
    let mut right = [0; 32];
    derive::share(&master(raida), ShareKind::Narrow, &context(), &mut right);
    let (_, share) = round.shares(Bitmap::from_iter([raida])).next().expect("a share");
    share.expose(|share| share[0] == right[0])
}

fn outcome(round: &Round, raida: RaidaIndex) -> Outcome {
    round.outcomes().find(|outcome| outcome.raida == raida).expect("an outcome")
}

#[test]
fn envelope_1_waits_until_envelope_4_was_in_vain_and_stays_away_where_it_was_not() {
    let mut round = round(25, false);
    let first = sent_at(&mut round, Duration::ZERO);
    assert!(first.len() == 25 && first.iter().all(|(_, request)| !is_envelope_1(request)));
    for (raida, request) in &first[..20] {
        deliver(&mut round, *raida, honest_answer(*raida, request), MS);
    }
    assert!(questions_at(&mut round, IN_VAIN - MS).is_empty());
    let probes = questions_at(&mut round, IN_VAIN);
    let asked: Vec<u8> = probes.iter().map(|(raida, _)| raida.get()).collect();
    assert_eq!(asked, [20, 20, 20, 21, 21, 21, 22, 22, 22, 23, 23, 23, 24, 24, 24]);
    // Each with a challenge and a nonce of its own.
    let mut nonces: Vec<&[u8]> = probes[..3].iter().map(|(_, request)| &request[24..]).collect();
    nonces.dedup_by(|one, other| one[..8] == other[..8] || one[8..24] == other[8..24]);
    assert_eq!(nonces.len(), 3);
}

#[test]
fn both_forms_are_told_apart_and_give_the_right_share_in_the_same_round() {
    let mut round = round(25, false);
    let restarts = |raida: RaidaIndex| raida.get().is_multiple_of(2);
    let form = |raida| if restarts(raida) { Counter::Restarts } else { Counter::Continues };
    sent_at(&mut round, Duration::ZERO);
    for (nth, (raida, request)) in questions_at(&mut round, IN_VAIN).into_iter().enumerate() {
        assert!(!round.answered().contains(raida), "two answers do not tell the forms apart");
        let answer = answer_in(form(raida), raida, &request, Status::SUCCESS);
        deliver(&mut round, raida, answer.clone(), IN_VAIN + MS);
        // A repeated response does not count again.
        deliver(&mut round, raida, answer, IN_VAIN + MS);
        assert_eq!(round.answered().contains(raida), nth % 3 == 2);
    }
    assert_eq!((round.progress(IN_VAIN + MS), round.envelopes()), (Progress::Ready, vec![1]));
    assert_eq!(round.coin(), Some(COIN));
    for raida in RaidaIndex::all() {
        assert!(share_is_right(&round, raida), "{raida}");
        let Outcome { result, way, .. } = outcome(&round, raida);
        // How long it took counts from the probes on.
        assert_eq!((result, way), (Ok(MS), Way::Envelope1(form(raida))));
    }
}

/// By how much the two forms differ in how they read a response to a probe with these random bytes.
fn difference(raida: RaidaIndex, random: &Random) -> u8 {
    let [restarting, continuing] = [0, 3].map(|blocks| {
        let (mut block, mut byte) = ([0; 16], [0]);
        block[..8].copy_from_slice(&random[28..]);
        block[15] = blocks;
        an(raida, 0x40).expose(|an| crate::cipher::aes128_ctr(an, &block, &mut byte));
        byte[0]
    });
    restarting ^ continuing
}

#[test]
fn where_both_forms_say_the_same_each_time_the_raida_is_asked_once_more() {
    let asked = RaidaIndex::new(3).expect("3");
    let differs_by_7 = |nth: usize| {
        let tries = (0..=u16::MAX).map(|seed| {
            let mut random = random(asked, nth);
            random[30..32].copy_from_slice(&seed.to_be_bytes());
            random
        });
        tries.into_iter().find(|random| difference(asked, random) == 7).expect("one of 65,536")
    };
    let unclear = |raida, nth| if (1..=4).contains(&nth) { differs_by_7(nth) } else { random(raida, nth) };
    let mut round = round_with(13, true, &unclear);
    let mut asked_for = 0;
    // The first three, and one after the other: the fifth makes it clear.
    for expected in [3, 1, 1] {
        assert!(!round.answered().contains(asked));
        let sent = questions_at(&mut round, MS);
        let own: Vec<_> = sent.into_iter().filter(|(raida, _)| *raida == asked).collect();
        assert_eq!(own.len(), expected);
        answer_all(&mut round, Counter::Continues, &own, MS);
        asked_for += own.len();
    }
    assert!(asked_for == 5 && round.answered().contains(asked) && share_is_right(&round, asked));
    assert_eq!(outcome(&round, asked).way, Way::Envelope1(Counter::Continues));
}

#[test]
fn answers_that_fit_neither_form_give_no_share() {
    let mut round = round(25, true);
    let sent = questions_at(&mut round, Duration::ZERO);
    for (nth, (raida, request)) in sent.iter().enumerate() {
        let mut answer = answer_in(Counter::Restarts, *raida, request, Status::SUCCESS);
        answer[SHORT_HEADER_LEN] ^= nth as u8 % 3;
        deliver(&mut round, *raida, answer, MS);
    }
    assert_eq!(round.answered().count(), 0);
    let fault = round.faults()[7].1;
    assert_eq!(fault.to_string(), "malformed response: the share in a second response does not match");
    assert!(questions_at(&mut round, 5000 * MS).is_empty(), "it is asked no further");
}

#[test]
fn a_refusal_neither_brings_envelope_1_on_nor_counts_as_long_as_it_may_help() {
    let raidas: Vec<RaidaIndex> = RaidaIndex::all().collect();
    let refusals: [Answer; 3] = [
        // Of a server that does not know the envelope, in the header of envelope 1, and in that of 4.
        |raida, _| [&[raida.get(), 0, Status::BAD_ENCRYPTION.0][..], &[0; 29]].concat(),
        |raida, request| answer_with(raida, request, Status::BAD_ENCRYPTION),
        |raida, request| answer_with(raida, request, Status::ENVELOPE_NOT_ALLOWED),
    ];
    for refusal in refusals {
        let mut round = round(25, false);
        for (raida, request) in sent_at(&mut round, Duration::ZERO) {
            deliver(&mut round, raida, refusal(raida, &request), MS);
        }
        assert!(questions_at(&mut round, IN_VAIN - MS).is_empty());
        assert!(matches!(round.progress(IN_VAIN - MS), Progress::Waiting { .. }));
        assert!(matches!(round.faults()[0].1, Fault::Refused(_)));
        let probes = questions_at(&mut round, IN_VAIN);
        answer_all(&mut round, Counter::Restarts, &probes, IN_VAIN + MS);
        assert_eq!(round.answered().count(), 25);
    }
    // Who refuses what is in envelope 4 knows it.
    let mut round = round(25, false);
    for (raida, request) in sent_at(&mut round, Duration::ZERO) {
        deliver(&mut round, raida, answer_with(raida, &request, Status::BAD_PARAMETER), MS);
    }
    assert!(sent_at(&mut round, IN_VAIN).is_empty());
    assert_eq!(round.progress(1001 * MS), Progress::Hopeless);
    assert_eq!(raidas.len(), round.faults().len());
}

#[test]
fn a_refusal_in_envelope_1_in_either_header_ends_it() {
    for len in [SHORT_HEADER_LEN, LONG_HEADER_LEN] {
        let mut round = round(25, true);
        for (raida, request) in questions_at(&mut round, Duration::ZERO) {
            let mut refusal = vec![0; len];
            (refusal[0], refusal[2]) = (raida.get(), Status::UNKNOWN_COMMAND.0);
            let echo = if len == SHORT_HEADER_LEN { 6 } else { 46 };
            refusal[echo..echo + 2].copy_from_slice(&request[30..32]);
            let settled = round.receive(endpoint(raida), &mut refusal, MS);
            assert_eq!(settled, Some(raida));
            assert_eq!(outcome(&round, raida).result, Err(Fault::Refused(Status::UNKNOWN_COMMAND)));
        }
        assert_eq!(round.faults()[24].1, Fault::Refused(Status::UNKNOWN_COMMAND), "{len}");
        assert!(sent_at(&mut round, 400 * MS).is_empty());
        assert_eq!(round.progress(1001 * MS), Progress::Hopeless);
    }
}

#[test]
fn a_share_in_envelope_4_counts_for_more_than_one_in_envelope_1() {
    let mut round = round(25, true);
    let sent = sent_at(&mut round, Duration::ZERO);
    let (probes, first): (Vec<_>, Vec<_>) = sent.into_iter().partition(|(_, request)| is_envelope_1(request));
    answer_all(&mut round, Counter::Continues, &probes, MS);
    assert_eq!(round.envelopes(), [1]);
    let (raida, request) = &first[9];
    deliver(&mut round, *raida, honest_answer(*raida, request), 2 * MS);
    assert_eq!((round.envelopes(), outcome(&round, *raida).way), (vec![1, 4], Way::First));
}

#[test]
fn questions_that_got_lost_are_asked_again_unchanged() {
    let mut round = round(25, true);
    let first = questions_at(&mut round, Duration::ZERO);
    answer_all(&mut round, Counter::Restarts, &first[..2], MS);
    let again = questions_at(&mut round, 200 * MS);
    assert_eq!((again.len(), &again[0], &again[1..]), (1 + 24 * 3, &first[2], &first[3..]));
    // Nobody has answered at the others: they are not asked a third time.
    assert_eq!(questions_at(&mut round, 600 * MS), again[..1]);
    answer_all(&mut round, Counter::Restarts, &again, 601 * MS);
    assert_eq!(round.answered().count(), 25);
}

//! A client's way to a key, with every response in every place, and with RAIDAs that gave wrong shares.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::command;
use crate::envelope::{self, ResponseParts};
use crate::handshake::agreement::Next;
use crate::handshake::{Agreed, Agreement, AgreementError, ForgetProof, HandshakeError, Reason, share_check};
use crate::header::RequestHeader;
use crate::round::{Pace, REQUEST_RANDOM_LEN, Recipient, Round, RoundConfig};
use crate::{Envelope, EnvelopeKey, Status};

const REQUIRED: usize = 13;

fn endpoint() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 50_007))
}

fn key(of: Envelope) -> EnvelopeKey {
    let an = |byte| Secret::fill(|an: &mut [u8; 16]| an.fill(byte)).expect("secret memory");
    let ans = [an(1), an(2)];
    EnvelopeKey::of(of, &ans[..of.coins().count()]).expect("secret memory")
}

/// The first twelve RAIDAs are asked with two coins, the others with one.
fn envelope_for(raida: RaidaIndex) -> Envelope {
    if raida.get() < 12 { Envelope::Type5(COIN_1, COIN_2) } else { Envelope::Type4(COIN_1) }
}

fn recipient(raida: RaidaIndex) -> Recipient {
    let envelope = envelope_for(raida);
    let random = [raida.get(); REQUEST_RANDOM_LEN];
    Recipient {
        raida,
        endpoint: endpoint(),
        envelope,
        key: key(envelope),
        random,
        pace: Pace::default(),
        fallback: None,
    }
}

/// What a RAIDA answers that has the share of the vectors, or another one.
fn answer(raida: RaidaIndex, request: &[u8], width: ShareWidth, is_liar: bool) -> Vec<u8> {
    let mut request = request.to_vec();
    let header = RequestHeader::decode(&request).expect("a request");
    let key = key(header.envelope);
    let body = envelope::open_request(&header, &key, &mut request).expect("an honest request");
    let (challenge, _) = command::split_challenge(body).expect("a challenge");
    let mut share = share(raida).expose(|share| share.to_vec());
    share.truncate(width.share_len());
    share[0] ^= u8::from(is_liar);
    let payload = match width {
        ShareWidth::Wide => [challenge.as_bytes().as_slice(), &share].concat(),
        ShareWidth::Narrow => share,
    };
    let challenge = Some(*challenge.as_bytes());
    let parts =
        ResponseParts { raida, status: Status::SUCCESS, challenge, execution_micros: 0, random: [5; 24] };
    envelope::seal_response(&header, &key, &parts, payload.len(), |out| out.copy_from_slice(&payload))
        .expect("secret memory")
}

/// A round to which these RAIDAs have answered, some of them with a wrong share.
fn collected(raidas: Bitmap, liars: Bitmap, width: ShareWidth) -> Round {
    let recipients = raidas.iter().map(recipient).collect();
    let round = Round::collect_shares(recipients, width, &context(), RoundConfig::new(REQUIRED));
    let mut round = round.expect("secret memory");
    let sent = round.take_due(Duration::ZERO).map(|(raida, _, datagram)| (raida, datagram.to_vec()));
    for (raida, request) in sent.collect::<Vec<_>>() {
        let mut datagram = answer(raida, &request, width, liars.contains(raida));
        round.receive(endpoint(), &mut datagram, Duration::ZERO);
    }
    assert_eq!(round.answered(), raidas);
    round
}

fn of_all(liars: Bitmap) -> Round {
    collected(RaidaIndex::all().collect(), liars, ShareWidth::Wide)
}

fn begun(round: &Round) -> Agreement {
    let agreement =
        Agreement::begin((round, round.answered()), &context(), DOMAIN, REQUIRED, ephemeral_key());
    agreement.expect("secret memory").expect("enough shares")
}

/// A Content Server with the true shares: its response to any first packet.
fn respond(packet: &[u8]) -> Response {
    match FirstPacket::decode(packet).expect("a first packet") {
        FirstPacket::Handshake { prologue: Prologue::Exchange(exchange), raw, message } => {
            let shares: Vec<_> = exchange.raidas().iter().map(share).collect();
            let psk = psk::from_shares(shares.iter(), ShareWidth::Wide, raw).expect("secret memory");
            match Responder::receive(raw, &psk, message, &seeds()) {
                Ok((responder, _)) => responder.accept(grant()).expect("secret memory").0,
                Err(_) => Response::Refused(Reason::WrongShares),
            }
        }
        FirstPacket::ShareCheck(check) => {
            let shares: Vec<_> = check.prologue.raidas().iter().map(|raida| (raida, share(raida))).collect();
            check.respond(&shares, REQUIRED).expect("secret memory")
        }
        other => panic!("unexpected {other:?}"),
    }
}

/// Goes on until there is a key or none.
fn finish(round: &Round, agreement: &mut Agreement) -> Result<Box<Agreed>, AgreementError> {
    loop {
        let response = respond(agreement.packet());
        if let Next::Agreed(agreed) = agreement.receive(round, &response, seed())? {
            return Ok(agreed);
        }
    }
}

fn receive(round: &Round, agreement: &mut Agreement, response: &Response) -> Result<Next, AgreementError> {
    agreement.receive(round, response, seed())
}

/// One of the places in which a response can come.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    First,
    Check,
    Second,
}

/// An agreement that is in that place, with two liars among all.
fn in_place(place: Place, round: &Round) -> Agreement {
    let mut agreement = begun(round);
    let steps = match place {
        Place::First => 0,
        Place::Check => 1,
        Place::Second => 2,
    };
    for _ in 0..steps {
        let response = respond(agreement.packet());
        assert!(matches!(receive(round, &mut agreement, &response), Ok(Next::Send)));
    }
    agreement
}

/// The outcome of a response.
#[derive(Debug, PartialEq)]
enum Outcome {
    Send,
    Agreed,
    Refused(Reason),
    NotTheServer,
    Unexpected,
    Unproven,
}

fn outcome(result: Result<Next, AgreementError>) -> Outcome {
    match result {
        Ok(Next::Send) => Outcome::Send,
        Ok(Next::Agreed(_)) => Outcome::Agreed,
        Err(AgreementError::Refused(reason)) => Outcome::Refused(reason),
        Err(AgreementError::NotTheServer(_)) => Outcome::NotTheServer,
        Err(AgreementError::Unexpected) => Outcome::Unexpected,
        Err(AgreementError::Unproven { .. }) => Outcome::Unproven,
    }
}

const REASONS: [Reason; 8] = [
    Reason::Stale,
    Reason::NoSuchKeySet,
    Reason::NoSuchKey,
    Reason::WrongShares,
    Reason::Replayed,
    Reason::Busy,
    Reason::AnotherDomain,
    Reason::Retired,
];

/// Every kind of response, and what has to become of it in a place. The server is honest where it answers what was
/// asked; all else is made up.
fn responses_in(place: Place, agreement: &Agreement) -> Vec<(Response, Outcome)> {
    let honest = match place {
        Place::First | Place::Check => Outcome::Send,
        Place::Second => Outcome::Agreed,
    };
    let is_check = place == Place::Check;
    let to_handshake = if is_check { Outcome::Unexpected } else { Outcome::NotTheServer };
    let to_check = if is_check { Outcome::Unproven } else { Outcome::Unexpected };
    let short = if is_check { Outcome::Unexpected } else { Outcome::NotTheServer };
    let forgotten = Response::Forgotten { id: [1; 16], proof: ForgetProof([2; 16]) };
    let mut all = vec![
        (respond(agreement.packet()), honest),
        (Response::Accepted(vec![7; 1156]), to_handshake),
        (Response::Accepted(Vec::new()), short),
        (Response::Checked { right: RaidaIndex::all().collect(), mac: [7; 32] }, to_check),
        (forgotten, Outcome::Unexpected),
    ];
    for reason in REASONS {
        let is_asked_for = place == Place::First && reason == Reason::WrongShares;
        let outcome = if is_asked_for { Outcome::Send } else { Outcome::Refused(reason) };
        all.push((Response::Refused(reason), outcome));
    }
    all
}

#[test]
fn every_response_in_every_place_does_what_it_must_and_no_more() {
    let round = of_all(bitmap([3, 20]));
    for place in [Place::First, Place::Check, Place::Second] {
        let count = responses_in(place, &in_place(place, &round)).len();
        for at in 0..count {
            let mut agreement = in_place(place, &round);
            let (response, wanted) = responses_in(place, &agreement).swap_remove(at);
            let packet = agreement.packet().to_vec();
            let found = outcome(receive(&round, &mut agreement, &response));
            assert_eq!(found, wanted, "{place:?}, response {at}");
            if found == Outcome::Send {
                assert_ne!(agreement.packet(), packet, "something else is sent");
                continue;
            }
            // It is over: nothing that comes later makes a key or a packet.
            assert_eq!(agreement.packet(), packet);
            for (late, _) in responses_in(place, &agreement) {
                assert_eq!(outcome(receive(&round, &mut agreement, &late)), Outcome::Unexpected);
            }
        }
    }
}

#[test]
fn a_response_to_another_handshake_is_not_the_servers() {
    let round = of_all(Bitmap::default());
    let (mut one, other) = (begun(&round), begun(&round));
    let result = receive(&round, &mut one, &respond(other.packet()));
    assert!(matches!(result, Err(AgreementError::NotTheServer(HandshakeError::WrongPsk))));
}

#[test]
fn honest_raidas_make_a_key_at_once() {
    let round = of_all(Bitmap::default());
    let agreed = finish(&round, &mut begun(&round)).expect("a key");
    assert_eq!((agreed.raidas.count(), agreed.liars), (25, Bitmap::default()));
    assert_eq!(agreed.accepted.grant, grant());
    let groups = agreed.prologue.groups();
    assert_eq!(groups.len(), 2);
    assert_eq!((groups[0].raidas, groups[1].raidas), (bitmap(0..12), bitmap(12..25)));
    assert_eq!(agreed.prologue.proven_coins(REQUIRED), [COIN_1]);
}

#[test]
fn exactly_those_with_wrong_shares_are_found() {
    let sets: [&[u8]; 5] =
        [&[0], &[24], &[3, 20], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], &[1, 3, 5, 7, 9, 11, 13]];
    for set in sets {
        let liars = bitmap(set.iter().copied());
        let round = of_all(liars);
        let agreed = finish(&round, &mut begun(&round)).expect("a key");
        assert_eq!(agreed.liars, liars);
        assert_eq!(agreed.raidas, RaidaIndex::all().collect::<Bitmap>().without(liars));
        assert_eq!(agreed.prologue.raidas(), agreed.raidas);
        assert_eq!(agreed.prologue.context, context(), "the same client SN and timestamp");
    }
}

#[test]
fn more_liars_than_can_be_spared_prove_nothing() {
    let liars = bitmap(0..13);
    let round = of_all(liars);
    let result = finish(&round, &mut begun(&round)).map(|_| ());
    assert!(matches!(result, Err(AgreementError::Unproven { right: 12 })), "{result:?}");
}

#[test]
fn a_check_that_proves_nothing_names_nobody() {
    let round = of_all(bitmap([3]));
    let at_check = || in_place(Place::Check, &round);
    let Response::Checked { right, mac } = respond(at_check().packet()) else { panic!("checked") };
    assert_eq!(right.count(), 24);
    let all: Bitmap = RaidaIndex::all().collect();
    let mut flipped = mac;
    flipped[31] ^= 1;
    let bad = [
        (right, flipped),
        (right, [0; 32]),
        (all, mac),
        (right.without(bitmap([5])), mac),
        (bitmap(0..12), mac),
        (Bitmap::default(), [0; 32]),
    ];
    for (at, (right, mac)) in bad.into_iter().enumerate() {
        let mut agreement = at_check();
        let result = receive(&round, &mut agreement, &Response::Checked { right, mac });
        assert_eq!(outcome(result), Outcome::Unproven, "{at}");
    }
}

/// The response of a server that has these shares, the client's own among them, and claims these RAIDAs.
fn claimed(packet: &[u8], proven: Bitmap, claimed: Bitmap) -> Response {
    let Ok(FirstPacket::ShareCheck(check)) = FirstPacket::decode(packet) else { panic!("a share check") };
    let shares: Vec<_> = proven.iter().map(share).collect();
    let psk = psk::from_shares(shares.iter(), ShareWidth::Wide, &check.prologue.to_bytes());
    let mac = share_check::mac(&psk.expect("secret memory"), packet, claimed);
    Response::Checked { right: claimed, mac }
}

#[test]
fn a_good_mac_over_a_bitmap_outside_of_those_asked_or_too_small_proves_nothing() {
    let round = collected(bitmap(0..15), bitmap([3]), ShareWidth::Wide);
    let right = bitmap(0..15).without(bitmap([3]));
    for (proven, named, wanted) in [
        (right, right, Outcome::Send),
        (right.without(bitmap([4])), right.without(bitmap([4])), Outcome::Send),
        (right, right.union(bitmap([20])), Outcome::Unproven),
        (bitmap(4..15), bitmap(4..15), Outcome::Unproven),
        (right, right.without(bitmap([4])), Outcome::Unproven),
    ] {
        let mut agreement = in_place(Place::Check, &round);
        let response = claimed(agreement.packet(), proven, named);
        assert_eq!(outcome(receive(&round, &mut agreement, &response)), wanted, "{named:?}");
    }
}

#[test]
fn a_server_looks_at_no_other_raidas_than_those_asked() {
    let shares = shares();
    let mut packet = share_check::ask(&exchange(), shares.iter().map(|(raida, share)| (*raida, share)));
    // Here is a tag of RAIDA 1, which is right but was not asked about.
    let at = packet.len() - 24 * 8;
    assert_eq!(packet[at..at + 8], [0; 8]);
    let tag = share(raida(1)).expose(|share| share_check::tag(share, &exchange().to_bytes()));
    packet[at..at + 8].copy_from_slice(&tag);
    let Ok(FirstPacket::ShareCheck(check)) = FirstPacket::decode(&packet) else { panic!("a share check") };
    let all: Vec<_> = RaidaIndex::all().map(|raida| (raida, share(raida))).collect();
    let respond = |required| match check.respond(&all, required).expect("secret memory") {
        Response::Checked { right, mac } => (right, mac),
        _ => panic!("checked"),
    };
    assert_eq!(respond(13).0, exchange().raidas());
    assert_ne!(respond(13).1, [0; 32]);
    assert_eq!(respond(14), (exchange().raidas(), [0; 32]), "without a MAC where they are too few");
}

#[test]
fn a_server_that_goes_on_refusing_after_a_check_gets_no_second_one() {
    let round = of_all(Bitmap::default());
    let mut agreement = begun(&round);
    let refused = Response::Refused(Reason::WrongShares);
    assert!(matches!(receive(&round, &mut agreement, &refused), Ok(Next::Send)));
    let checked = respond(agreement.packet());
    assert!(matches!(receive(&round, &mut agreement, &checked), Ok(Next::Send)), "all are right");
    let result = receive(&round, &mut agreement, &refused);
    assert_eq!(outcome(result), Outcome::Refused(Reason::WrongShares));
}

#[test]
fn narrow_shares_are_never_checked() {
    let round = collected(bitmap(0..14), Bitmap::default(), ShareWidth::Narrow);
    let mut agreement = begun(&round);
    let result = receive(&round, &mut agreement, &Response::Refused(Reason::WrongShares));
    assert_eq!(outcome(result), Outcome::Refused(Reason::WrongShares));
}

#[test]
fn too_few_shares_begin_nothing() {
    let round = collected(bitmap(0..12), Bitmap::default(), ShareWidth::Wide);
    let agreement =
        Agreement::begin((&round, round.answered()), &context(), DOMAIN, REQUIRED, ephemeral_key());
    assert!(agreement.expect("secret memory").is_none());
}

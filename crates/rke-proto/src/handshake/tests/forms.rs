//! First packets and responses as a peer, or an attacker in the middle, may send them: cut, prolonged, changed, and in
//! every form that section 7 forbids.

use x_wing::{Decapsulate, DecapsulationKey, EncapsulationKey};

use super::*;
use crate::DecodeError;
use crate::handshake::header::with_header;
use crate::handshake::kem::{self, CIPHERTEXT_LEN, CiphertextBytes, PUBLIC_KEY_LEN, PublicKeyBytes};
use crate::handshake::noise::SymmetricState;
use crate::handshake::packet::{Forget, HEADER_LEN, Kind, MAX_MESSAGE_1_LEN, message_1_len, response_header};
use crate::handshake::{ForgetProof, ForgetToken, HandshakeError, KeyId, Reason, share_check};

fn begun(prologue: &Prologue) -> Vec<u8> {
    Initiator::begin(prologue, &server_psk(prologue), ephemeral_key(), DOMAIN).expect("secret memory").1
}

/// What a server takes for the psk of a prologue.
fn server_psk(prologue: &Prologue) -> Secret<32> {
    let Prologue::Exchange(exchange) = prologue else { return counting_from(0x30) };
    let shares: Vec<_> = exchange.raidas().iter().map(share).collect();
    psk::from_shares(shares.iter(), ShareWidth::Wide, &prologue.to_bytes()).expect("secret memory")
}

fn named() -> [Prologue; 2] {
    let cs_id = context().cs_id;
    [
        Prologue::Resume { cs_id, id: ResumptionId([0x22; 16]) },
        Prologue::Attach { cs_id, id: KeyId([0x55; 16]) },
    ]
}

fn handshakes() -> Vec<Vec<u8>> {
    [prologue()].iter().chain(&named()).map(begun).collect()
}

fn share_check_packet() -> Vec<u8> {
    let shares = shares();
    share_check::ask(&exchange(), shares.iter().map(|(raida, share)| (*raida, share)))
}

fn forget() -> Forget {
    Forget { id: [0x66; 16], token: ForgetToken([0x77; 16]) }
}

fn first_packets() -> Vec<Vec<u8>> {
    [handshakes(), vec![share_check_packet(), forget().to_bytes()]].concat()
}

fn responses() -> Vec<Vec<u8>> {
    let accepted = accept(&begun(&prologue()), &psk()).0;
    let checked = Response::Checked { right: exchange().raidas(), mac: [0x88; 32] };
    let forgotten = Response::Forgotten { id: [0x66; 16], proof: ForgetProof([0x99; 16]) };
    let all = [Response::Accepted(accepted), Response::Refused(Reason::Stale), checked, forgotten];
    all.iter().map(Response::to_bytes).collect()
}

/// Each bit of `bytes` flipped in its turn.
fn each_bit_flipped(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..8 * bytes.len()).map(|bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        (bit, changed)
    })
}

#[test]
fn no_packet_is_taken_cut_or_prolonged() {
    for packet in first_packets() {
        assert!(FirstPacket::decode(&packet).is_ok());
        assert!((0..packet.len()).all(|len| FirstPacket::decode(&packet[..len]).is_err()));
        assert!(FirstPacket::decode(&[packet.as_slice(), &[0]].concat()).is_err());
    }
    for response in responses() {
        let decoded = Response::decode(&response).expect("a response");
        assert_eq!(decoded.to_bytes(), response);
        assert!((0..response.len()).all(|len| Response::decode(&response[..len]).is_err()));
        assert!(Response::decode(&[response.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn no_changed_bit_of_a_handshakes_first_packet_is_accepted() {
    for packet in handshakes() {
        let e_at = packet.len() - (PUBLIC_KEY_LEN + 1 + DOMAIN.len() + 16);
        // Of e, which is the most of it, one bit of each byte.
        let is_tried = |bit: usize| {
            let (byte, bit) = (bit / 8, bit % 8);
            !(e_at..e_at + PUBLIC_KEY_LEN).contains(&byte) || bit == byte % 8
        };
        for (bit, changed) in each_bit_flipped(&packet).filter(|(bit, _)| is_tried(*bit)) {
            let Ok(first) = FirstPacket::decode(&changed) else { continue };
            let FirstPacket::Handshake { prologue, raw, message } = first else { panic!("another kind") };
            assert_eq!(prologue.to_bytes(), raw, "what decodes encodes to the same");
            let received = Responder::read(raw, &server_psk(&prologue), message);
            assert!(matches!(received, Err(HandshakeError::WrongPsk)), "bit {bit}");
        }
    }
}

#[test]
fn no_changed_byte_of_message_2_is_accepted() {
    let (_, packet) =
        Initiator::begin(&prologue(), &psk(), key_of(counting_from(1)), DOMAIN).expect("secret memory");
    let (message, _) = accept(&packet, &psk());
    let receive = |message: &[u8]| {
        let (initiator, _) =
            Initiator::begin(&prologue(), &psk(), key_of(counting_from(1)), DOMAIN).expect("memory");
        initiator.receive(message)
    };
    assert!(receive(&message).is_ok());
    for at in 0..message.len() {
        let mut changed = message.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(matches!(receive(&changed), Err(HandshakeError::WrongPsk)), "byte {at}");
    }
    for len in (0..CIPHERTEXT_LEN).step_by(100).chain(CIPHERTEXT_LEN - 1..message.len()) {
        let wanted_malformed = len < CIPHERTEXT_LEN;
        let error = receive(&message[..len]).err();
        assert_eq!(matches!(error, Some(HandshakeError::Malformed(_))), wanted_malformed, "cut at {len}");
        assert!(error.is_some());
    }
    assert!(receive(&[message.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn no_changed_bit_of_a_share_check_proves_anything() {
    let (packet, of_client) = (share_check_packet(), shares());
    let is_proven = |right: Bitmap, mac: &[u8; 32]| {
        let pairs = of_client.iter().map(|(raida, share)| (*raida, share));
        share_check::is_proven(&exchange(), &packet, pairs, right, mac, 1).expect("secret memory")
    };
    for (bit, changed) in each_bit_flipped(&packet) {
        let Ok(FirstPacket::ShareCheck(check)) = FirstPacket::decode(&changed) else { continue };
        let of_server: Vec<_> = check.prologue.raidas().iter().map(|raida| (raida, share(raida))).collect();
        let Ok(Response::Checked { right, mac }) = check.respond(&of_server, 1) else { panic!("checked") };
        assert!(!is_proven(right, &mac), "bit {bit}");
    }
    let Ok(FirstPacket::ShareCheck(check)) = FirstPacket::decode(&packet) else { panic!("a share check") };
    let response = check.respond(&shares(), 13).expect("secret memory").to_bytes();
    for (bit, changed) in each_bit_flipped(&response) {
        let Ok(Response::Checked { right, mac }) = Response::decode(&changed) else { continue };
        assert!(!is_proven(right, &mac), "bit {bit}");
    }
}

#[test]
fn no_changed_bit_of_a_forget_packet_is_the_right_token() {
    for (bit, changed) in each_bit_flipped(&forget().to_bytes()) {
        let Ok(FirstPacket::Forget(found)) = FirstPacket::decode(&changed) else { continue };
        assert!(found.id != forget().id || !found.token.matches(&forget().token), "bit {bit}");
    }
    assert_eq!(format!("{:?}", forget()), format!("Forget {{ id: {}, .. }}", "66".repeat(16)));
}

#[test]
fn every_kind_and_length_that_there_is_not_is_refused_by_its_header() {
    for kind in (0..=u8::MAX).filter(|kind| !(1..=5).contains(kind)) {
        let mut packet = begun(&prologue());
        packet[4] = kind;
        assert!(matches!(FirstPacket::decode(&packet), Err(DecodeError::BadValue { .. })), "kind {kind}");
    }
    for kind in (0..=u8::MAX).filter(|kind| !(0x81..=0x84).contains(kind)) {
        assert!(response_header(&[b'R', b'K', b'E', b'3', kind, 0, 1]).is_err(), "kind {kind}");
    }
    for (kind, len) in [(2, 31), (2, 33), (5, 31), (4, 31), (4, 33), (1, 382), (3, 582), (1, 65_535)] {
        let [high, low] = u16::to_be_bytes(len);
        let header = [b'R', b'K', b'E', b'3', kind, high, low];
        assert!(crate::handshake::packet::FirstHeader::decode(&header).is_err(), "{kind} of {len}");
    }
    for reason in [0, 9, 255] {
        assert!(Response::decode(&[b'R', b'K', b'E', b'3', 0x82, 0, 1, reason]).is_err());
    }
    for reason in 1..=8 {
        let Ok(Response::Refused(found)) = Response::decode(&[b'R', b'K', b'E', b'3', 0x82, 0, 1, reason])
        else {
            panic!("reason {reason}")
        };
        assert_eq!(found.to_wire(), reason);
    }
}

/// A packet of kind 1 with these groups, whatever they are, and a message behind it.
fn with_groups(count: u8, groups: &[[u8; 4]]) -> Vec<u8> {
    let mut content = exchange().content()[..30].to_vec();
    content.push(count);
    for bitmap in groups {
        content.extend(bitmap);
        content.extend([7; 10]);
    }
    let packet = with_header(Kind::Exchange, &content);
    [packet, vec![4, 0xE4], vec![0; 0x4E4]].concat()
}

#[test]
fn groups_are_1_to_25_of_disjoint_raidas() {
    let taken = |count, groups: &[[u8; 4]]| FirstPacket::decode(&with_groups(count, groups)).is_ok();
    let each: Vec<[u8; 4]> = (0..25).map(|raida| (1_u32 << raida).to_be_bytes()).collect();
    assert!(taken(1, &[[1, 0xFF, 0xFF, 0xFF]]) && taken(25, &each));
    assert!(!taken(0, &[]), "none");
    assert!(!taken(26, &[each.as_slice(), &[[0, 0, 0, 0]]].concat()), "26, of which one is empty");
    assert!(!taken(26, &[each.as_slice(), &[each[0]]].concat()), "26, of which two overlap");
    assert!(!taken(255, &each), "more than there are");
    assert!(!taken(2, &[each[0], each[1], each[2]]) && !taken(3, &each[..2]), "not as many as it says");
    assert!(!taken(2, &[each[0], [0, 0, 0, 0]]), "an empty one");
    assert!(!taken(2, &[each[0], each[0]]) && !taken(2, &[[0, 0, 0, 7], [0, 0, 0, 4]]), "overlapping ones");
    for bit in 25..32 {
        assert!(!taken(1, &[(1_u32 << bit | 1).to_be_bytes()]), "bit {bit}");
    }
}

#[test]
fn a_content_server_id_is_printable_and_then_zeros() {
    for packet in handshakes() {
        let with_id = |id: &[u8; 16]| {
            let mut packet = packet.clone();
            packet[HEADER_LEN..][..16].copy_from_slice(id);
            FirstPacket::decode(&packet).is_ok()
        };
        assert!(with_id(b"A\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") && with_id(b"AAAAAAAAAAAAAAAA"));
        assert!(!with_id(&[0; 16]), "empty");
        assert!(!with_id(b"A\0A\0\0\0\0\0\0\0\0\0\0\0\0\0"), "a hole");
        for byte in [1, b'\t', b'\n', b' ', 0x7F, 0x80, 0xFF] {
            let mut id = *b"AAAAAAAAAAAAAAAA";
            id[15] = byte;
            assert!(!with_id(&id), "{byte:#x}");
        }
    }
    let mut no_key_set = begun(&prologue());
    no_key_set[HEADER_LEN + 16] = 0;
    assert!(FirstPacket::decode(&no_key_set).is_err());
}

/// What a server reads from a message 1 with any payload.
fn domain_in(payload: &[u8]) -> Option<String> {
    let (_, packet) =
        Initiator::begin_with(&prologue(), &psk(), ephemeral_key(), payload).expect("secret memory");
    let Ok(FirstPacket::Handshake { raw, message, .. }) = FirstPacket::decode(&packet) else {
        panic!("a handshake")
    };
    Responder::receive(raw, &psk(), message, &seeds()).expect("the psk is right").1.domain
}

#[test]
fn a_domain_that_overruns_its_payload_is_none() {
    assert_eq!(domain_in(b"\x01a").as_deref(), Some("a"));
    assert_eq!(domain_in(b"\x03a.bcd and more").as_deref(), Some("a.b"), "more bytes are ignored");
    for none in [b"".as_slice(), b"\0", b"\0a", b"\x02a", b"\xFFa", b"\x02\xC3\x28"] {
        assert_eq!(domain_in(none), None, "{none:?}");
    }
    assert_eq!(domain_in(&[&[255], [b'a'; 255].as_slice()].concat()), Some("a".repeat(255)));
}

#[test]
fn message_1_has_at_most_2048_bytes() {
    let longest = MAX_MESSAGE_1_LEN - PUBLIC_KEY_LEN - 16;
    let payload = [&[1, b'a'], vec![0; longest - 2].as_slice()].concat();
    assert_eq!(domain_in(&payload).as_deref(), Some("a"));
    let (_, packet) =
        Initiator::begin_with(&prologue(), &psk(), ephemeral_key(), &[payload, vec![0]].concat())
            .expect("memory");
    assert!(FirstPacket::decode(&packet).is_err());
    let shortest = (PUBLIC_KEY_LEN + 16) as u16;
    assert!(
        message_1_len(shortest.to_be_bytes()).is_ok() && message_1_len((shortest - 1).to_be_bytes()).is_err()
    );
    assert!(message_1_len([0, 0]).is_err() && message_1_len([0xFF, 0xFF]).is_err());
}

/// Message 1 of a client that has the psk but sends this for e.
fn message_with(public: &PublicKeyBytes) -> Vec<u8> {
    let mut state = SymmetricState::begin(&prologue().to_bytes(), &psk()).expect("secret memory");
    state.mix_hash(public);
    state.mix_key(public);
    let mut message = public.to_vec();
    state.encrypt_and_hash(b"\x01a", &mut message);
    message
}

#[test]
fn an_e_that_must_be_refused_is_refused_like_a_wrong_psk() {
    let good = kem::public_key(&seed()).expect("a key");
    let received = |public: &PublicKeyBytes| {
        let received = Responder::receive(&prologue().to_bytes(), &psk(), &message_with(public), &seeds());
        received.map(|(_, one)| one.domain)
    };
    assert_eq!(received(&good).ok(), Some(Some("a".to_owned())));
    // FIPS 203, 7.2: a coefficient of 3329 or more. The first takes 12 bits.
    let mut unreduced = *good;
    (unreduced[0], unreduced[1]) = (0x01, unreduced[1] & 0xF0 | 0x0D);
    assert!(matches!(received(&unreduced), Err(HandshakeError::WrongPsk)));
    for low_order in LOW_ORDER {
        for top_bit in [0, 0x80] {
            let mut public = *good;
            public[PUBLIC_KEY_LEN - 32..].copy_from_slice(&hex::decode(low_order).expect("hex"));
            public[PUBLIC_KEY_LEN - 1] |= top_bit;
            assert!(matches!(received(&public), Err(HandshakeError::WrongPsk)), "{low_order}");
        }
    }
}

/// All u-coordinates with which X25519 gives zeros, in all their encodings except the top bit, which is ignored.
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// Message 2 of a server that has the psk and goes on with this ciphertext whatever X25519 gives.
fn message_2_with(ciphertext: &CiphertextBytes, packet: &[u8]) -> Vec<u8> {
    let Ok(FirstPacket::Handshake { raw, message, .. }) = FirstPacket::decode(packet) else {
        panic!("a handshake")
    };
    let (mut state, _, _) = Responder::read(raw, &psk(), message).expect("a good packet");
    let of_client: [u8; 32] = std::array::from_fn(|at| at as u8);
    state.mix_hash(ciphertext);
    state.mix_key(&DecapsulationKey::from(of_client).decapsulate(&(*ciphertext).into()));
    let mut message = ciphertext.to_vec();
    state.encrypt_and_hash(&grant().to_bytes(), &mut message);
    message
}

#[test]
fn a_client_refuses_a_ciphertext_with_which_x25519_gives_zeros() {
    let (_, packet) =
        Initiator::begin(&prologue(), &psk(), key_of(counting_from(0)), DOMAIN).expect("memory");
    let public = kem::public_key(&counting_from(0)).expect("a key");
    let public = EncapsulationKey::try_from(public.as_slice()).expect("a key");
    let (ciphertext, _) = public.encapsulate_deterministic(&[9; 64].into());
    let received = |ciphertext: &CiphertextBytes| {
        let (initiator, _) =
            Initiator::begin(&prologue(), &psk(), key_of(counting_from(0)), DOMAIN).expect("memory");
        initiator.receive(&message_2_with(ciphertext, &packet))
    };
    let mut ciphertext: CiphertextBytes = ciphertext.into();
    assert!(received(&ciphertext).is_ok());
    for low_order in LOW_ORDER {
        ciphertext[CIPHERTEXT_LEN - 32..].copy_from_slice(&hex::decode(low_order).expect("hex"));
        assert!(matches!(received(&ciphertext), Err(HandshakeError::WrongPsk)), "{low_order}");
    }
}

#[test]
fn a_grant_may_be_followed_by_more_and_names_no_resumption_by_zeros() {
    let without = Grant { resumption: None, lifetime: 7 };
    assert_eq!(without.to_bytes(), [[0; 16].as_slice(), &[0, 0, 0, 7]].concat().as_slice());
    for grant in [grant(), without] {
        let bytes = grant.to_bytes();
        assert_eq!(Grant::decode(&bytes), Ok(grant));
        assert_eq!(Grant::decode(&[bytes.as_slice(), b"more"].concat()), Ok(grant));
        assert!((0..bytes.len()).all(|len| Grant::decode(&bytes[..len]).is_err()));
    }
}

#[test]
fn a_proven_coin_covers_the_required_raidas() {
    let proven = |required| exchange().proven_coins(required);
    assert_eq!(proven(6), [COIN_1, COIN_2]);
    assert_eq!(proven(7), [COIN_1]);
    assert_eq!(proven(13), [COIN_1]);
    assert!(proven(14).is_empty());
}

#[test]
fn a_part_of_an_exchange_leaves_out_groups_that_become_empty() {
    let part = exchange().only(bitmap([2, 4, 5])).expect("two are left");
    assert_eq!((part.groups().len(), part.raidas()), (1, bitmap([2, 4])));
    assert_eq!(exchange().only(bitmap([1, 3])), None);
    assert_eq!(exchange().only(exchange().raidas()), Some(exchange()));
}

#[test]
fn a_forget_token_and_a_proof_match_their_equals_only() {
    let (token, proof) = (ForgetToken([0x77; 16]), ForgetProof([0x99; 16]));
    assert!(token.matches(&ForgetToken([0x77; 16])) && proof.matches(&ForgetProof([0x99; 16])));
    for at in 0..16 {
        let mut other = [0x77; 16];
        other[at] ^= 1;
        assert!(!token.matches(&ForgetToken(other)), "byte {at}");
        let mut other = [0x99; 16];
        other[at] ^= 1;
        assert!(!proof.matches(&ForgetProof(other)), "byte {at}");
    }
}

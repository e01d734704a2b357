//! Against clatter, another implementation of Noise, with X-Wing as its KEM: as client, as server, and in the records.

use clatter::KeyPair;
use clatter::bytearray::{ByteArray, SensitiveByteArray};
use clatter::cipherstate::{CipherState, CipherStates};
use clatter::crypto::cipher::AesGcm;
use clatter::crypto::hash::Sha256;
use clatter::error::{KemError, KemResult};
use clatter::handshakepattern::noise_pqnn;
use clatter::traits::{CryptoComponent, Handshaker, Kem, Rng};
use clatter::transportstate::TransportState;
use x_wing::{
    Ciphertext, Decapsulate, DecapsulationKey, Decapsulator, EncapsulationKey, KeyExport, SharedKey,
};

use super::*;
use crate::handshake::kem::{CIPHERTEXT_LEN, ENCAPSULATION_RANDOM_LEN, PUBLIC_KEY_LEN};
use crate::handshake::record::{LEN_LEN, REKEY_EVERY};
use crate::handshake::{BreakCode, Record, RecordOpener, RecordSealer, keys};

#[derive(Clone)]
struct XWing;

impl CryptoComponent for XWing {
    fn name() -> &'static str {
        "XWing"
    }
}

impl Kem for XWing {
    type SecretKey = SensitiveByteArray<[u8; SEED_LEN]>;
    type PubKey = [u8; PUBLIC_KEY_LEN];
    type Ct = [u8; CIPHERTEXT_LEN];
    type Ss = SensitiveByteArray<[u8; 32]>;

    fn genkey_rng<R: Rng>(rng: &mut R) -> KemResult<KeyPair<Self::PubKey, Self::SecretKey>> {
        let mut seed = [0; SEED_LEN];
        rng.fill_bytes(&mut seed);
        let public = DecapsulationKey::from(seed).encapsulation_key().to_bytes();
        Ok(KeyPair { public: public.into(), secret: SensitiveByteArray::new(seed) })
    }

    fn encapsulate<R: Rng>(public: &[u8], rng: &mut R) -> KemResult<(Self::Ct, Self::Ss)> {
        let key = EncapsulationKey::try_from(public).map_err(|_| KemError::Input)?;
        let mut random = [0; ENCAPSULATION_RANDOM_LEN];
        rng.fill_bytes(&mut random);
        let (ciphertext, shared): (Ciphertext, SharedKey) = key.encapsulate_deterministic(&random.into());
        Ok((ciphertext.into(), SensitiveByteArray::new(shared.into())))
    }

    fn decapsulate(ciphertext: &[u8], seed: &[u8]) -> KemResult<Self::Ss> {
        let seed: [u8; SEED_LEN] = seed.try_into().map_err(|_| KemError::Input)?;
        let ciphertext: [u8; CIPHERTEXT_LEN] = ciphertext.try_into().map_err(|_| KemError::Input)?;
        let shared = DecapsulationKey::from(seed).decapsulate(&ciphertext.into());
        Ok(SensitiveByteArray::new(shared.into()))
    }
}

type Peer = clatter::PqHandshake<XWing, XWing, AesGcm, Sha256>;
type PeerTransport = TransportState<AesGcm, Sha256>;

/// Longer than any message here.
const ROOM: usize = 4096;

fn peer(is_client: bool, prologue: &[u8], psk: &Secret<32>) -> Peer {
    let pattern = noise_pqnn().add_psks(&[0], "pqNNpsk0");
    let mut peer = Peer::new(pattern, prologue, is_client, None, None, None, None).expect("a handshake");
    assert_eq!(peer.get_name().as_str(), "Noise_pqNNpsk0_XWing_AESGCM_SHA256");
    psk.expose(|psk| peer.push_psk(psk));
    peer
}

fn written(peer: &mut Peer, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; ROOM];
    let len = peer.write_message(payload, &mut message).expect("a message");
    message.truncate(len);
    message
}

fn read(peer: &mut Peer, message: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; ROOM];
    let len = peer.read_message(message, &mut payload).expect("a good message");
    payload.truncate(len);
    payload
}

/// clatter's client with our server: what both have then.
fn with_their_client() -> (PeerTransport, Accepted) {
    let prologue = prologue().to_bytes();
    let mut client = peer(true, &prologue, &psk());
    let message = written(&mut client, &[&[DOMAIN.len() as u8], DOMAIN.as_bytes()].concat());
    let packet = [&prologue, (message.len() as u16).to_be_bytes().as_slice(), &message].concat();
    let Ok(FirstPacket::Handshake { raw, message, .. }) = FirstPacket::decode(&packet) else {
        panic!("a handshake")
    };
    let (responder, one) = Responder::receive(raw, &psk(), message, &seeds()).expect("a good message");
    assert_eq!(one.domain.as_deref(), Some(DOMAIN));
    let (response, accepted) = responder.accept(grant()).expect("secret memory");
    let Response::Accepted(message) = response else { panic!("it accepts") };
    assert_eq!(read(&mut client, &message), grant().to_bytes());
    (client.finalize().expect("a transport"), accepted)
}

/// Our client with clatter's server.
fn with_their_server() -> (PeerTransport, Accepted) {
    let (initiator, packet) =
        Initiator::begin(&prologue(), &psk(), ephemeral_key(), DOMAIN).expect("secret memory");
    let Ok(FirstPacket::Handshake { raw, message, .. }) = FirstPacket::decode(&packet) else {
        panic!("a handshake")
    };
    let mut server = peer(false, raw, &psk());
    assert_eq!(read(&mut server, message), [&[DOMAIN.len() as u8], DOMAIN.as_bytes()].concat());
    // Bytes after the two fields are ignored.
    let message = written(&mut server, &[grant().to_bytes().as_slice(), b"and more"].concat());
    let accepted = initiator.receive(&message).expect("a good response");
    assert_eq!(accepted.grant, grant());
    (server.finalize().expect("a transport"), accepted)
}

fn opened(cipher: &mut CipherState<AesGcm>, record: &[u8]) -> Vec<u8> {
    let sealed = &record[LEN_LEN..];
    let mut plaintext = vec![0; sealed.len() - 16];
    cipher.decrypt_with_ad(&[], sealed, &mut plaintext).expect("their opener opens it");
    plaintext
}

fn sealed(cipher: &mut CipherState<AesGcm>, plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0; plaintext.len() + 16];
    cipher.encrypt_with_ad(&[], plaintext, &mut sealed).expect("their sealer seals it");
    sealed
}

/// Records of all types pass both ways, also across the place where the keys change.
fn talk(
    sealer: &mut RecordSealer,
    opener: &mut RecordOpener,
    to_peer: &mut CipherState<AesGcm>,
    from_peer: &mut CipherState<AesGcm>,
) {
    for round in 1..=3_u8 {
        assert_eq!(
            opened(to_peer, &sealer.data(&[round; 100]).expect("a record")),
            [vec![0], vec![round; 100]].concat()
        );
        assert_eq!(opener.open(sealed(from_peer, &[0, round])), Ok(Record::Data(vec![round])));
        // As if there had been all that go before a change of keys.
        let last = u64::from(round) * REKEY_EVERY - 1;
        sealer.0.cipher.skip_to(last);
        opener.0.cipher.skip_to(last);
        to_peer.set_nonce(last);
        from_peer.set_nonce(last);
        assert_eq!(opened(to_peer, &sealer.data(b"last").expect("a record")), b"\0last");
        assert_eq!(opener.open(sealed(from_peer, b"\0last")), Ok(Record::Data(b"last".to_vec())));
        to_peer.rekey().expect("a new key");
        from_peer.rekey().expect("a new key");
        assert_eq!(to_peer.get_nonce(), last + 1);
    }
    let broken_off = Record::BrokenOff { code: BreakCode::Idle, text: "idle".to_owned() };
    assert_eq!(opened(to_peer, &sealer.end(None).expect("an end")), [1]);
    assert_eq!(opener.open(sealed(from_peer, b"\x02\x04idle")), Ok(broken_off));
}

/// The names of sessions' keys come from the hash, so equal ones show equal hashes.
fn assert_same(peer: &PeerTransport, accepted: &Accepted) {
    let hash: [u8; 32] = peer.get_handshake_hash().as_slice().try_into().expect("32 bytes");
    assert_eq!(accepted.secrets.key_id, keys::key_id(&hash));
}

#[test]
fn their_client_and_this_server_understand_each_other() {
    let (peer, mut accepted) = with_their_client();
    assert_same(&peer, &accepted);
    let CipherStates { mut initiator_to_responder, mut responder_to_initiator } = peer.take();
    let transport = &mut accepted.transport;
    let (sealer, opener) = (&mut transport.sealer, &mut transport.opener);
    talk(sealer, opener, &mut responder_to_initiator, &mut initiator_to_responder);
}

#[test]
fn this_client_and_their_server_understand_each_other() {
    let (peer, mut accepted) = with_their_server();
    assert_same(&peer, &accepted);
    let CipherStates { mut initiator_to_responder, mut responder_to_initiator } = peer.take();
    let transport = &mut accepted.transport;
    let (sealer, opener) = (&mut transport.sealer, &mut transport.opener);
    talk(sealer, opener, &mut initiator_to_responder, &mut responder_to_initiator);
}

#[test]
fn their_server_refuses_another_psk_and_another_prologue() {
    let (_, packet) = Initiator::begin(&prologue(), &psk(), ephemeral_key(), DOMAIN).expect("secret memory");
    let Ok(FirstPacket::Handshake { raw, message, .. }) = FirstPacket::decode(&packet) else {
        panic!("a handshake")
    };
    let mut other = raw.to_vec();
    other[30] ^= 1;
    for mut server in [peer(false, raw, &counting_from(9)), peer(false, &other, &psk())] {
        assert!(server.read_message(message, &mut [0; ROOM]).is_err());
    }
}

//! The known answers in `vectors/rke-vectors.json`, `handshake_3`. Where the file does not say with what randomness
//! a message was made, it is opened and what follows from it is compared.

use serde_json::Value;

use super::*;
use crate::handshake::packet::{Forget, MESSAGE_LEN_LEN, message_1_len};
use crate::handshake::record::{LEN_LEN, record_len};
use crate::handshake::share_check;
use crate::handshake::{ForgetProof, KeyId, Record, keys};

fn vectors() -> Value {
    let text = include_str!("../../../../../vectors/rke-vectors.json");
    serde_json::from_str::<Value>(text).expect("the vectors are JSON")["handshake_3"].take()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a hex string")).expect("hex")
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("the right length")
}

fn known(value: &Value) -> Secret<32> {
    secret(array(value))
}

/// The secret is the known one.
fn assert_is(secret: &Secret<32>, value: &Value, what: &str) {
    assert_eq!(secret.expose(|bytes| hex::encode(bytes)), value.as_str().expect("hex"), "{what}");
}

/// What K gives by one of the functions of `keys`.
fn given_by(key: &Secret<32>, function: fn(&[u8; 32], &mut [u8; 32])) -> Secret<32> {
    Secret::fill(|out| key.expose(|key| function(key, out))).expect("secret memory")
}

fn cs_id() -> ContentServerId {
    context().cs_id
}

/// The client makes the vectors' first packet and takes in their response.
fn client(prologue: &Prologue, psk: &Secret<32>, vectors: &Value) -> Accepted {
    let (initiator, packet) =
        Initiator::begin(prologue, psk, key_of(known(&vectors["client_ephemeral_seed"])), DOMAIN)
            .expect("memory");
    assert_eq!(hex::encode(&packet), vectors["first_packet"].as_str().expect("hex"));
    let Ok(Response::Accepted(message)) = Response::decode(&bytes(&vectors["answer"])) else {
        panic!("the answer accepts")
    };
    initiator.receive(&message).expect("the answer is good")
}

/// The server reads the vectors' first packet, and what it answers is understood by the client that made it.
fn server(prologue: &Prologue, psk: &Secret<32>, vectors: &Value) {
    let packet = bytes(&vectors["first_packet"]);
    let Ok(FirstPacket::Handshake { prologue: found, raw, message }) = FirstPacket::decode(&packet) else {
        panic!("a handshake")
    };
    assert_eq!((&found, hex::encode(raw).as_str()), (prologue, vectors["prologue"].as_str().expect("hex")));
    assert_eq!(raw, prologue.to_bytes());
    let (responder, one) = Responder::receive(raw, psk, message, &seeds()).expect("the packet is good");
    assert_eq!(one.domain.as_deref(), Some(DOMAIN));
    let grant = Grant { resumption: Some(ResumptionId([7; 16])), lifetime: 1 };
    let (response, of_server) = responder.accept(grant).expect("secret memory");
    let Response::Accepted(message) = response else { panic!("it accepts") };
    let seed = known(&vectors["client_ephemeral_seed"]);
    let (initiator, _) = Initiator::begin(prologue, psk, key_of(seed), DOMAIN).expect("secret memory");
    let of_client = initiator.receive(&message).expect("the response is good");
    assert!(of_client.secrets.key.matches(&of_server.secrets.key));
    assert!(of_client.secrets.resumption.matches(&of_server.secrets.resumption));
    assert_eq!(of_client.secrets.key_id, of_server.secrets.key_id);
    assert_eq!(of_client.grant, grant);
}

/// What follows the length field of a record, where it is right.
fn record(value: &Value) -> Vec<u8> {
    let whole = bytes(value);
    let (len, sealed) = whole.split_first_chunk::<LEN_LEN>().expect("a length");
    assert_eq!(record_len(*len), Ok(sealed.len()));
    sealed.to_vec()
}

fn assert_sealed(sealed: Vec<u8>, value: &Value) {
    assert_eq!(hex::encode(sealed), value.as_str().expect("hex"));
}

#[test]
fn an_exchange_is_that_of_the_vectors() {
    let vectors = vectors();
    assert_eq!(hex::encode(prologue().to_bytes()), vectors["prologue"].as_str().expect("hex"));
    assert_is(&psk(), &vectors["psk"], "psk");
    server(&prologue(), &psk(), &vectors);
    let mut accepted = client(&prologue(), &psk(), &vectors);
    let payload = bytes(&vectors["answer_payload"]);
    assert_eq!(accepted.grant.to_bytes().as_slice(), payload);
    let Accepted { secrets, grant, transport } = &mut accepted;
    assert_eq!(grant.resumption.map(|id| id.0.to_vec()), Some(payload[..16].to_vec()));
    assert_eq!(grant.lifetime, 86_400);
    let key = &secrets.key;
    assert_is(key, &vectors["session_key"], "session key");
    assert_is(&given_by(key, keys::ctr_key), &vectors["ctr_key"], "ctr key");
    assert_is(&given_by(key, keys::seal_key), &vectors["seal_key"], "seal key");
    assert_is(&given_by(key, keys::export_key), &vectors["export_key"], "export key");
    assert_is(&secrets.resumption, &vectors["resumption_secret"], "resumption secret");
    assert_eq!(secrets.key_id, KeyId(array(&vectors["key_id"])));
    assert_eq!(key.expose(keys::forget_token).0, array(&vectors["forget_token"]));
    assert!(key.expose(keys::forget_proof).matches(&ForgetProof(array(&vectors["forgotten_proof"]))));
    assert_sealed(transport.sealer.end(None).expect("an end"), &vectors["client_records"]["end"]);
    assert_eq!(transport.opener.open(record(&vectors["server_records"]["end"])), Ok(Record::End(None)));
}

#[test]
fn the_hash_at_the_end_is_that_of_the_vectors() {
    let vectors = vectors();
    let seed = known(&vectors["client_ephemeral_seed"]);
    let (initiator, packet) =
        Initiator::begin(&prologue(), &psk(), key_of(seed), DOMAIN).expect("secret memory");
    let Ok(Response::Accepted(message)) = Response::decode(&bytes(&vectors["answer"])) else {
        panic!("the answer accepts")
    };
    let (state, payload) = initiator.read(&message).expect("the answer is good");
    assert_eq!(hex::encode(payload), vectors["answer_payload"].as_str().expect("hex"));
    assert_eq!(hex::encode(state.finish().1), vectors["handshake_hash"].as_str().expect("hex"));
    let prologue_len = prologue().to_bytes().len();
    let (len, message_1) = packet[prologue_len..].split_first_chunk::<MESSAGE_LEN_LEN>().expect("a length");
    assert_eq!(message_1_len(*len), Ok(message_1.len()));
}

#[test]
fn the_payload_of_message_1_is_that_of_the_vectors() {
    let payload = bytes(&vectors()["message_1_payload"]);
    assert_eq!(payload, [&[DOMAIN.len() as u8], DOMAIN.as_bytes()].concat());
    let packet = bytes(&vectors()["first_packet"]);
    let Ok(FirstPacket::Handshake { raw, message, .. }) = FirstPacket::decode(&packet) else {
        panic!("a handshake")
    };
    assert_eq!(Responder::read(raw, &psk(), message).expect("the packet is good").1, payload);
}

#[test]
fn a_share_check_is_that_of_the_vectors() {
    let vectors = &vectors()["share_check"];
    let of_client = shares();
    let pairs = || of_client.iter().map(|(raida, share)| (*raida, share));
    let packet = share_check::ask(&exchange(), pairs());
    assert_eq!(hex::encode(&packet), vectors["packet"].as_str().expect("hex"));
    let Ok(FirstPacket::ShareCheck(check)) = FirstPacket::decode(&packet) else { panic!("a share check") };
    assert_eq!(check.prologue, exchange());
    let known: [u8; 32] = array(&vectors["mac_where_all_match"]);
    let Ok(Response::Checked { right, mac }) = check.respond(&shares(), 13) else { panic!("a response") };
    assert_eq!((right, mac), (exchange().raidas(), known));
    let is_proven = share_check::is_proven(&exchange(), &packet, pairs(), right, &known, 13);
    assert!(is_proven.expect("secret memory"));
}

#[test]
fn a_resumption_is_that_of_the_vectors() {
    let vectors = vectors();
    let id = ResumptionId(bytes(&vectors["answer_payload"])[..16].try_into().expect("16 bytes"));
    let prologue = Prologue::Resume { cs_id: cs_id(), id };
    let (resume, psk) = (&vectors["resume"], known(&vectors["resumption_secret"]));
    assert_eq!(hex::encode(prologue.to_bytes()), resume["prologue"].as_str().expect("hex"));
    server(&prologue, &psk, resume);
}

#[test]
fn an_attachment_and_its_records_are_those_of_the_vectors() {
    let vectors = vectors();
    let attach = &vectors["attach"];
    let psk = keys::attach_psk(&known(&vectors["session_key"])).expect("secret memory");
    assert_is(&psk, &attach["psk"], "psk");
    let prologue = Prologue::Attach { cs_id: cs_id(), id: KeyId(array(&vectors["key_id"])) };
    server(&prologue, &psk, attach);
    let mut accepted = client(&prologue, &psk, attach);
    assert_eq!(accepted.grant.to_bytes().as_slice(), bytes(&attach["answer_payload"]));
    assert_eq!(accepted.grant, Grant { resumption: None, lifetime: 86_000 });
    let (sealer, opener) = (&mut accepted.transport.sealer, &mut accepted.transport.opener);
    let (from_client, from_server) = (&attach["client_records"], &attach["server_records"]);
    assert_sealed(sealer.data(b"hello").expect("a record"), &from_client["data 'hello'"]);
    assert_sealed(sealer.end(None).expect("an end"), &from_client["end"]);
    let data = opener.open(record(&from_server["data 'HELLO'"]));
    assert_eq!(data, Ok(Record::Data(b"HELLO".to_vec())));
    assert_eq!(opener.open(record(&from_server["end, status 3"])), Ok(Record::End(Some(3))));
    assert!(opener.is_over() && sealer.is_over());
}

#[test]
fn a_forget_packet_is_that_of_the_vectors() {
    let vectors = vectors();
    let id = array(&vectors["key_id"]);
    let token = known(&vectors["session_key"]).expose(keys::forget_token);
    let packet = Forget { id, token }.to_bytes();
    assert_eq!(hex::encode(&packet), vectors["forget_packet"].as_str().expect("hex"));
    let Ok(FirstPacket::Forget(forget)) = FirstPacket::decode(&packet) else { panic!("a forget packet") };
    assert!(forget.id == id && forget.token.matches(&token));
}

//! The known answers in `vectors/content-server.json`, checked against this implementation: both sides of
//! `docs/protocol.md` section 8, and what each of them must see through.

mod altered;

use std::time::Duration;

use rke_secret::Secret;
use serde_json::Value;

use crate::coin::CoinId;
use crate::cursor::DecodeError;
use crate::derive::{self, ShareKind, ShareWidth};
use crate::envelope::{self, ResponseParts};
use crate::header::RequestHeader;
use crate::round::{Pace, REQUEST_RANDOM_LEN, Recipient, Round, RoundConfig};
use crate::tunnel::confirm::ConfirmError;
use crate::tunnel::response::{self, Form};
use crate::tunnel::{
    ClientKeyId, Confirmation, Covered, Handshake, HandshakeNonce, Response, SessionIdentifier, packet,
};
use crate::{
    Bitmap, ClientSn, ContentServerId, Envelope, EnvelopeKey, KeyContext, KeySetId, MIN_REQUIRED, RaidaIndex,
    Status,
};

/// Seconds that a timestamp may be off.
const SKEW: u64 = 300;

/// The handshakes by name, and whether their HMAC covers the header.
const HANDSHAKES: [(&str, bool); 4] = [
    ("handshake", false),
    ("handshake_that_covers_its_header", true),
    ("short_handshake", false),
    ("short_handshake_that_covers_its_header", true),
];

const DIRECTIONS: [&str; 2] = ["data_to_the_server", "data_to_the_client"];
const COVERED: [(&str, Covered); 2] =
    [("header_and_payload", Covered::HeaderAndPayload), ("payload", Covered::Payload)];

struct Vectors(Value);

fn hex_of(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a hex string")).expect("hex")
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex_of(value).try_into().expect("the right length")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("a string")
}

impl Vectors {
    fn read() -> Self {
        let text = include_str!("../../../../../vectors/content-server.json");
        Self(serde_json::from_str(text).expect("the vectors are JSON"))
    }

    /// The cases of a list, each with its name and its packet.
    fn cases(&self, list: &str, count: usize) -> Vec<(&str, &Value, Vec<u8>)> {
        let cases = self.0[list].as_array().expect("a list");
        assert_eq!(cases.len(), count);
        cases.iter().map(|case| (text(case, "name"), case, hex_of(&case["packet"]))).collect()
    }

    fn context(&self) -> KeyContext {
        KeyContext {
            cs_id: ContentServerId::new(text(&self.0, "cs_id")).expect("a CSID"),
            key_set: KeySetId::new(self.0["kid"].as_u64().expect("a number") as u8).expect("a key set"),
            client_sn: ClientSn(bytes(&self.0["client_sn"])),
            timestamp: self.0["timestamp"].as_u64().expect("a number"),
        }
    }

    fn key(&self) -> [u8; 32] {
        bytes(&self.0["key"])
    }

    fn key_id(&self) -> ClientKeyId {
        ClientKeyId(bytes(&self.0["key_id"]))
    }

    fn session(&self) -> SessionIdentifier {
        bytes(&self.0["session"])
    }

    fn handshake(&self) -> Handshake {
        Handshake { coin: CoinId { denomination: 0, serial: 42 }, session: self.session() }
    }

    fn bitmap(&self) -> Bitmap {
        Bitmap::decode(bytes(&self.0["bitmap"])).expect("a bitmap")
    }

    fn nonce(&self) -> HandshakeNonce {
        HandshakeNonce::new(&self.context(), self.bitmap())
    }

    fn confirmation(&self) -> Confirmation {
        let key = Secret::fill(|key| *key = self.key()).expect("secret memory");
        Confirmation::with_key(key, &self.nonce(), self.key_id(), self.handshake())
    }

    fn response(&self, status: Status) -> Response {
        let server_nonce = bytes(&self.0["answer"]["server_nonce"]);
        Response { status, server_nonce, lifetime: 86400, bitmap: self.bitmap() }
    }
}

/// The vectors' master secrets are SHA-256("master" || index).
fn share_of(raida: RaidaIndex, context: &KeyContext) -> Secret<32> {
    use sha2::Digest;
    let master = sha2::Sha256::digest([b"master".as_slice(), &[raida.get()]].concat()).into();
    Secret::fill(|share| derive::share(&master, ShareKind::Narrow, context, share)).expect("secret memory")
}

fn key_of(bitmap: Bitmap, context: &KeyContext) -> [u8; 32] {
    let shares: Vec<_> = bitmap.iter().map(|raida| share_of(raida, context)).collect();
    let key = derive::narrow_key_from_shares(shares.iter(), context);
    key.expect("secret memory").expose(|key| *key)
}

/// The status with which section 8 has a Content Server answer a client that is new to it.
fn verdict(vectors: &Vectors, packet: &mut [u8]) -> Status {
    let Ok((header, payload)) = packet::split(packet) else { return Status::BAD_LENGTH };
    let Ok(nonce) = HandshakeNonce::decode(&header.nonce) else { return Status::UNKNOWN_KEY };
    let context = nonce.context(vectors.context().cs_id);
    let is_known = nonce.matches_id_prefix(&context.cs_id) && nonce.key_set == vectors.context().key_set;
    if !is_known || nonce.timestamp.abs_diff(vectors.context().timestamp) > SKEW {
        return Status::UNKNOWN_KEY;
    }
    if nonce.bitmap.count() < usize::from(MIN_REQUIRED) {
        return Status::BAD_PARAMETER;
    }
    match Handshake::open(&key_of(nonce.bitmap, &context), &header, payload) {
        Ok(_) => Status::SUCCESS,
        Err(_) => Status::UNKNOWN_KEY,
    }
}

/// What the client makes of a response.
fn received(vectors: &Vectors, packet: &mut [u8]) -> Result<(), ConfirmError> {
    let (header, payload) = packet::split(packet)?;
    vectors.confirmation().receive(&header, payload)
}

/// What a packet of data opens to.
fn opened(vectors: &Vectors, packet: &mut [u8]) -> Result<(Vec<u8>, Covered), DecodeError> {
    let (header, payload) = packet::split(packet)?;
    if header.key_id != vectors.key_id() {
        return Err(DecodeError::Mismatch("the key id"));
    }
    let data = packet::open_data(&vectors.key(), &header, &vectors.session(), payload);
    data.map(|(data, covered)| (data.to_vec(), covered))
}

#[test]
fn the_shares_and_the_key_are_the_known_ones() {
    let vectors = Vectors::read();
    let context = vectors.context();
    let shares: Vec<u8> =
        RaidaIndex::all().map(|raida| share_of(raida, &context).expose(|share| share[0])).collect();
    assert_eq!(shares, hex_of(&vectors.0["shares_of_raidas_0_to_24"]));
    assert_eq!(key_of(vectors.bitmap(), &context), vectors.key());
}

#[test]
fn the_handshake_is_the_known_one() {
    let vectors = Vectors::read();
    let packet = vectors.handshake().seal(&vectors.key(), vectors.key_id(), &vectors.nonce());
    assert_eq!(packet, hex_of(&vectors.0["handshake"]));
    assert_eq!(vectors.confirmation().packet(), packet);
}

fn recipient(raida: RaidaIndex) -> Recipient {
    let endpoint = ([127, 0, 0, 1], 50000 + u16::from(raida.get())).into();
    let (envelope, key) = (Envelope::Type0, EnvelopeKey::None);
    Recipient {
        raida,
        endpoint,
        envelope,
        key,
        random: [raida.get(); REQUEST_RANDOM_LEN],
        pace: Pace::default(),
        fallback: None,
    }
}

/// A round over these RAIDAs, each of which gives the share of the vectors, repeated where it is wide.
fn round_of(raidas: Bitmap, width: ShareWidth, context: &KeyContext) -> Round {
    let recipients = raidas.iter().map(recipient).collect();
    let mut round =
        Round::collect_shares(recipients, width, context, RoundConfig::new(13)).expect("secret memory");
    let sent: Vec<_> =
        round.take_due(Duration::ZERO).map(|(raida, to, datagram)| (raida, to, datagram.to_vec())).collect();
    for (raida, endpoint, request) in sent {
        let header = RequestHeader::decode(&request).expect("a header");
        let challenge: [u8; 16] = request[32..48].try_into().expect("a challenge");
        let (status, random) = (Status::SUCCESS, [0; 24]);
        let parts = ResponseParts { raida, status, challenge: Some(challenge), execution_micros: 0, random };
        let share = share_of(raida, context).expose(|share| share[0]);
        let payload = match width {
            ShareWidth::Narrow => vec![share],
            ShareWidth::Wide => [challenge.as_slice(), &[share; 32]].concat(),
        };
        let write = |out: &mut [u8]| out.copy_from_slice(&payload);
        let response = envelope::seal_response(&header, &EnvelopeKey::None, &parts, payload.len(), write);
        round.receive(endpoint, &mut response.expect("secret memory"), Duration::ZERO);
    }
    round
}

#[test]
fn a_round_of_the_known_shares_begins_with_the_known_handshake() {
    let vectors = Vectors::read();
    let (context, key_id, handshake) = (vectors.context(), vectors.key_id(), vectors.handshake());
    let begin = |round| Confirmation::begin(&round, &context, key_id, handshake).expect("secret memory");
    let begun = begin(round_of(vectors.bitmap(), ShareWidth::Narrow, &context)).expect("a ready round");
    assert_eq!(begun.packet(), hex_of(&vectors.0["handshake"]));
    assert!(begun.into_key().expose(|key| *key == vectors.key()));
    let too_few = vectors.bitmap().iter().take(12).collect();
    assert!(begin(round_of(too_few, ShareWidth::Narrow, &context)).is_none());
    let wide = round_of(vectors.bitmap(), ShareWidth::Wide, &context);
    assert!(wide.is_satisfied());
    assert!(begin(wide).is_none(), "wide shares have a handshake of their own");
}

#[test]
fn known_handshakes_open_whatever_their_length_and_what_their_hmac_covers() {
    let vectors = Vectors::read();
    for ((name, _), payload_len) in HANDSHAKES.into_iter().zip([151, 151, 147, 147]) {
        let mut packet = hex_of(&vectors.0[name]);
        let (header, payload) = packet::split(&mut packet).expect("a packet");
        assert_eq!((header.key_id, payload.len()), (vectors.key_id(), payload_len), "{name}");
        assert_eq!(HandshakeNonce::decode(&header.nonce), Ok(vectors.nonce()), "{name}");
        assert_eq!(Handshake::open(&vectors.key(), &header, payload), Ok(vectors.handshake()), "{name}");
    }
}

#[test]
fn the_answers_are_the_known_ones_and_the_client_takes_them() {
    let vectors = Vectors::read();
    let known = &vectors.0["answer"];
    for (name, status) in [("packet", Status::SUCCESS), ("packet_of_241", Status::TICKETS_GOOD)] {
        let (response, mut packet) = (vectors.response(status), hex_of(&known[name]));
        let sealed = response.seal(&vectors.key(), vectors.key_id(), bytes(&known["header_nonce"]));
        assert_eq!(sealed, packet, "{name}");
        assert_eq!(received(&vectors, &mut packet.clone()), Ok(()), "{name}");
        let (header, payload) = packet::split(&mut packet).expect("a packet");
        assert_eq!(Response::open(&vectors.key(), &header, payload), Ok(response), "{name}");
    }
    assert_eq!(received(&vectors, &mut hex_of(&known["packet_that_leaves_its_header_out"])), Ok(()));
}

#[test]
fn known_refusals_are_refusals_to_the_client() {
    let vectors = Vectors::read();
    for (name, case, mut packet) in vectors.cases("refusals", 5) {
        let status = Status(case["status"].as_u64().expect("a number") as u8);
        assert_eq!(received(&vectors, &mut packet), Err(ConfirmError::Refused(status)), "{name}");
    }
}

#[test]
fn a_refusal_without_a_key_is_the_known_one() {
    let vectors = Vectors::read();
    let cases = vectors.cases("refusals", 5);
    let nonce = bytes(&vectors.0["answer"]["header_nonce"]);
    for (at, status) in [(3, Status::UNKNOWN_KEY), (4, Status::BAD_PARAMETER)] {
        let refusal = Response { lifetime: 0, bitmap: Bitmap::default(), ..vectors.response(status) };
        let mut packet = refusal.in_clear(vectors.key_id(), nonce);
        assert_eq!(packet, cases[at].2, "{status}");
        let (_, payload) = packet::split(&mut packet).expect("a packet");
        assert_eq!(response::form(payload), Ok(Form::Clear(refusal)), "{status}");
    }
}

#[test]
fn data_is_the_known_one_in_both_directions_and_forms() {
    let vectors = Vectors::read();
    for direction in DIRECTIONS {
        let known = &vectors.0[direction];
        let (nonce, data) = (bytes(&known["nonce"]), text(known, "data").as_bytes());
        for (name, covered) in COVERED {
            let (key, session) = (vectors.key(), vectors.session());
            let sealed = packet::seal_data(&key, vectors.key_id(), &session, nonce, data, covered);
            let mut packet = sealed.expect("a packet");
            assert_eq!(packet, hex_of(&known[name]), "{direction}, {name}");
            assert_eq!(opened(&vectors, &mut packet), Ok((data.to_vec(), covered)), "{direction}, {name}");
        }
    }
}

#[test]
fn what_a_content_server_must_refuse_is_refused() {
    let vectors = Vectors::read();
    for (name, _) in HANDSHAKES {
        assert_eq!(verdict(&vectors, &mut hex_of(&vectors.0[name])), Status::SUCCESS, "{name}");
    }
    for (name, case, mut packet) in vectors.cases("refused_by_the_content_server", 22) {
        let status = case["status"].as_u64().expect("a number");
        assert_eq!(u64::from(verdict(&vectors, &mut packet).0), status, "{name}");
    }
}

#[test]
fn what_a_client_must_drop_is_dropped() {
    let vectors = Vectors::read();
    for (name, _, mut packet) in vectors.cases("dropped_by_the_client", 16) {
        let received = received(&vectors, &mut packet);
        assert!(matches!(received, Err(ConfirmError::Malformed(_))), "{name}: {received:?}");
    }
}

#[test]
fn data_that_nobody_may_open_does_not_open() {
    let vectors = Vectors::read();
    for (name, _, mut packet) in vectors.cases("data_that_opens_for_nobody", 11) {
        assert!(opened(&vectors, &mut packet).is_err(), "{name}");
    }
}

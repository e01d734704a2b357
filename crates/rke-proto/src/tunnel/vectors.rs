//! The known answers in `vectors/content-server.json`, checked against this implementation: the
//! client's side of section 7, and what a Content Server must see through.

use rke_secret::Secret;
use serde_json::Value;

use crate::coin::CoinId;
use crate::derive::{self, ShareWidth};
use crate::tunnel::answer::{self, Form, LongForm};
use crate::tunnel::share_check::{self, ShareCheck};
use crate::tunnel::{Answer, ClientKeyId, Handshake, HandshakeNonce, SessionIdentifier, packet};
use crate::{Bitmap, ClientSn, ContentServerId, KeyContext, KeyId, MIN_REQUIRED, RaidaIndex, Status};

/// Seconds that a timestamp may be off.
const SKEW: u64 = 300;

type Shares = Vec<(RaidaIndex, Secret<32>)>;

struct Vectors(Value);

fn hex_of(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a hex string")).expect("hex")
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex_of(value).try_into().expect("the right length")
}

fn bitmap(value: &Value) -> Bitmap {
    Bitmap::decode(bytes(value)).expect("a bitmap")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("a string")
}

impl Vectors {
    fn read() -> Self {
        let text = include_str!("../../../../vectors/content-server.json");
        Self(serde_json::from_str(text).expect("the vectors are JSON"))
    }

    fn context(&self) -> KeyContext {
        KeyContext {
            cs_id: ContentServerId::new(text(&self.0, "cs_id")).expect("a CSID"),
            key_id: KeyId::new(self.0["kid"].as_u64().expect("a number") as u8).expect("a key id"),
            client_sn: ClientSn(bytes(&self.0["client_sn"])),
            timestamp: self.0["timestamp"].as_u64().expect("a number"),
        }
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

    fn nonce(&self) -> HandshakeNonce {
        HandshakeNonce::new(&self.context(), bitmap(&self.0["bitmap"]))
    }

    /// The true shares of a set; the vectors' master secrets are SHA-256("master" || index).
    fn shares(&self, context: &KeyContext, of: Bitmap) -> Shares {
        use sha2::Digest;
        let share = |raida: RaidaIndex| {
            let master = sha2::Sha256::digest([b"master".as_slice(), &[raida.get()]].concat()).into();
            Secret::fill(|share| derive::share(&master, ShareWidth::Wide, context, share))
        };
        of.iter().map(|raida| (raida, share(raida).expect("secret memory"))).collect()
    }

    /// The shares that the client has, one of which is a lie.
    fn shares_with_a_lie(&self) -> Shares {
        let mut shares = self.shares(&self.context(), bitmap(&self.0["bitmap"]));
        let check = &self.0["share_check"];
        let lie = Secret::fill(|share| *share = bytes(&check["share_of_the_liar"])).expect("secret memory");
        let liar = check["liar"].as_u64().expect("a number") as u8;
        let at = shares.iter().position(|(raida, _)| raida.get() == liar).expect("the liar");
        shares[at].1 = lie;
        shares
    }
}

fn key_of(shares: &Shares, context: &KeyContext) -> [u8; 32] {
    let bitmap = shares.iter().map(|(raida, _)| *raida).collect();
    let shares = shares.iter().map(|(_, share)| share);
    let key = derive::key_from_shares(shares, ShareWidth::Wide, context, bitmap).expect("secret memory");
    key.expose(|key| *key)
}

fn borrowed(shares: &Shares) -> impl Iterator<Item = (RaidaIndex, &Secret<32>)> {
    shares.iter().map(|(raida, share)| (*raida, share))
}

#[test]
fn the_key_and_its_handshake_are_the_known_ones() {
    let vectors = Vectors::read();
    let context = vectors.context();
    let key = key_of(&vectors.shares(&context, bitmap(&vectors.0["bitmap"])), &context);
    assert_eq!(key, bytes(&vectors.0["key"]));
    let packet = vectors.handshake().seal(&key, vectors.key_id(), &vectors.nonce());
    assert_eq!(packet, hex_of(&vectors.0["handshake"]));
}

#[test]
fn known_handshakes_open_whatever_their_hmac_covers() {
    let vectors = Vectors::read();
    for name in ["handshake", "handshake_that_covers_its_header"] {
        let mut packet = hex_of(&vectors.0[name]);
        let (header, payload) = packet::split(&mut packet).expect("a packet");
        assert_eq!(header.key_id, vectors.key_id(), "{name}");
        assert_eq!(HandshakeNonce::decode(&header.nonce), Ok(vectors.nonce()), "{name}");
        let opened = Handshake::open(&bytes(&vectors.0["key"]), &header, payload);
        assert_eq!(opened, Ok(vectors.handshake()), "{name}");
    }
}

#[test]
fn the_answers_are_the_known_ones() {
    let vectors = Vectors::read();
    let known = &vectors.0["answer"];
    let (key, nonce) = (bytes(&vectors.0["key"]), bytes(&known["header_nonce"]));
    let (status, server_nonce) = (Status::SUCCESS, bytes(&known["server_nonce"]));
    let agreed = Answer { status, server_nonce, lifetime: 86400, bitmap: bitmap(&vectors.0["bitmap"]) };
    assert_eq!(agreed.seal(&key, vectors.key_id(), nonce), hex_of(&known["packet"]));
    let mut packet = hex_of(&known["packet"]);
    let (header, payload) = packet::split(&mut packet).expect("a packet");
    assert_eq!(Answer::open(&key, &header, payload), Ok(agreed));

    let unknown = Answer { status: Status::UNKNOWN_KEY, lifetime: 0, bitmap: Bitmap::default(), ..agreed };
    assert_eq!(unknown.in_clear(vectors.key_id(), nonce), hex_of(&vectors.0["unknown_key_answer"]));
    let mut packet = hex_of(&vectors.0["unknown_key_answer"]);
    let (_, payload) = packet::split(&mut packet).expect("a packet");
    assert_eq!(answer::form(payload, LongForm::Encrypted), Ok(Form::Clear(unknown, None)));
}

#[test]
fn the_known_share_check_finds_the_one_lie() {
    let vectors = Vectors::read();
    let (context, known) = (vectors.context(), &vectors.0["share_check"]);
    let shares = vectors.shares_with_a_lie();
    let lied = vectors.handshake().seal(&key_of(&shares, &context), vectors.key_id(), &vectors.nonce());
    assert_eq!(lied, hex_of(&known["handshake"]));
    let mut packet = share_check::ask(&vectors.nonce(), borrowed(&shares));
    assert_eq!(packet, hex_of(&known["packet"]));

    let (_, payload) = packet::split(&mut packet).expect("a packet");
    let check = ShareCheck::decode(payload).expect("a share check");
    let own = vectors.shares(&context, vectors.nonce().bitmap);
    let honest = check.matching(&vectors.nonce(), borrowed(&own));
    assert_eq!(honest, bitmap(&known["bitmap"]));
    let key = key_of(&vectors.shares(&context, honest), &context);
    assert_eq!(key, bytes(&known["key"]));

    let (status, nonce) = (Status::SUCCESS, bytes(&vectors.0["answer"]["header_nonce"]));
    let server_nonce = bytes(&vectors.0["answer"]["server_nonce"]);
    let answer = Answer { status, server_nonce, lifetime: 86400, bitmap: honest };
    assert_eq!(answer.in_clear_with_hmac(&key, nonce), hex_of(&known["answer"]));
    let nonce = HandshakeNonce::new(&context, honest);
    let after = vectors.handshake().seal(&key, vectors.key_id(), &nonce);
    assert_eq!(after, hex_of(&known["handshake_after"]));
}

#[test]
fn the_later_packet_is_the_known_one() {
    let vectors = Vectors::read();
    let (key, known) = (bytes(&vectors.0["key"]), &vectors.0["later_packet"]);
    let (session, nonce, data) = (vectors.session(), bytes(&known["nonce"]), text(known, "data"));
    let sealed = packet::seal_data(&key, vectors.key_id(), &session, nonce, data.as_bytes());
    let mut packet = sealed.expect("a packet");
    assert_eq!(packet, hex_of(&known["packet"]));
    let (header, payload) = packet::split(&mut packet).expect("a packet");
    let opened = packet::open_data(&key, &header, &session, payload).expect("data");
    assert_eq!(opened, data.as_bytes());
}

/// The status with which section 7 has a Content Server answer a client that is new to it.
fn verdict(vectors: &Vectors, packet: &mut [u8]) -> Status {
    let Ok((header, payload)) = packet::split(packet) else { return Status::BAD_LENGTH };
    let Ok(nonce) = HandshakeNonce::decode(&header.nonce) else { return Status::UNKNOWN_KEY };
    let context = nonce.context(vectors.context().cs_id);
    let is_known = nonce.may_mean(&context.cs_id) && nonce.key_id == vectors.context().key_id;
    if !is_known || nonce.timestamp.abs_diff(vectors.context().timestamp) > SKEW {
        return Status::UNKNOWN_KEY;
    }
    let own = vectors.shares(&context, nonce.bitmap);
    let is_enough = |raidas: Bitmap| raidas.count() >= usize::from(MIN_REQUIRED);
    if header.key_id == ClientKeyId::SHARE_CHECK {
        let honest = ShareCheck::decode(payload).map(|check| check.matching(&nonce, borrowed(&own)));
        return if honest.is_ok_and(is_enough) { Status::SUCCESS } else { Status::BAD_PARAMETER };
    }
    if !is_enough(nonce.bitmap) {
        return Status::BAD_PARAMETER;
    }
    match Handshake::open(&key_of(&own, &context), &header, payload) {
        Ok(_) => Status::SUCCESS,
        Err(_) => Status::UNKNOWN_KEY,
    }
}

#[test]
fn what_a_content_server_must_refuse_is_refused() {
    let vectors = Vectors::read();
    let taken = [&vectors.0["handshake"], &vectors.0["share_check"]["packet"]];
    for packet in taken {
        assert_eq!(verdict(&vectors, &mut hex_of(packet)), Status::SUCCESS);
    }
    let refused = vectors.0["refused_by_the_content_server"].as_array().expect("a list");
    assert_eq!(refused.len(), 22);
    for case in refused {
        let status = case["status"].as_u64().expect("a number");
        let found = verdict(&vectors, &mut hex_of(&case["packet"]));
        assert_eq!(u64::from(found.0), status, "{}", text(case, "name"));
    }
}

/// Whether an answer takes the client further: established under its key, or a share check that
/// leaves enough.
fn goes_on(vectors: &Vectors, after: &str, packet: &mut [u8]) -> bool {
    let Ok((header, payload)) = packet::split(packet) else { return false };
    let (context, asked) = (vectors.context(), bitmap(&vectors.0["bitmap"]));
    if after == "handshake" {
        let opened = Answer::open(&bytes(&vectors.0["key"]), &header, payload);
        return header.key_id == vectors.key_id()
            && opened.is_ok_and(|answer| answer.status == Status::SUCCESS && answer.bitmap == asked);
    }
    let Ok(Form::Clear(answer, Some(tag))) = answer::form(payload, LongForm::Clear) else { return false };
    let mut shares = vectors.shares_with_a_lie();
    shares.retain(|(raida, _)| answer.bitmap.contains(*raida));
    let is_right = answer.matches(&key_of(&shares, &context), &header, tag);
    is_right && answer.bitmap.is_within(asked) && answer.bitmap.count() >= usize::from(MIN_REQUIRED)
}

#[test]
fn what_a_client_must_drop_is_dropped() {
    let vectors = Vectors::read();
    let good =
        [("handshake", &vectors.0["answer"]["packet"]), ("share_check", &vectors.0["share_check"]["answer"])];
    for (after, packet) in good {
        assert!(goes_on(&vectors, after, &mut hex_of(packet)), "{after}");
    }
    let dropped = vectors.0["dropped_by_the_client"].as_array().expect("a list");
    assert_eq!(dropped.len(), 14);
    for case in dropped {
        let went_on = goes_on(&vectors, text(case, "after"), &mut hex_of(&case["packet"]));
        assert!(!went_on, "{}", text(case, "name"));
    }
}

#[test]
fn no_known_packet_opens_when_it_is_cut_or_altered() {
    let vectors = Vectors::read();
    let handshake = hex_of(&vectors.0["handshake_that_covers_its_header"]);
    let check = hex_of(&vectors.0["share_check"]["packet"]);
    for at in 0..handshake.len() {
        let mut altered = handshake.clone();
        altered[at] ^= 0x01;
        assert_ne!(verdict(&vectors, &mut altered), Status::SUCCESS, "byte {at} of the handshake");
        let cut = verdict(&vectors, &mut handshake[..at].to_vec());
        assert_eq!(cut, Status::BAD_LENGTH, "the handshake cut at {at}");
    }
    for at in 0..check.len() {
        let cut = verdict(&vectors, &mut check[..at].to_vec());
        assert_eq!(cut, Status::BAD_LENGTH, "the share check cut at {at}");
    }
    for (after, packet) in
        [("handshake", &vectors.0["answer"]["packet"]), ("share_check", &vectors.0["share_check"]["answer"])]
    {
        let good = hex_of(packet);
        for at in 0..good.len() {
            let mut altered = good.clone();
            altered[at] ^= 0x01;
            assert!(!goes_on(&vectors, after, &mut altered), "byte {at} of the answer to a {after}");
            assert!(!goes_on(&vectors, after, &mut good[..at].to_vec()), "{after}, cut at {at}");
        }
    }
}

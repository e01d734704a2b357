use serde_json::Value;

use super::*;
use crate::export::Export;
use crate::known_answers::{array, bytes, list, read, text};

fn command() -> Proposal {
    let purpose = Purpose::Command(Name::new("web-1@example.com").expect("a name"));
    Proposal { nonce: [7; NONCE_LEN], every: 0, purpose }
}

fn wireguard(addresses: usize) -> Proposal {
    let addresses = (0..addresses).map(|n| Ipv6Addr::from(n as u128)).collect();
    let purpose = Purpose::WireGuard(Tunnel { client: [1; 32], server: [2; 32], addresses });
    Proposal { nonce: [9; NONCE_LEN], every: 120, purpose }
}

#[test]
fn a_proposal_comes_back_from_its_bytes_and_from_nothing_shorter_or_longer() {
    for proposal in [command(), wireguard(0), wireguard(MAX_ADDRESSES)] {
        let mut bytes = proposal.to_bytes();
        assert!(bytes.len() <= MAX_PROPOSAL_LEN);
        assert_eq!(Proposal::decode(&bytes), Ok(proposal));
        for len in 0..bytes.len() {
            assert!(matches!(Proposal::decode(&bytes[..len]), Err(DecodeError::TooShort { .. })), "{len}");
        }
        bytes.push(0);
        assert_eq!(Proposal::decode(&bytes), Err(DecodeError::Leftover(1)));
    }
    assert_eq!(
        Proposal::decode(&wireguard(MAX_ADDRESSES).to_bytes()).map(|_| MAX_PROPOSAL_LEN),
        Ok(wireguard(MAX_ADDRESSES).to_bytes().len())
    );
}

#[test]
fn what_no_client_proposes_is_refused_before_the_rest_is_there() {
    assert!(matches!(Proposal::decode(&[0]), Err(DecodeError::BadValue { value: 0, .. })));
    assert!(matches!(Proposal::decode(&[3]), Err(DecodeError::BadValue { value: 3, .. })));
    let mut many = wireguard(0).to_bytes();
    *many.last_mut().expect("bytes") = MAX_ADDRESSES as u8 + 1;
    assert!(matches!(Proposal::decode(&many), Err(DecodeError::BadValue { .. })));
    let mut named = command().to_bytes();
    *named.last_mut().expect("bytes") = b'$';
    assert_eq!(Proposal::decode(&named), Err(DecodeError::Mismatch("the form of the name")));
}

#[test]
fn a_name_needs_no_quotes() {
    for name in ["a", "A.b-c_d@e", "0", &"x".repeat(MAX_NAME_LEN)] {
        assert_eq!(Name::new(name).expect("a name").as_str(), name);
    }
    for other in ["", "a b", "a$b", "a'b", "-a", ".a", "ä", "a\n", "a:b", &"x".repeat(MAX_NAME_LEN + 1)] {
        assert_eq!(Name::new(other), None, "{other:?}");
    }
}

#[test]
fn nonce_and_names_tell_keys_apart_and_addresses_do_not() {
    assert_eq!(command().context(), [&[7; NONCE_LEN][..], b"web-1@example.com"].concat());
    assert_eq!(wireguard(0).context(), [[9; 32], [1; 32], [2; 32]].concat());
    assert_eq!(wireguard(0).context(), wireguard(3).context());
    assert_eq!((command().label(), wireguard(0).label()), ("rke-psk", "rke-wireguard"));
}

#[test]
fn responses_and_receipts_come_back_from_their_bytes() {
    let long = "ä".repeat(MAX_REASON_LEN);
    for response in [Response::Set, Response::NotSet(String::new()), Response::NotSet("no such peer".into())]
    {
        assert_eq!(Response::decode(&response.to_bytes()), Ok(response));
    }
    let cut = Response::decode(&Response::NotSet(long.clone()).to_bytes());
    assert_eq!(cut, Ok(Response::NotSet(long[..MAX_REASON_LEN].into())));
    for receipt in [Receipt::Set, Receipt::NotSet] {
        assert_eq!(Receipt::decode(&[receipt.to_byte()]), Ok(receipt));
    }
    assert!(
        Receipt::decode(&[2]).is_err() && Receipt::decode(&[]).is_err() && Receipt::decode(&[0, 0]).is_err()
    );
    assert!(Response::decode(&[2]).is_err() && Response::decode(&[1, 1, 0xFF]).is_err());
    assert!(matches!(Response::decode(&[1, 2, b'x']), Err(DecodeError::TooShort { .. })));
    assert_eq!(Response::decode(&[0, 0]), Err(DecodeError::Leftover(1)));
}

/// The known answers, which `vectors/preshared.py` computes on its own.
fn vectors() -> Value {
    read(include_str!("../../../../vectors/preshared.json"))
}

fn purpose(case: &Value) -> Purpose {
    if let Some(name) = case["name"].as_str() {
        return Purpose::Command(Name::new(name).expect("a name"));
    }
    let address = |text: &Value| match text.as_str().expect("an address").parse().expect("an address") {
        std::net::IpAddr::V4(address) => address.to_ipv6_mapped(),
        std::net::IpAddr::V6(address) => address,
    };
    let addresses = list(case, "addresses").iter().map(address).collect();
    Purpose::WireGuard(Tunnel { client: array(case, "client"), server: array(case, "server"), addresses })
}

#[test]
fn messages_and_keys_are_those_of_the_vectors() {
    let vectors = vectors();
    for case in list(&vectors, "proposals") {
        let every = case["every"].as_u64().and_then(|every| every.try_into().ok()).expect("seconds");
        let proposal = Proposal { nonce: array(case, "nonce"), every, purpose: purpose(case) };
        assert_eq!(hex::encode(proposal.to_bytes()), text(case, "bytes"));
        assert_eq!(Proposal::decode(&bytes(case, "bytes")).as_ref(), Ok(&proposal));
        assert_eq!(proposal.label(), text(case, "label"));
        let context = proposal.context();
        assert_eq!(hex::encode(&context), text(case, "context"));
        let export = Export::new(proposal.label(), &context, KEY_LEN).expect("an export");
        let key = export.derive(&array(&vectors, "export_key"), |key| hex::encode(key));
        assert_eq!(key, text(case, "key"));
    }
    for case in list(&vectors, "responses") {
        let reason = case["reason"].as_str();
        let response = reason.map_or(Response::Set, |reason| Response::NotSet(reason.into()));
        assert_eq!(hex::encode(response.to_bytes()), text(case, "bytes"));
        assert_eq!(Response::decode(&bytes(case, "bytes")), Ok(response));
    }
    for case in list(&vectors, "receipts") {
        let receipt = if case["set"] == true { Receipt::Set } else { Receipt::NotSet };
        assert_eq!([receipt.to_byte()], *bytes(case, "bytes"));
        assert_eq!(Receipt::decode(&bytes(case, "bytes")), Ok(receipt));
    }
}

#[test]
fn keys_imported_for_tls_are_those_of_the_vectors() {
    for case in list(&vectors(), "tls") {
        let kdf = if case["kdf"] == 1 { tls::Kdf::Sha256 } else { tls::Kdf::Sha384 };
        let (name, mut out) = (Name::new(text(case, "name")).expect("a name"), [0; 48]);
        tls::import(&array(case, "psk"), &name, kdf, &mut out);
        assert_eq!(hex::encode(&out[..kdf.key_len()]), text(case, "key"), "{kdf:?}");
        assert!(out[kdf.key_len()..].iter().all(|byte| *byte == 0), "{kdf:?}");
    }
}

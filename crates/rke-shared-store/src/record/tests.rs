use rke_secret::Secret;
use serde_json::Value;

use super::*;
use crate::name::{Id, Kind};
use crate::sealing::{Binding, Part, StoreKey};

fn vector() -> (Value, Vec<u8>) {
    let all: Value = serde_json::from_str(include_str!("../../../../vectors/store.json")).expect("JSON");
    let row = all["record"].clone();
    let bytes = hex::decode(row["record"].as_str().expect("text")).expect("hex");
    (row, bytes)
}

fn bytes<const N: usize>(of: &Value) -> [u8; N] {
    let mut bytes = [0; N];
    hex::decode_to_slice(of.as_str().expect("text"), &mut bytes).expect("hex");
    bytes
}

#[test]
fn the_vector_decodes_to_what_it_was_made_of() {
    let (row, raw) = vector();
    let record = Record::decode(&raw).expect("a record");
    let key =
        StoreKey::new(&Secret::fill(|key| *key = bytes(&row["key"])).expect("a secret")).expect("a key");
    let number = |name: &str| row[name].as_u64().expect("a number");
    let head = Head {
        key: key.tag(),
        incarnation: Incarnation(bytes(&row["incarnation"])),
        expires_at: number("expires_at"),
        idle_until: number("idle_until"),
        created_at: number("created_at"),
        latest: number("latest"),
        generation: number("generation"),
        domain: key.domain_tag(row["domain"].as_str().expect("text")),
        messages: number("messages"),
        bytes: number("bytes"),
    };
    assert_eq!(record.head, head);
    let id = Id(bytes(&row["id"]));
    let secret = Binding::secret(Kind::Session, &id, head.expires_at, head.incarnation);
    key.open_secret(&secret, &record.secret)
        .expect("opens")
        .expose(|secret| assert_eq!(*secret, bytes(&row["secret"])));
    for (part, sealed, name) in [
        (Part::Description, &record.description, "description"),
        (Part::Farewell, &record.farewell, "farewell"),
    ] {
        let name_of = key.name(Kind::Session, &id);
        let from = Binding::of_name(Kind::Session, part, name_of, head.expires_at, head.incarnation);
        assert_eq!(
            key.open_data(&from, sealed).expect("opens"),
            row[name].as_str().expect("text").as_bytes()
        );
    }
}

#[test]
fn what_decodes_encodes_to_the_same_bytes() {
    let (_, raw) = vector();
    assert_eq!(Record::decode(&raw).expect("a record").encode(), raw);
}

#[test]
fn a_record_that_is_cut_or_too_long_or_of_another_version_is_refused() {
    let (_, raw) = vector();
    for at in 0..raw.len() {
        assert!(Record::decode(&raw[..at]).is_err(), "cut at {at}");
    }
    assert!(Record::decode(&[&raw[..], &[0]].concat()).is_err());
    let other = [&[2], &raw[1..]].concat();
    assert!(matches!(Record::decode(&other), Err(DecodeError::BadValue { value: 2, .. })));
}

#[test]
fn the_head_has_the_length_that_scripts_know() {
    let (_, raw) = vector();
    let record = Record::decode(&raw).expect("a record");
    let parts = record.secret.len() + record.description.len() + record.farewell.len();
    assert_eq!(raw.len(), HEAD_LEN + parts);
}

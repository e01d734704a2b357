use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;

const VECTORS: &str = include_str!("../../../../vectors/store.json");

fn vectors(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(VECTORS).expect("JSON");
    all[name].as_array().expect("a list").clone()
}

fn bytes<const N: usize>(of: &Value) -> [u8; N] {
    let mut bytes = [0; N];
    hex::decode_to_slice(of.as_str().expect("text"), &mut bytes).expect("hex");
    bytes
}

fn key(of: &Value) -> StoreKey {
    StoreKey::new(&Secret::fill(|key| *key = bytes(of)).expect("a secret")).expect("a key")
}

fn kind(of: &Value) -> Kind {
    let kinds = [Kind::Session, Kind::Cached, Kind::ServerKey, Kind::ServerResumption];
    let names = ["session", "cached", "server key", "server resumption"];
    kinds[names.iter().position(|name| of == name).expect("a kind")]
}

fn data(of: &Value) -> Vec<u8> {
    match of.as_str().expect("text").strip_suffix(" zeros") {
        Some(count) => vec![0; count.parse().expect("a number")],
        None => hex::decode(of.as_str().expect("text")).expect("hex"),
    }
}

fn binding(row: &Value, key: &StoreKey) -> Binding {
    let (kind, id) = (kind(&row["kind"]), Id(bytes(&row["id"])));
    let expires_at = row["expires_at"].as_u64().expect("a time");
    let incarnation = Incarnation(bytes(&row["incarnation"]));
    match row["part"].as_str().expect("a part") {
        "secret" => Binding::secret(kind, &id, expires_at, incarnation),
        part => {
            let part = if part == "farewell" { Part::Farewell } else { Part::Description };
            Binding::of_name(kind, part, key.name(kind, &id), expires_at, incarnation)
        }
    }
}

fn a_key() -> StoreKey {
    StoreKey::new(&Secret::random().expect("a secret")).expect("a key")
}

fn a_binding() -> Binding {
    Binding::secret(Kind::Session, &Id([1; ID_LEN]), 7, Incarnation([2; Incarnation::LEN]))
}

#[test]
fn names_and_tags_are_those_of_the_vectors() {
    let keys = vectors("keys");
    assert_eq!(keys.len(), 2);
    for row in keys {
        let key = key(&row["key"]);
        assert_eq!(key.tag(), KeyTag(bytes(&row["tag"])));
        key.auditing.expose(|own| assert_eq!(*own, bytes(&row["auditing"])));
        for name in row["names"].as_array().expect("a list") {
            assert_eq!(key.name(kind(&name["kind"]), &Id(bytes(&name["id"]))), Name(bytes(&name["name"])));
        }
        for domain in row["domains"].as_array().expect("a list") {
            let tag = key.domain_tag(domain["domain"].as_str().expect("text"));
            assert_eq!(tag, DomainTag(bytes(&domain["tag"])));
        }
    }
}

#[test]
fn partitions_are_those_of_the_vectors() {
    for row in vectors("partitions") {
        let partitions = row["partitions"].as_u64().expect("a number") as u16;
        assert_eq!(u64::from(Id(bytes(&row["id"])).partition(partitions)), row["partition"]);
    }
}

#[test]
fn sealed_parts_are_those_of_the_vectors() {
    let rows = vectors("sealed");
    assert_eq!(rows.len(), 12);
    for row in rows {
        let key = key(&row["key"]);
        let (to, data, nonce) = (binding(&row, &key), data(&row["data"]), bytes(&row["nonce"]));
        let sealed = match to.part {
            Part::Secret => {
                let secret = Secret::fill(|secret| secret.copy_from_slice(&data)).expect("a secret");
                let sealed = key.seal_secret_with(&to, &secret, nonce).to_vec();
                assert!(key.open_secret(&to, &sealed).expect("opens").matches(&secret));
                sealed
            }
            _ => {
                let sealed = key.seal_data_with(&to, &data, nonce);
                assert_eq!(key.open_data(&to, &sealed).expect("opens"), data);
                sealed
            }
        };
        assert_eq!(hex::encode(Sha256::digest(&sealed)), row["sha256"]);
        assert!(row["sealed"].is_null() || row["sealed"] == hex::encode(&sealed));
    }
}

#[test]
fn a_part_opens_only_with_everything_that_it_is_bound_to() {
    let (key, to) = (a_key(), a_binding());
    let sealed = key.seal_secret(&to, &Secret::random().expect("a secret")).expect("sealed");
    assert!(key.open_secret(&to, &sealed).is_ok());
    let others = [
        Binding { kind: Kind::Cached, ..to },
        Binding { part: Part::Description, ..to },
        Binding { whose: [9; ID_LEN], ..to },
        Binding { expires_at: 8, ..to },
        Binding { incarnation: Incarnation([0; Incarnation::LEN]), ..to },
    ];
    for other in others {
        assert!(matches!(key.open_secret(&other, &sealed), Err(OpenError::DoesNotOpen)));
    }
    assert!(matches!(a_key().open_secret(&to, &sealed), Err(OpenError::DoesNotOpen)));
}

#[test]
fn a_part_that_was_changed_or_cut_anywhere_does_not_open() {
    let (key, to) = (a_key(), a_binding());
    let sealed = key.seal_secret(&to, &Secret::random().expect("a secret")).expect("sealed");
    for at in 0..sealed.len() {
        let mut changed = sealed;
        changed[at] ^= 1;
        assert!(key.open_secret(&to, &changed).is_err(), "changed at {at}");
        assert!(key.open_secret(&to, &sealed[..at]).is_err(), "cut at {at}");
        assert!(key.open_data(&to, &sealed[..at]).is_err(), "cut at {at}");
    }
    assert!(key.open_secret(&to, &[&sealed[..], &[0]].concat()).is_err());
}

#[test]
fn the_same_secret_is_never_sealed_to_the_same_bytes() {
    let (key, to, secret) = (a_key(), a_binding(), Secret::random().expect("a secret"));
    let seal = || key.seal_secret(&to, &secret).expect("sealed");
    assert_ne!(seal(), seal());
}

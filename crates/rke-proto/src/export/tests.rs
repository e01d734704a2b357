//! The known answers of `vectors/export.json`, which `vectors/export.py` computes on its own.

use serde_json::Value;

use super::etsi::{EtsiKey, EtsiKeyId, KeySize, NoKeyId, SaeId};
use super::*;
use crate::handshake::KeyId;
use crate::handshake::keys::export_key;
use crate::known_answers::{array, list, read, text};

fn vectors() -> Value {
    read(include_str!("../../../../vectors/export.json"))
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().expect(name)
}

fn sae(text: &str) -> SaeId {
    SaeId::new(text).expect("an SAE ID")
}

#[test]
fn exported_keys_are_those_of_the_vectors() {
    let vectors = vectors();
    let mut key = [0; SECRET_LEN];
    export_key(&array(&vectors, "K"), &mut key);
    assert_eq!(hex::encode(key), text(&vectors, "export_key"));
    for case in list(&vectors, "exports") {
        let context = match text(case, "context").strip_suffix(" zeros") {
            Some(len) => vec![0; len.parse().expect("a length")],
            None => hex::decode(text(case, "context")).expect("hex"),
        };
        let export = Export::new(text(case, "label"), &context, number(case, "length") as usize);
        let exported = export.expect("an export").derive(&key, |key| hex::encode(key));
        assert_eq!(exported, text(case, "key"), "{}", text(case, "label"));
    }
}

#[test]
fn etsi_keys_and_their_ids_are_those_of_the_vectors() {
    let vectors = vectors();
    let (key, session) = (array(&vectors, "export_key"), KeyId(array(&vectors, "key_id")));
    for case in list(&vectors, "etsi") {
        let size = KeySize::from_bits(number(case, "bits")).expect("a size");
        let id = EtsiKeyId::new(&session, size, array(case, "random"));
        assert_eq!(id.to_string(), text(case, "key_ID"));
        assert_eq!((id.to_string().to_uppercase().parse(), id.size()), (Ok(id), size));
        assert!(id.is_of(&session) && !id.is_of(&KeyId([7; 16])));
        let (master, slave) = (sae(text(case, "master")), sae(text(case, "slave")));
        let derived = EtsiKey { id, master: &master, slave: &slave }.derive(&key, |key| hex::encode(key));
        assert_eq!(derived, text(case, "key"), "{id}");
    }
}

#[test]
fn what_no_key_has_is_refused() {
    let of = |label: &str, context: usize, len| Export::new(label, &vec![0; context], len).err();
    assert_eq!(of("", 0, 32), Some(ExportFormError::Label));
    assert_eq!(of(&"l".repeat(256), 0, 32), Some(ExportFormError::Label));
    assert_eq!(of("l", 65_536, 32), Some(ExportFormError::Context));
    assert_eq!(
        (of("l", 0, 15), of("l", 0, 65)),
        (Some(ExportFormError::Length), Some(ExportFormError::Length))
    );
    for bits in [0, 8, 120, 127, 129, 257, 520, u64::MAX] {
        assert_eq!(KeySize::from_bits(bits), None, "{bits}");
    }
    for text in ["", "a\n", &"a".repeat(256)] {
        assert_eq!(SaeId::new(text), None, "{text:?}");
    }
    for text in [
        "",
        "20010203-0405-8007-b1e2-d3c4b5a6978",
        "20010203-0405-8007-b1e2-d3c4b5a697888",
        "20010203-0405-4007-b1e2-d3c4b5a69788",
        "20010203-0405-8007-f1e2-d3c4b5a69788",
        "0f010203-0405-8007-b1e2-d3c4b5a69788",
        "41010203-0405-8007-b1e2-d3c4b5a69788",
        "2001020304058007b1e2d3c4b5a69788----",
        "20010203-0405-8007-b1e2-d3c4b5a6978é",
        "2001020-30405-8007-b1e2-d3c4b5a69788",
    ] {
        assert_eq!(text.parse::<EtsiKeyId>(), Err(NoKeyId), "{text:?}");
    }
    assert!("20010203-0405-8007-b1e2-d3c4b5a69788".parse::<EtsiKeyId>().is_ok());
}

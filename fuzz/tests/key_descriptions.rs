//! What stands in the clear in a file of the key cache. What is taken says the same again when it is written down, field by
//! field.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use rke_engine::Domain;
use rke_engine::keys::rewritten_description;
use rke_engine::model::viewer::Page;
use rke_fuzz::corpus;
use rke_proto::coin::CoinId;
use rke_secret::Secret;
use serde_json::Value;

rke_fuzz::target!(key_description, check);

fn check(bytes: &[u8]) -> bool {
    let rewritten = |bytes: &[u8]| {
        let secret = Secret::fill(|secret| *secret = [0xC3; 32]).expect("secret memory");
        rewritten_description(bytes, secret)
    };
    let Some(written) = rewritten(bytes) else { return false };
    assert_eq!(rewritten(&written).as_deref(), Some(&*written), "what is written is read the same");
    let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
    check_same("", &value(bytes), &value(&written));
    true
}

/// Whether both say the same under a name: domains, origins, coins and hexadecimal digits may be spelled otherwise.
fn check_same(name: &str, said: &Value, written: &Value) {
    match (said, written) {
        (Value::Object(said), Value::Object(written)) => {
            assert_eq!(said.len(), written.len(), "{name}");
            for (name, written) in written {
                check_same(name, said.get(name).expect("what is written was said"), written);
            }
        }
        (Value::Array(said), Value::Array(written)) => {
            assert_eq!(said.len(), written.len(), "{name}");
            said.iter().zip(written).for_each(|(said, written)| check_same(name, said, written));
        }
        (Value::String(said), Value::String(written)) => {
            let coin = |text: &str| text.parse::<CoinId>().ok();
            let is_same = match name {
                "domain" => Domain::new(said).is_some_and(|said| said.as_str() == written),
                "page" => Page::new(said).origin() == written,
                "coins" | "proven" => coin(said).is_some() && coin(said) == coin(written),
                "id" | "run" | "tunnel" => said.eq_ignore_ascii_case(written),
                _ => said == written,
            };
            assert!(is_same, "{name}: {said:?} is written {written:?}");
        }
        (said, written) => assert_eq!(said, written, "{name}"),
    }
}

#[test]
fn the_corpus_has_a_description_of_each_kind() {
    let wide = r#"{"domain":"content.rke.test","page":null,"expires_at":1785312000,"cs_id":"CONTENT-SERVER01","envelopes":[4,5],"raidas":[0,3,24],"liars":[7],"coins":["0:7","0:42"],"proven":"0:42","host":"cs.rke.test","port":443,"secret":{"resumption":{"id":"00112233445566778899aabbccddeeff","form":"wide","lives_until":1785312000}}}"#;
    let narrow = r#"{"narrow":{"run":"00112233445566778899aabbccddeeff","number":3,"tunnel":["0102030405","0011223344556677"]}}"#;
    let (before, _) = wide.split_once(r#"{"resumption""#).expect("a secret");
    let narrow = format!("{before}{narrow}}}");
    let file = |name: &str, text: String| (name.to_owned(), text.into_bytes());
    let changed = |name: &str, from: &str, to: &str| {
        assert!(wide.contains(from));
        file(name, wide.replace(from, to))
    };
    corpus::holds(
        "key_description",
        vec![
            file("good_wide", wide.into()),
            file("good_narrow", narrow.clone()),
            file(
                "good_narrow_without_tunnel",
                narrow.replace(r#"["0102030405","0011223344556677"]"#, "null"),
            ),
            changed("good_over_narrow_shares", "\"wide\"", "\"handshake-3-narrow\""),
            changed("good_of_a_page", "null", "\"https://App.example:443\""),
            changed("good_capitals", "content.rke.test", "CONTENT.rke.test."),
            changed("good_international", "content.rke.test", "b\u{fc}cher.test"),
            changed("refused_live_resumption", "\"wide\"", "\"live\""),
            changed("refused_without_page", "\"page\":null,", ""),
            changed("refused_unknown_field", "{\"domain\"", "{\"x\":1,\"domain\""),
            changed("refused_two_domains", "{\"domain\"", "{\"domain\":\"a\",\"domain\""),
            changed("refused_short_id", "00112233", ""),
            changed("refused_coin", "0:7", "0:-7"),
            changed("refused_port", ":443", ":65536"),
            changed("refused_cs_id", "CONTENT-SERVER01", "CONTENT SERVER01"),
            changed("refused_domain", "content.rke.test", "192.0.2.1"),
            file("refused_short_tunnel", narrow.replace("0102030405", "01020304")),
            file("refused_no_json", "what it is".into()),
            file("refused_more", format!("{wide}{{}}")),
        ],
    );
}

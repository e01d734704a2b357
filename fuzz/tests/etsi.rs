//! Requests of SAEs by ETSI GS QKD 014, and the certificates that say who they are.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use std::borrow::Cow;

use rke_daemon::etsi_testing::{Wanted, read_request, sae_of_certificate};
use rke_fuzz::corpus;
use serde_json::Value;
use webpki::EndEntityCert;

rke_fuzz::target!(etsi_request, check_request);
rke_fuzz::target!(sae_of_certificate, check_certificate);

/// A method, a space, a target and a line feed; then the body.
struct Sent<'a> {
    method: &'a [u8],
    path: &'a str,
    query: &'a str,
    body: &'a [u8],
}

impl<'a> Sent<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let line = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, body) = (&bytes[..line], &bytes[line + 1..]);
        let space = line.iter().position(|byte| *byte == b' ')?;
        let target = std::str::from_utf8(&line[space + 1..]).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(Self { method: &line[..space], path, query, body })
    }

    /// What an accepted request says, as other readers find it.
    fn says(&self) -> Option<Wanted> {
        let segments: Vec<&str> = self.path.split('/').collect();
        let ["", "api", "v1", "keys", sae, what] = segments[..] else { return None };
        let sae = decoded(sae);
        let is_post = self.method == b"POST";
        let json = || self.json().unwrap_or_default();
        match (what, is_post) {
            ("status", false) => Some(Wanted::Status(sae)),
            ("enc_keys", _) => {
                let given = |name: &str| match is_post {
                    true => json()[name].as_u64(),
                    false => number(self.parameters(name).first()?),
                };
                let bits = u32::try_from(given("size").unwrap_or(256)).ok()?;
                Some(Wanted::Make(sae, given("number").unwrap_or(1) as usize, bits))
            }
            ("dec_keys", true) => {
                let json = json();
                let ids = json["key_IDs"].as_array()?.iter();
                let ids = ids.map(|id| Some(id["key_ID"].as_str()?.to_owned()));
                Some(Wanted::Fetch(sae, lower(ids.collect::<Option<_>>()?)))
            }
            ("dec_keys", false) => Some(Wanted::Fetch(sae, lower(self.parameters("key_ID")))),
            _ => None,
        }
    }

    /// The body. A reader of everything refuses numbers and escapes in it that mean nothing, which do not matter where nobody
    /// wants them.
    fn json(&self) -> Option<Value> {
        let text = std::str::from_utf8(self.body).expect("an accepted body is text");
        serde_json::from_str(text).ok()
    }

    fn parameters(&self, name: &str) -> Vec<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(given, _)| *given == name).map(|(_, value)| decoded(value)).collect()
    }
}

fn lower(ids: Vec<String>) -> Vec<String> {
    ids.iter().map(|id| id.to_ascii_lowercase()).collect()
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    assert!(text.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
    text.parse().ok()
}

/// The text that escapes stand for, as the URL Standard reads it.
fn decoded(text: &str) -> String {
    let plain = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(plain.as_bytes())
        .next()
        .map(|(text, _)| text)
        .map_or_else(String::new, Cow::into_owned)
}

/// Good is what can be served.
fn check_request(bytes: &[u8]) -> bool {
    let Some(sent) = Sent::new(bytes) else { return false };
    match read_request(sent.method, sent.path, sent.query, sent.body) {
        Ok(wanted) => {
            let is_json = sent.method == b"POST" && !sent.body.trim_ascii().is_empty();
            if !is_json || sent.json().is_some() {
                assert_eq!(Some(&wanted), sent.says().as_ref());
            }
            if let Wanted::Make(sae, number, bits) = &wanted {
                assert!((1..=128).contains(number) && (128..=512).contains(bits) && bits.is_multiple_of(8));
                assert!((1..=255).contains(&sae.len()));
            }
            true
        }
        Err((status, json)) => {
            assert!([400, 404, 405].contains(&status), "{status}");
            let container: Value = serde_json::from_str(&json).unwrap_or_default();
            assert!(container["message"].as_str().is_some_and(|message| !message.is_empty()), "{json}");
            false
        }
    }
}

/// Good is a certificate that names an SAE: by text that webpki, which verifies certificates for TLS, finds in the subject
/// too, or by a DNS name.
fn check_certificate(bytes: &[u8]) -> bool {
    let Some(sae) = sae_of_certificate(bytes) else { return false };
    assert!((1..=255).contains(&sae.len()) && !sae.chars().any(char::is_control), "{sae:?}");
    let len = sae.len() as u8;
    let dns_name = match len {
        0..=127 => [&[0x82, len], sae.as_bytes()].concat(),
        _ => [&[0x82, 0x81, len], sae.as_bytes()].concat(),
    };
    let certificate = bytes.into();
    if let Ok(certificate) = EndEntityCert::try_from(&certificate) {
        let is_named = contains(certificate.subject(), sae.as_bytes());
        assert!(is_named || contains(bytes, &dns_name), "{sae:?} is not in the certificate");
    }
    true
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_corpus_has_what_clients_send() {
    const ID: &str = "20010203-0405-8007-b1e2-d3c4b5a69788";
    let file = |name: &str, text: String| (name.to_owned(), text.into_bytes());
    let get = |name: &str, target: &str| file(name, format!("GET /api/v1/keys/{target}\n"));
    let post = |name: &str, what: &str, body: &str| file(name, format!("POST /api/v1/keys/{what}\n{body}"));
    let all = r#"{"number":128,"size":512,"additional_slave_SAE_IDs":[],"extension_mandatory":[],"extension_optional":[{"a":1}]}"#;
    corpus::holds(
        "etsi_request",
        vec![
            get("good_status", "bob/status"),
            get("good_escaped", "a%20b%2Fc/status"),
            get("good_defaults", "bob/enc_keys"),
            get("good_made", "bob/enc_keys?number=3&size=128&key_length=512"),
            get("good_fetched", &format!("alice/dec_keys?key_ID={ID}&key_ID={}", ID.to_uppercase())),
            post("good_nothing", "bob/enc_keys", " "),
            post("good_all", "bob/enc_keys", all),
            post("good_null", "bob/enc_keys", r#"{"number":null,"size":null}"#),
            post(
                "good_ids",
                "alice/dec_keys",
                &format!(r#"{{"key_IDs":[{{"key_ID":"{ID}","key_ID_extension":{{}}}}]}}"#),
            ),
            get("refused_sign", "bob/enc_keys?number=+3"),
            get("refused_many", "bob/enc_keys?number=129"),
            get("refused_size", "bob/enc_keys?size=257"),
            get("refused_several_slaves", "bob/enc_keys?additional_slave_SAE_IDs=carol"),
            get("refused_no_utf8", "%ff/status"),
            get("refused_no_id", "alice/dec_keys"),
            get("refused_another_id", "alice/dec_keys?key_ID=00000000-0000-0000-0000-000000000000"),
            get("refused_path", "bob/other"),
            (
                "refused_not_text".into(),
                b"POST /api/v1/keys/bob/enc_keys\n{\"extension_optional\":\"\xFF\"}".to_vec(),
            ),
            post("refused_list", "bob/enc_keys", "[3,256]"),
            post("refused_two_numbers", "bob/enc_keys", r#"{"number":1,"number":2}"#),
            post("refused_mandatory", "bob/enc_keys", r#"{"extension_mandatory":[{"a":1}]}"#),
            post("refused_posted_status", "bob/status", ""),
            file("refused_method", "PUT /api/v1/keys/bob/enc_keys\n".into()),
        ],
    );
}

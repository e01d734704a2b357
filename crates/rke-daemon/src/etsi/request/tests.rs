use super::*;

fn sae(text: &str) -> SaeId {
    SaeId::new(text).expect("an SAE ID")
}

fn get(target: &str) -> Result<Request, Refusal> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    read(&Method::GET, path, query, b"")
}

fn post(path: &str, body: &str) -> Result<Request, Refusal> {
    read(&Method::POST, path, "", body.as_bytes())
}

fn make(number: usize, bits: u64) -> Result<Request, Refusal> {
    Ok(Request::Make { slave: sae("b"), number, size: KeySize::from_bits(bits).expect("a size") })
}

const ENC: &str = "/api/v1/keys/b/enc_keys";
const DEC: &str = "/api/v1/keys/a/dec_keys";
const ID: &str = "20010203-0405-8007-b1e2-d3c4b5a69788";

#[test]
fn what_the_standard_does_not_have_is_ignored_and_what_is_missing_has_its_default() {
    assert_eq!(get("/api/v1/keys/a%20b/status"), Ok(Request::Status(sae("a b"))));
    assert_eq!(get(ENC), make(1, 256));
    assert_eq!(get(&format!("{ENC}?number=3&size=128&key_length=512&nonsense")), make(3, 128));
    for body in ["", "{}", r#"{"number":null,"size":null,"key_length":9}"#] {
        assert_eq!(post(ENC, body), make(1, 256), "{body}");
    }
    let all = r#"{"number":128,"size":512,"additional_slave_SAE_IDs":[],"extension_mandatory":[],"extension_optional":[{"a":1}]}"#;
    assert_eq!(post(ENC, all), make(128, 512));
    let ids = vec![ID.parse().expect("an id")];
    let fetch = || Ok(Request::Fetch { master: sae("a"), ids: ids.clone() });
    assert_eq!(get(&format!("{DEC}?key_ID={ID}&size=1")), fetch());
    assert_eq!(
        post(DEC, &format!(r#"{{"key_IDs":[{{"key_ID":"{ID}","key_ID_extension":{{}}}}]}}"#)),
        fetch()
    );
}

#[test]
fn what_cannot_be_served_is_refused_with_the_words_of_the_standard() {
    let message = |read: Result<Request, Refusal>| {
        let refusal = read.expect_err("refused");
        (refusal.status().as_u16(), refusal.message().to_owned())
    };
    let is_bad = |read, part: &str| {
        let (status, message) = message(read);
        assert!(status == 400 && message.contains(part), "{status} {message}");
    };
    is_bad(get(&format!("{ENC}?size=257")), "size shall be a multiple of 8");
    is_bad(get(&format!("{ENC}?size=120")), "size is 128 to 512 bits");
    is_bad(post(ENC, r#"{"size":520}"#), "size is 128 to 512 bits");
    is_bad(get(&format!("{ENC}?size=18446744073709551616")), "size is 128 to 512 bits");
    is_bad(get(&format!("{ENC}?number=0")), "number is 1 to 128");
    is_bad(get(&format!("{ENC}?number=129")), "number is 1 to 128");
    for number in ["x", "", "+3", "%2B3", "-3", "3.0"] {
        is_bad(get(&format!("{ENC}?number={number}")), "number is not a number");
    }
    is_bad(get(&format!("{ENC}?number=18446744073709551616")), "number is 1 to 128");
    is_bad(get(&format!("{ENC}?size=256&number=1&size=128")), "size is given more than once");
    is_bad(post(ENC, r#"{"additional_slave_SAE_IDs":["c"]}"#), "additional_slave_SAE_IDs are not supported");
    is_bad(
        post(ENC, r#"{"extension_mandatory":[{"x":1}]}"#),
        "not all extension_mandatory parameters are supported",
    );
    is_bad(
        get(&format!("{ENC}?extension_mandatory=a&extension_mandatory=b")),
        "not all extension_mandatory parameters are supported",
    );
    for (body, words) in [
        ("[]", "the body is not a JSON object"),
        ("x", "the body is not a JSON object"),
        ("{", "the body is not JSON (line 1, column 1)"),
        (
            r#"{"number":"1"}"#,
            "a field of the body is missing, given twice, or not of the standard's type (line 1, ",
        ),
        (r#"{"number":-1}"#, "a field of the body"),
        (r#"{"number":1,"number":2}"#, "a field of the body"),
    ] {
        is_bad(post(ENC, body), words);
    }
    let not_text = read(&Method::POST, ENC, "", b"{\"extension_optional\":\"\xFF\"}");
    is_bad(not_text, "the body is not UTF-8");
    is_bad(post(DEC, "{}"), "key_IDs is missing");
    is_bad(post(DEC, r#"{"key_IDs":[]}"#), "1 to 128 key_IDs");
    is_bad(get(DEC), "1 to 128 key_IDs");
    is_bad(get(&format!("{DEC}?key_ID=00000000-0000-0000-0000-000000000000")), "not found on KME");
    is_bad(get("/api/v1/keys/%0a/status"), "the SAE ID in the path is malformed");
    for (target, method, status) in [
        ("/", Method::GET, 404),
        ("/api/v1/keys/a", Method::GET, 404),
        ("/api/v1/keys/a/other", Method::GET, 404),
        ("/api/v1/keys/a/status", Method::POST, 405),
        ("/api/v1/keys/a/enc_keys", Method::PUT, 405),
    ] {
        assert_eq!(message(read(&method, target, "", b"")).0, status, "{target}");
    }
}

//! Heads of requests and their queries, as the daemon reads them. What the connection takes for a frequent request is, byte
//! for byte, what a reader of lines finds there and what hyper makes of it, wherever the bytes are cut; and a query says of a
//! parameter what an obvious decoder says.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use std::collections::BTreeMap;

use axum::extract::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_daemon::http::fast::testing::{FirstHead, first_head};
use rke_daemon::http::gate::testing::{Head, Parameter, has_only, nonce};
use rke_fuzz::corpus;

rke_fuzz::target!(request_head, check_head);
rke_fuzz::target!(query, check_query);

/// Good is what the connection answers by itself.
fn check_head(bytes: &[u8]) -> bool {
    let read = first_head(&[bytes]);
    check_pieces(bytes, &read);
    let FirstHead::Frequent(head, rest) = read else { return false };
    let (found, left) = by_lines(bytes).expect("a frequent request has a head of lines");
    assert_eq!((&*head, rest.as_slice()), (&found, left));
    assert_eq!(Head::of_axum(&for_axum(&found)), found);
    assert_eq!(head.method, "GET");
    assert!(["/api/rke/session/delete", "/api/rke/encrypt", "/api/rke/decrypt"].contains(&&*head.path));
    for name in ["content-length", "transfer-encoding", "expect", "upgrade"] {
        assert!(!head.headers.contains_key(name), "{name}");
    }
    true
}

/// Bytes that come in two pieces are read as those that come in one.
fn check_pieces(bytes: &[u8], whole: &FirstHead) {
    let cuts = [bytes.len() / 2, bytes.len().saturating_sub(1), bytes.len().saturating_sub(2), 1];
    for (one, two) in cuts.into_iter().filter_map(|at| bytes.split_at_checked(at)) {
        let cut = first_head(&[one, two]);
        let is_same = match whole {
            // What is wrong with a head may be looked for at its end only.
            FirstHead::Hypers => matches!(cut, FirstHead::Hypers | FirstHead::Unfinished),
            whole => cut == *whole,
        };
        assert!(is_same, "{cut:?} after {} bytes, and {whole:?} at once", one.len());
    }
}

/// A head of lines with an empty one at its end, and what follows it.
fn by_lines(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let mut lines = Lines(bytes);
    let mut first = lines.next()?;
    while first.is_empty() {
        first = lines.next()?;
    }
    let mut words = std::str::from_utf8(first).ok()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    assert_eq!((version, words.next()), ("HTTP/1.1", None));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    loop {
        let line = lines.next()?;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = String::from_utf8(line[..colon].to_ascii_lowercase()).ok()?;
        headers.entry(name).or_default().push(line[colon + 1..].trim_ascii().to_vec());
    }
    Some((Head { method: method.into(), path: path.into(), query: query.into(), headers }, lines.0))
}

/// Lines up to their line feeds, and without what ends them.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// The request that hyper would make of a head.
fn for_axum(head: &Head) -> Request<()> {
    let target =
        if head.query.is_empty() { head.path.clone() } else { format!("{}?{}", head.path, head.query) };
    let request = axum::http::Request::builder().method(head.method.as_str()).uri(target);
    let values = head.headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let request =
        values.fold(request, |request, (name, value)| request.header(name.as_str(), value.as_slice()));
    request.body(()).expect("hyper takes what the connection takes")
}

/// Good is a query that has `a` once, with something in it, and nothing else.
fn check_query(bytes: &[u8]) -> bool {
    // No target has a space or a control character in it.
    let text = std::str::from_utf8(bytes).ok();
    let Some(query) = text.filter(|text| text.bytes().all(|byte| byte > b' ' && byte != 0x7F)) else {
        return false;
    };
    let read = Parameter::of(query, "a");
    let sent: Vec<&str> = query.split('&').filter_map(|pair| value_of(pair, "a")).collect();
    let said = said(&sent);
    assert_eq!(read.given.as_ref().ok(), said.as_ref());
    let filled = said.clone().map(|value| value.filter(|value| !value.is_empty()));
    assert_eq!(read.optional.as_ref().ok(), filled.as_ref());
    assert_eq!(read.required.as_ref().ok(), filled.clone().flatten().as_ref());
    let switch = match said.as_ref().map(|value| value.as_deref()) {
        Some(None | Some("false")) => Some(false),
        Some(Some("true")) => Some(true),
        _ => None,
    };
    assert_eq!(read.flag.as_ref().ok(), switch.as_ref());
    assert_eq!(read.base64.as_ref().ok(), base64(&sent).as_ref());
    check_refusals(&read);
    check_nonce(query);
    let names = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    let only = names.filter(|name| !name.is_empty()).all(|name| name == "a");
    assert_eq!(has_only(query, &["a"]), only);
    only && filled.flatten().is_some()
}

/// The value of a pair of this name, as it was sent.
fn value_of<'a>(pair: &'a str, name: &str) -> Option<&'a str> {
    match pair.split_once('=') {
        Some((key, value)) => (key == name).then_some(value),
        None => (pair == name).then_some(""),
    }
}

/// What a parameter says that was sent so often and so. `None` where it is refused.
fn said(sent: &[&str]) -> Option<Option<String>> {
    match sent {
        [] => Some(None),
        [value] => {
            let text =
                String::from_utf8(unescaped(value, |byte| if byte == b'+' { b' ' } else { byte })).ok()?;
            (!text.contains('\0')).then_some(Some(text))
        }
        _ => None,
    }
}

/// Data in Base64, in which a space stands for a plus.
fn base64(sent: &[&str]) -> Option<Vec<u8>> {
    let [value] = sent else { return None };
    let mut text = unescaped(value, |byte| byte);
    text.iter_mut().filter(|byte| **byte == b' ').for_each(|byte| *byte = b'+');
    STANDARD.decode(text).ok().filter(|_| !value.is_empty())
}

/// The bytes that a value stands for. What is not escaped goes through `plain`.
fn unescaped(value: &str, plain: impl Fn(u8) -> u8) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), value.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (*first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((16 * high + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(plain(*first));
                rest = after;
            }
        }
    }
    bytes
}

/// What is refused is refused in the words of docs/errors.md, and nothing of it is repeated.
fn check_refusals(read: &Parameter) {
    let refusals = [read.given.as_ref().err(), read.required.as_ref().err(), read.flag.as_ref().err()];
    for refusal in refusals.into_iter().flatten().chain(read.base64.as_ref().err()) {
        let known = [
            "Missing 'a' parameter",
            "Missing or invalid 'a' parameter (given once)",
            "Missing or invalid 'a' parameter (valid UTF-8)",
            "Missing or invalid 'a' parameter (without NUL bytes)",
            "Missing or invalid 'a' parameter (true or false)",
            "Invalid base64 encoding",
        ];
        let is = |message: &&str| *refusal == format!(r#"{{"error":true,"message":"{message}","code":400}}"#);
        assert!(known.iter().any(is), "{refusal}");
    }
}

fn check_nonce(query: &str) {
    let sent: Vec<&str> = query.split('&').filter_map(|pair| value_of(pair, "nonce")).collect();
    let digits = said(&sent).flatten().unwrap_or_default();
    let is_nonce = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert_eq!(nonce(query).map(hex::encode), is_nonce.then(|| digits.to_ascii_lowercase()));
}

#[test]
fn the_corpora_have_what_clients_send() {
    let encrypt =
        "GET /api/rke/encrypt?session_id=a1b2&plaintext=SGVsbG8= HTTP/1.1\r\nHost: localhost:8080\r\n";
    let head = |name: &str, text: String| (name.to_owned(), text.into_bytes());
    corpus::holds(
        "request_head",
        vec![
            head("good_encrypt", format!("{encrypt}\r\n")),
            head("good_of_curl", format!("{encrypt}User-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n")),
            head("good_of_a_page", format!("{encrypt}Origin: http://localhost:3000\r\nAccept: a\r\naccept:  b \r\n\r\n")),
            head("good_decrypt_and_more", "GET /api/rke/decrypt HTTP/1.1\nhost: a\n\nGET / HTTP/1.1\r\n".into()),
            head("good_delete", "\r\nGET /api/rke/session/delete?session_id=%61 HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".into()),
            head("refused_not_finished", encrypt.into()),
            head("refused_http_1_0", format!("{}\r\n", encrypt.replace("1.1", "1.0"))),
            head("refused_with_a_body", format!("{encrypt}Content-Length: 1\r\n\r\nx")),
            head("refused_two_lengths", format!("{encrypt}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx")),
            head("refused_a_quote", format!("{}\r\n", encrypt.replace("a1b2", "\""))),
            head("refused_folded", format!("{encrypt}a: b\r\n c: d\r\n\r\n")),
            head("refused_another_path", format!("{}\r\n", encrypt.replace("encrypt", "status"))),
        ],
    );
    let query = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    corpus::holds(
        "query",
        vec![
            query("good_plain", "a=content.example.com"),
            query("good_escaped", "a=x%20y+z%2B%C3%A9"),
            query("good_base64", "a=%20/+/"),
            query("good_cut_escape", "a=%4&"),
            query("good_switch", "&a=true&&"),
            query("refused_empty", "a="),
            query("refused_twice", "a=1&a=2"),
            query("refused_not_utf8", "a=%ff"),
            query("refused_nul", "a=%00"),
            query("refused_with_a_nonce", "a=1&nonce=00112233445566778899AABBCCDDEEFF"),
            query("refused_two_nonces", "nonce=00112233445566778899aabbccddeeff&nonce="),
            query("refused_another", "aa=1"),
        ],
    );
}

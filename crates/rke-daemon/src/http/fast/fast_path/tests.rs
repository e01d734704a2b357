use tokio::io::AsyncWriteExt;

use super::*;

/// A deletion with an unfinished head.
fn deletion() -> String {
    format!("GET {}?session_id=ab HTTP/1.1\r\nHost: localhost\r\n", routes::DELETE.path)
}

fn unread(text: &str) -> Unread {
    Unread { bytes: text.into(), ..Unread::default() }
}

/// A frequent request as it was passed on: its kind, its query and its headers.
type Told = (Frequent, String, Vec<(String, String)>);

/// Takes the next request.
fn next(unread: &mut Unread) -> Next<Told> {
    unread.next(|call, head| {
        assert_eq!((head.method, head.path, head.authority), (&Method::GET, call.row().path, None));
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let headers = head.headers.iter().map(|header| (header.name.into(), text(header.value)));
        Some((call, format!("{:?}", head.query), headers.collect()))
    })
}

#[test]
fn frequent_requests_are_taken_one_by_one() {
    let headers = "Connection: Keep-Alive\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n";
    let (one, other) = (deletion(), routes::ENCRYPT.path);
    let mut bytes = unread(&format!("{one}{headers}GET {other} HTTP/1.1\r\n\r\nGET /ap"));
    let Next::Answered((call, query, headers)) = next(&mut bytes) else { panic!("no deletion") };
    assert_eq!((call, query), (Frequent::Delete, format!("{:?}", Query::new("session_id=ab"))));
    let given = [("Host", "localhost"), ("Connection", "Keep-Alive"), ("X-Two", "1"), ("X-Two", "2")];
    assert!(headers.iter().map(|(name, value)| (&name[..], &value[..])).eq(given), "{headers:?}");
    assert!(matches!(next(&mut bytes), Next::Answered((Frequent::Encrypt, ..))));
    assert!(matches!(next(&mut bytes), Next::Unfinished) && bytes.bytes == "GET /ap");
}

#[test]
fn other_requests_go_alone_when_they_have_no_body() {
    let first = format!("HEAD {} HTTP/1.1\r\nHost: localhost\r\n\r\n", routes::STATUS.path);
    let mut bytes = unread(&format!("{first}{}\r\n", deletion()));
    assert!(matches!(next(&mut bytes), Next::Single(head) if head == first));
    assert!(matches!(next(&mut bytes), Next::Answered((Frequent::Delete, ..))));
    for not_quick_or_in_no_uri in ["&a", "&everywhere=true", "\"", "<", ">", "#"] {
        let text = deletion().replace("=ab", not_quick_or_in_no_uri) + "\r\n";
        assert!(matches!(next(&mut unread(&text)), Next::Single(head) if head == text), "{text}");
    }
}

#[test]
fn a_target_that_is_too_long_is_left_to_hyper() {
    let text = deletion() + "\r\n";
    let target_len = text.split(' ').nth(1).expect("a target").len();
    let with_len = |len: usize| text.replace("=ab", &format!("=ab{}", "c".repeat(len - target_len)));
    assert!(matches!(next(&mut unread(&with_len(MAX_URI_LEN))), Next::Answered(_)));
    assert!(matches!(next(&mut unread(&with_len(MAX_URI_LEN + 1))), Next::Single(_)));
}

#[test]
fn what_is_not_answered_here_goes_alone() {
    let text = deletion() + "\r\n";
    let mut bytes = unread(&text);
    assert!(matches!(bytes.next(|_, _| None::<()>), Next::Single(head) if head == text));
}

#[test]
fn nothing_is_answered_here_where_that_is_switched_off() {
    let text = deletion() + "\r\n";
    let mut off = Unread { bytes: text.as_str().into(), ..Unread::new(FastPath::Off) };
    assert!(matches!(next(&mut off), Next::Single(head) if head == text));
}

#[tokio::test]
async fn there_is_more_room_for_a_client_that_has_filled_what_there_was() {
    let (mut client, mut server) = tokio::io::duplex(100_000);
    let mut unread = Unread::default();
    client.write_all(&[b'a'; 90_000]).await.expect("written");
    let mut read = [0; 3];
    for len in &mut read {
        *len = unread.read(&mut server).await.expect("read");
        unread.take();
    }
    assert!(read[0] < LONG_READ_LEN && read[1..].iter().all(|len| *len >= LONG_READ_LEN), "{read:?}");
}

#[test]
fn what_may_have_a_body_or_is_not_well_formed_takes_the_connection_along() {
    let with = |header: &str| format!("{}{header}\r\n\r\n", deletion());
    for text in [
        with("Content-Length: 3") + "abc",
        with("content-length: 0"),
        with("TRANSFER-ENCODING: chunked"),
        with("Expect: 100-continue"),
        with("Upgrade: websocket"),
        with("Connection: close"),
        with("Connection: keep-alive, upgrade"),
        with("Bad Name: x"),
        deletion().replace("1.1", "1.0") + "\r\n",
        deletion().replace("1.1", "2.0") + "\r\n",
        deletion().replace("=ab", "=\u{7f}") + "\r\n",
        format!("GET http://localhost{} HTTP/1.0\r\n\r\n", routes::ENCRYPT.path),
        "\u{1}\u{2}".into(),
        deletion() + &"A: b\r\n".repeat(40) + "\r\n",
    ] {
        let text = text + "GET / HTTP/1.1\r\n\r\n";
        let mut bytes = unread(&text);
        let next = next(&mut bytes);
        assert!(matches!(&next, Next::Open(all) if *all == text), "{text}: {next:?}");
        assert!(bytes.is_empty());
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_found_at_its_last() {
    for end in ["\r\n\r\n", "\n\n", "\n\r\n"] {
        let head = deletion().trim_end().to_owned() + end;
        let (mut bytes, last) = (unread(""), head.len() - 1);
        for (at, byte) in head.bytes().enumerate() {
            bytes.bytes.extend_from_slice(&[byte]);
            assert!(matches!(next(&mut bytes), Next::Unfinished) == (at < last), "{head:?} {at}");
        }
        assert!(bytes.is_empty());
    }
}

#[test]
fn a_head_without_end_is_waited_for_only_so_long() {
    let start = deletion() + "A: ";
    let mut bytes = unread(&(start.clone() + &"b".repeat(MAX_LEN - start.len())));
    assert!(matches!(next(&mut bytes), Next::Unfinished) && bytes.bytes.len() == MAX_LEN);
    bytes.bytes.extend_from_slice(b"b");
    assert!(matches!(next(&mut bytes), Next::Open(all) if all.len() == MAX_LEN + 1));
}

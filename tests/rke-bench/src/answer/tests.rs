use super::*;

const TWO: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 404 Not \
                     Found\r\ncontent-length:0\r\n\r\n";

#[test]
fn answers_that_follow_each_other_are_told_apart() {
    let first = Answer::parse(TWO).expect("HTTP").expect("whole");
    assert_eq!((first.status, first.body), (200, &b"abc"[..]));
    let second = Answer::parse(&TWO[first.len()..]).expect("HTTP").expect("whole");
    assert_eq!((second.status, second.body), (404, &b""[..]));
    assert_eq!(first.len() + second.len(), TWO.len());
}

#[test]
fn an_answer_that_is_not_all_there_is_waited_for() {
    let whole = Answer::parse(TWO).expect("HTTP").expect("whole").len();
    assert!((0..whole).all(|len| Answer::parse(&TWO[..len]).is_ok_and(|answer| answer.is_none())));
}

#[test]
fn what_is_no_answer_with_a_length_is_an_error() {
    for bytes in [
        &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\ncontent-length: 0\r\n\r\n",
    ] {
        assert!(Answer::parse(bytes).is_err());
    }
}

//! Reads HTTP answers out of the bytes of a connection, one after the other. Only what servers under load
//! send is understood: a status, a length, a body.

use anyhow::{Context, Result, bail};
use memchr::memmem;

/// One whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) head_len: usize,
    pub(crate) body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// The answer at the beginning of `bytes`. `None` where it is not all there yet.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Option<Self>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let (head, rest) = bytes.split_at(end + 4);
        let status = status(head).context("what came is no HTTP answer")?;
        let length = length(head)?;
        Ok(rest.get(..length).map(|body| Self { status, head_len: head.len(), body }))
    }

    pub(crate) fn len(&self) -> usize {
        self.head_len + self.body.len()
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn length(head: &[u8]) -> Result<usize> {
    const NAME: &[u8] = b"content-length:";
    for line in memchr::memchr_iter(b'\n', head) {
        let line = &head[line + 1..];
        if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            let digits = line[NAME.len()..].split(|byte| *byte == b'\r').next().unwrap_or_default();
            let digits = std::str::from_utf8(digits).context("a length that is no text")?;
            return digits.trim().parse().context("a length that is no number");
        }
    }
    bail!("an answer without a length")
}

#[cfg(test)]
mod tests {
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
}

//! Reads HTTP answers out of the bytes of a connection, one after the other. Only what servers under load
//! send is understood: a status, a length, a body.

use anyhow::{Context, Result, bail};
use memchr::memmem;

/// One whole response.
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
        let status = status(head).context("the data is not an HTTP response")?;
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
            let digits = std::str::from_utf8(digits).context("a length that is not text")?;
            return digits.trim().parse().context("a length that is not a number");
        }
    }
    bail!("an answer without a length")
}

#[cfg(test)]
mod tests;

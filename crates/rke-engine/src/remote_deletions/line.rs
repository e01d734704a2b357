//! One line of the file of pending deletions: id, token, proof, host, port and end of life; or `done` and an id.

use std::io::Write;

use jiff::Timestamp;
use rke_proto::handshake::{ForgetProof, ForgetToken};

use super::{Id, RemoteDeletion};
use crate::model::clock::timestamp;
use crate::model::server_name::ServerName;

const DONE: &str = "done";

/// The meaning of a line.
pub(super) enum Line {
    /// A comment, or an empty line.
    Nothing,
    /// A deletion has begun.
    Begun(RemoteDeletion),
    /// It has ended, with a proof or with the end of the key's lifetime.
    Done(Id),
}

/// Appends the line of a deletion that begins. Its host contains no space, because names from DNS are escaped.
pub(super) fn write_begun(deletion: &RemoteDeletion, text: &mut Vec<u8>) {
    let RemoteDeletion { id, token, proof, server: ServerName { host, port }, lives_until } = deletion;
    let [id, token, proof] = [id, &token.0, &proof.0].map(hex::encode);
    let until = timestamp(*lives_until);
    // Writing to memory cannot fail.
    let _ = writeln!(text, "{id} {token} {proof} {host} {port} {until}");
}

/// Appends the line of a deletion that has ended.
pub(super) fn write_done(id: Id, text: &mut Vec<u8>) {
    let _ = writeln!(text, "{DONE} {}", hex::encode(id));
}

/// Parses a line, or returns what is wrong with it.
pub(super) fn parse(line: &[u8]) -> Result<Line, &'static str> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(Line::Nothing);
    }
    let text = std::str::from_utf8(line).map_err(|_| "it is not text")?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words[..] {
        [DONE, id] => Ok(Line::Done(digits(id)?)),
        [id, token, proof, host, port, until] => Ok(Line::Begun(RemoteDeletion {
            id: digits(id)?,
            token: ForgetToken(digits(token)?),
            proof: ForgetProof(digits(proof)?),
            server: ServerName { host: host.into(), port: port.parse().map_err(|_| "its port is not one")? },
            lives_until: seconds(until).ok_or("its last word is not a time such as 2026-01-31T09:30:00Z")?,
        })),
        _ => Err("it is not id, token, proof, host, port and end of life"),
    }
}

fn digits(word: &str) -> Result<Id, &'static str> {
    let mut bytes = Id::default();
    hex::decode_to_slice(word, &mut bytes).map_err(|_| "it is not 32 hexadecimal digits")?;
    Ok(bytes)
}

fn seconds(word: &str) -> Option<u32> {
    word.parse::<Timestamp>().ok()?.as_second().try_into().ok()
}

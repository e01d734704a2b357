//! A daemon's response that holds a key, in memory that is wiped.

use std::ops::Range;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_client::response::Exported;
use rke_client::{Call, Client};
use rke_secret::SecretError;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Room for the head and the body.
const ROOM: usize = 4096;

/// The response.
pub(crate) struct KeyResponse {
    room: Zeroizing<Vec<u8>>,
    body: Range<usize>,
}

/// Why a daemon's response holds no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoKey {
    #[error("the daemon's response to an export holds no key")]
    NotUnderstood,
    #[error(transparent)]
    Memory(#[from] SecretError),
}

/// The daemon's JSON. A raw value is borrowed from where it lies, whatever it is: unlike text, it is never copied to undo
/// escapes, nor quoted in an error.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
}

impl KeyResponse {
    /// Exports a key.
    ///
    /// # Errors
    /// The client's.
    pub(crate) async fn ask(client: &Client, call: &Call<Exported>) -> Result<Self> {
        let mut room = Zeroizing::new(vec![0; ROOM]);
        let body = client.ask_in_place(call, &mut room).await?;
        Ok(Self { room, body })
    }

    /// The body as it came.
    pub(crate) fn json(&self) -> &[u8] {
        &self.room[self.body.clone()]
    }

    /// Writes the key, which must be as long as `key`. Call this where secrets may lie on the stack.
    pub(crate) fn read_key(&self, key: &mut [u8]) -> Result<(), NoKey> {
        let text = key_in(self.json()).ok_or(NoKey::NotUnderstood)?;
        match STANDARD.decode_slice(text, key) {
            Ok(len) if len == key.len() => Ok(()),
            _ => Err(NoKey::NotUnderstood),
        }
    }
}

/// The Base64 of the key.
fn key_in(json: &[u8]) -> Option<&str> {
    let Body { key } = serde_json::from_slice(json).ok()?;
    key.get().strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_where_it_lies_in_the_daemons_json() {
        let json = br#"{"command":"rke_export", "note":"\"key\":\"BBBB\"", "key" : "AAAA","length":32}"#;
        let found = key_in(json).expect("a key");
        assert_eq!(found, "AAAA");
        assert!(json.as_ptr_range().contains(&found.as_ptr()), "no copy");
        let nothing: [&[u8]; 6] =
            [br#"{"success":true}"#, br#"{"key":"AAAA"#, br#"{"key":7}"#, br#"{"key":null}"#, b"[]", b""];
        for other in nothing {
            assert_eq!(key_in(other), None);
        }
    }

    #[test]
    fn a_key_of_another_length_or_form_is_none() {
        let read = |text: &str, len: usize| {
            let json = format!(r#"{{"key":"{text}"}}"#).into_bytes();
            let response = KeyResponse { body: 0..json.len(), room: Zeroizing::new(json) };
            let mut key = vec![0; len];
            response.read_key(&mut key).ok().map(|()| key)
        };
        assert_eq!(read("AQID", 3), Some(vec![1, 2, 3]));
        for (text, len) in [("AQID", 2), ("AQID", 4), (r"AQ\u0049D", 3), ("AQI", 2), ("A*ID", 3)] {
            assert_eq!(read(text, len), None, "{text} {len}");
        }
    }
}

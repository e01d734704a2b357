//! The daemon's events as they happen: `GET /api/rke/events`, a text/event-stream.

use serde::Deserialize;

use crate::{Error, Stream};

/// Longest event, in bytes.
const MAX_EVENT_LEN: usize = 64 * 1024;

/// Something that happened in the daemon.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// One step of an exchange.
    Exchange(Exchange),
    /// An event that this version has no type for.
    Other {
        /// Its name.
        name: String,
        /// Its data.
        data: String,
    },
}

/// What one RAIDA did in an exchange.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Exchange {
    /// The domain that the key is for.
    pub domain: String,
    /// The RAIDA's index.
    pub raida: u8,
    /// What it did.
    pub state: State,
    /// Milliseconds from the request to the response.
    pub ms: Option<f64>,
    /// Why it failed, in words.
    pub fault: Option<String>,
}

/// A step of a RAIDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The request was sent.
    Asked,
    /// It gave a share.
    Answered,
    /// It contributed none, or a wrong one.
    Failed,
}

/// The daemon's events from now on. Drop it to listen no longer.
///
/// It does not connect again after a cut. The first events of a listener are those of everything that may have changed,
/// so one that listens again misses nothing except steps of exchanges.
pub struct Events {
    address: String,
    stream: Stream,
    text: Text,
}

impl Events {
    pub(crate) fn new(address: &str, stream: Stream) -> Self {
        Self { address: address.into(), stream, text: Text::default() }
    }

    /// The next event, or `None` when the daemon shuts down.
    ///
    /// # Errors
    /// [`Error::CutShort`] if the connection is cut, [`Error::NotUnderstood`] for an event that is too long.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.text.next() {
                return Ok(Some(event));
            }
            if self.text.is_too_long() {
                let reason = "an event is too long".into();
                return Err(Error::NotUnderstood { address: self.address.clone(), reason });
            }
            match self.stream.piece().await? {
                Some(piece) => self.text.push(&piece),
                None => return Ok(None),
            }
        }
    }
}

/// Received bytes that are not parsed yet.
#[derive(Default)]
struct Text {
    waiting: Vec<u8>,
}

impl Text {
    fn push(&mut self, piece: &[u8]) {
        self.waiting.extend(piece.iter().filter(|byte| **byte != b'\r'));
    }

    /// Whether an event does not end. Call it when there is no whole event.
    fn is_too_long(&self) -> bool {
        self.waiting.len() > MAX_EVENT_LEN
    }

    /// The next whole event: the lines up to an empty one. Comment lines only keep the connection open.
    fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.waiting.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.waiting.drain(..end + 2).collect();
            let event = parse(&String::from_utf8_lossy(&block));
            if event.is_some() {
                return event;
            }
        }
    }
}

fn parse(block: &str) -> Option<Event> {
    let (mut name, mut data) = ("message", Vec::new());
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value,
            "data" => data.push(value),
            _ => (),
        }
    }
    if data.is_empty() {
        return None;
    }
    let data = data.join("\n");
    let exchange = (name == "exchange").then(|| serde_json::from_str(&data).ok()).flatten();
    Some(exchange.map_or_else(|| Event::Other { name: name.into(), data }, Event::Exchange))
}

#[cfg(test)]
mod tests;

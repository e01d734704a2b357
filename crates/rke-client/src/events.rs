//! What the daemon tells while it happens: `GET /api/rke/events`, a text/event-stream.

use serde::Deserialize;

use crate::{Error, Stream};

/// Longest event that is kept, in bytes.
const MAX_EVENT_LEN: usize = 64 * 1024;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An exchange went on by one step.
    Exchange(Exchange),
    /// Something that this version has no type for.
    Other {
        /// Its name.
        name: String,
        /// What it says.
        data: String,
    },
}

/// What one RAIDA did in an exchange.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Exchange {
    /// The domain that a key is made for.
    pub domain: String,
    /// The RAIDA's index.
    pub raida: u8,
    /// What it did.
    pub state: State,
    /// Milliseconds from asking to its answer.
    pub ms: Option<f64>,
    /// Why it failed, for people.
    pub fault: Option<String>,
}

/// What a RAIDA did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was asked.
    Asked,
    /// It gave a share.
    Answered,
    /// It gave none, or a wrong one.
    Failed,
}

/// The daemon's events from now on.
pub struct Events {
    stream: Stream,
    text: Text,
}

impl Events {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, text: Text::default() }
    }

    /// The next event. `None` when the daemon ends.
    ///
    /// # Errors
    /// [`Error::CutShort`].
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.text.next() {
                return Ok(Some(event));
            }
            match self.stream.piece().await? {
                Some(piece) => self.text.push(&piece),
                None => return Ok(None),
            }
        }
    }
}

/// What has come and is not read yet.
#[derive(Default)]
struct Text {
    waiting: Vec<u8>,
}

impl Text {
    fn push(&mut self, piece: &[u8]) {
        self.waiting.extend(piece.iter().filter(|byte| **byte != b'\r'));
        if self.waiting.len() > MAX_EVENT_LEN {
            self.waiting.clear();
        }
    }

    /// The next whole event: lines up to an empty one. Comments keep the connection open and say nothing.
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
mod tests {
    use super::*;

    fn events(pieces: &[&str]) -> Vec<Event> {
        let mut text = Text::default();
        let mut events = Vec::new();
        for piece in pieces {
            text.push(piece.as_bytes());
            events.extend(std::iter::from_fn(|| text.next()));
        }
        events
    }

    #[test]
    fn an_event_is_whole_at_its_empty_line() {
        let pieces = [
            ": hello\n\nevent: exch",
            "ange\r\nid: 1\r\ndata: {\"domain\":\"a\",\"raida\":7,",
            "\"state\":\"answered\",\"ms\":1.5}\r\n\r\n",
        ];
        let exchange =
            Exchange { domain: "a".into(), raida: 7, state: State::Answered, ms: Some(1.5), fault: None };
        assert_eq!(events(&pieces), [Event::Exchange(exchange)]);
    }

    #[test]
    fn what_is_not_known_is_given_as_it_is() {
        let other = |name: &str, data: &str| Event::Other { name: name.into(), data: data.into() };
        assert_eq!(
            events(&["data:x\ndata: y\n\nevent: exchange\ndata: {}\n\nevent: none\n\n"]),
            [other("message", "x\ny"), other("exchange", "{}")]
        );
    }

    #[test]
    fn an_event_without_end_is_dropped() {
        let long = "x".repeat(MAX_EVENT_LEN);
        assert_eq!(
            events(&["data: ", &long, "data: y\n\n"]),
            [Event::Other { name: "message".into(), data: "y".into() }]
        );
    }
}

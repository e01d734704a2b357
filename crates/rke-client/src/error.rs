//! What can go wrong, sorted by what the caller can do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// Why there is no good answer. Each kind has its own remedy, which [`Error::remedy`] says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody answers there, or not over HTTP.
    #[error("no daemon answers at {address}: {reason}")]
    NoDaemon {
        /// Where it was looked for.
        address: String,
        /// What the system or HTTP said.
        reason: String,
    },
    /// Somebody answers, but not as a daemon of this version would.
    #[error("what answers at {address} is no rke daemon that this client understands: {reason}")]
    NotUnderstood {
        /// Where it was asked.
        address: String,
        /// What is odd.
        reason: String,
    },
    /// The token cannot be read.
    #[error("cannot read the daemon's token from {path}: {error}")]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// There is no such session, or it has expired.
    #[error("{0}")]
    SessionGone(Refusal),
    /// The session's key must not or cannot do this: it has been used enough, or the Content Server has not
    /// confirmed it.
    #[error("{0}")]
    FreshKeyNeeded(Refusal),
    /// The sealed data is not what was sealed, or not with this key or this associated data.
    #[error("{0}")]
    Altered(Refusal),
    /// The daemon cannot do it now: too many sessions or requests, or too few RAIDAs answer.
    #[error("{0}")]
    TryLater(Refusal),
    /// The daemon does not let this client do it.
    #[error("{0}")]
    NotAllowed(Refusal),
    /// What the daemon needs from others fails: DNS, the RAIDAs, the Content Server.
    #[error("{0}")]
    Elsewhere(Refusal),
    /// The request is wrong.
    #[error("{0}")]
    Wrong(Refusal),
    /// The daemon failed.
    #[error("{0}")]
    Daemon(Refusal),
    /// A header cannot hold this.
    #[error("the value of {header} has characters that HTTP cannot carry")]
    Unsendable {
        /// The header.
        header: &'static str,
    },
    /// The data to send cannot be read. The daemon was told that it is not whole.
    #[error("cannot read the data to send: {0}")]
    Input(io::Error),
    /// What came cannot be written where it should go.
    #[error("cannot write the data that came: {0}")]
    Output(io::Error),
    /// The command behind a tunnel has failed. All that it wrote has come.
    #[error("the command behind the tunnel ended with exit status {status}")]
    CommandFailed {
        /// Its exit status, which is not 0; 128 + n where signal n killed it.
        status: i32,
    },
    /// The answer broke off in its middle: what came so far is not whole and must not be used.
    #[error("the daemon broke the answer off: {reason}; what came so far is not whole")]
    CutShort {
        /// What HTTP said.
        reason: String,
    },
}

impl Error {
    /// What helps, in a few words.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoDaemon { .. } => "start a daemon with `rke serve`, or name another address",
            Self::NotUnderstood { .. } => {
                "see what listens there, and whether daemon and client are of one version"
            }
            Self::Token { .. } => "name the file `token` of the daemon's data folder",
            Self::SessionGone(_) => "open a new session",
            Self::FreshKeyNeeded(_) => "open a session with a fresh key",
            Self::Altered(_) => {
                "do not use this data; get it again, or use the session and the associated data that it was sealed with"
            }
            Self::TryLater(_) => "try again later",
            Self::NotAllowed(_) => "ask whoever runs the daemon",
            Self::Elsewhere(_) => "check the domain, its DNS records and its Content Server",
            Self::Wrong(_) | Self::Unsendable { .. } => "change the request",
            Self::Daemon(_) => "look into the daemon's log",
            Self::Input(_) | Self::Output(_) => "see to the file",
            Self::CommandFailed { .. } => "ask whoever runs the Content Server",
            Self::CutShort { .. } => "throw away what came, and try again",
        }
    }

    /// The daemon's own words, where it answered with an error.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::SessionGone(refusal)
            | Self::FreshKeyNeeded(refusal)
            | Self::Altered(refusal)
            | Self::TryLater(refusal)
            | Self::NotAllowed(refusal)
            | Self::Elsewhere(refusal)
            | Self::Wrong(refusal)
            | Self::Daemon(refusal) => Some(refusal),
            _ => None,
        }
    }
}

/// An error answer of the daemon.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// The answer as it came.
    pub text: String,
    /// The same, read.
    pub answer: Value,
    /// How long the daemon asks to wait.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether all places for sessions are taken: one that ends makes room.
    pub fn is_full(&self) -> bool {
        self.code == 429
            && self.answer["message"].as_str().is_some_and(|text| text.starts_with("Maximum of "))
    }

    /// What kept RAIDAs from giving a share, each fault with the RAIDAs that have it.
    fn faults(&self) -> Vec<(&str, Vec<String>)> {
        let mut equal: Vec<(&str, Vec<String>)> = Vec::new();
        for fault in self.answer["faults"].as_array().into_iter().flatten() {
            let (raida, fault) = (fault["raida"].to_string(), fault["fault"].as_str().unwrap_or("?"));
            match equal.iter_mut().find(|(known, _)| *known == fault) {
                Some((_, raidas)) => raidas.push(raida),
                None => equal.push((fault, vec![raida])),
            }
        }
        equal
    }

    /// The error of this kind of refusal.
    pub(crate) fn into_error(self) -> Error {
        match self.code {
            404 if self.answer.get("session_id").is_some() => Error::SessionGone(self),
            409 => Error::FreshKeyNeeded(self),
            422 => Error::Altered(self),
            408 | 429 | 503 => Error::TryLater(self),
            401 | 403 | 421 => Error::NotAllowed(self),
            502 => Error::Elsewhere(self),
            500.. => Error::Daemon(self),
            _ => Error::Wrong(self),
        }
    }
}

/// The daemon's message, and what each RAIDA did where the daemon says so.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.answer["message"].as_str().unwrap_or("the daemon refused without a message"))?;
        for (fault, raidas) in self.faults() {
            let plural = if raidas.len() > 1 { "s" } else { "" };
            write!(f, "\n  RAIDA{plural} {}: {fault}", raidas.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(code: u16, answer: Value) -> Error {
        Refusal { code, text: answer.to_string(), answer, retry_after: None }.into_error()
    }

    #[test]
    fn a_refusal_tells_what_helps() {
        let session = json!({"message": "Session not found", "session_id": "x"});
        assert!(matches!(error(404, session), Error::SessionGone(_)));
        assert!(matches!(error(404, json!({"message": "No such path"})), Error::Wrong(_)));
        for (code, remedy) in [
            (400, "change the request"),
            (401, "ask whoever runs the daemon"),
            (409, "open a session with a fresh key"),
            (413, "change the request"),
            (429, "try again later"),
            (500, "look into the daemon's log"),
            (502, "check the domain, its DNS records and its Content Server"),
            (503, "try again later"),
        ] {
            assert_eq!(error(code, json!({})).remedy(), remedy, "{code}");
        }
        assert!(error(422, json!({})).remedy().starts_with("do not use this data"));
    }

    #[test]
    fn each_raida_that_failed_is_named_and_equal_faults_are_one_line() {
        let of = |raida: u8, fault: &str| json!({"raida": raida, "fault": fault});
        let faults = [of(7, "no answer"), of(9, "status 198"), of(12, "no answer")];
        let text = error(503, json!({"message": "Only 12", "faults": faults})).to_string();
        assert_eq!(text, "Only 12\n  RAIDAs 7, 12: no answer\n  RAIDA 9: status 198");
    }
}

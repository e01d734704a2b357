//! What can go wrong, sorted by what the caller can do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// Why a request failed. [`Error::remedy`] says how to fix each kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing responds at the address, or not over HTTP.
    #[error("no daemon responds at {address}: {reason}")]
    NoDaemon {
        /// The daemon's address.
        address: String,
        /// The message of the system or of HTTP.
        reason: String,
    },
    /// The daemon has not responded within the limit of [`Client::with_timeout`](crate::Client::with_timeout).
    #[error("the daemon at {address} has not responded within {} s", .limit.as_secs_f64())]
    Silent {
        /// The daemon's address.
        address: String,
        /// The limit.
        limit: Duration,
    },
    /// Something responds, but not as a daemon of this version would.
    #[error("the program at {address} is not an rke daemon that this client understands: {reason}")]
    NotUnderstood {
        /// The daemon's address.
        address: String,
        /// What is unexpected.
        reason: String,
    },
    /// The token cannot be read.
    #[error("cannot read the daemon's token from {path}: {error}")]
    Token {
        /// The file.
        path: PathBuf,
        /// The message of the system.
        error: io::Error,
    },
    /// The daemon does not accept the token.
    #[error("the daemon at {address} does not accept the token in {path}")]
    TokenRejected {
        /// The daemon's address.
        address: String,
        /// The file.
        path: PathBuf,
        /// The daemon's response.
        refusal: Box<Refusal>,
    },
    /// The session does not exist or has expired.
    #[error("{0}")]
    SessionGone(Refusal),
    /// The session's key does not permit this: it has reached its limit of uses, or the Content Server has not
    /// confirmed it.
    #[error("{0}")]
    FreshKeyNeeded(Refusal),
    /// The sealed data was modified, or sealed with another key or other associated data.
    #[error("{0}")]
    Altered(Refusal),
    /// The daemon is busy: too many sessions or requests, or too few RAIDAs respond.
    #[error("{0}")]
    TryLater(Refusal),
    /// The daemon does not permit this client to do it.
    #[error("{0}")]
    NotAllowed(Refusal),
    /// Something that the daemon depends on failed: DNS, the RAIDAs, the Content Server.
    #[error("{0}")]
    Elsewhere(Refusal),
    /// The request is wrong.
    #[error("{0}")]
    Wrong(Refusal),
    /// The daemon failed.
    #[error("{0}")]
    Daemon(Refusal),
    /// A value that a header cannot carry.
    #[error("the value of {header} has characters that HTTP cannot carry")]
    Unsendable {
        /// The header.
        header: &'static str,
    },
    /// The data to send cannot be read. The daemon knows that it is incomplete.
    #[error("cannot read the data to send: {0}")]
    Input(io::Error),
    /// The received data cannot be written to its destination.
    #[error("cannot write the received data: {0}")]
    Output(io::Error),
    /// The command behind a tunnel failed. All of its output has arrived.
    #[error("the command behind the tunnel ended with exit status {status}")]
    CommandFailed {
        /// Its exit status, never 0; 128 + n if signal n killed it.
        status: i32,
    },
    /// The response was cut off: what arrived is incomplete and must not be used.
    #[error("the daemon cut the response off: {reason}; what arrived is incomplete")]
    CutShort {
        /// The message of HTTP.
        reason: String,
    },
}

impl Error {
    /// How to fix it, in a few words.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoDaemon { .. } => "start a daemon with `rke serve`, or name another address",
            Self::Silent { .. } => "see whether the daemon is stopped or has too much to do, or wait longer",
            Self::NotUnderstood { .. } => {
                "check which program listens there, and whether daemon and client have the same version"
            }
            Self::Token { .. } => "name the file `token` of the daemon's data folder",
            Self::TokenRejected { .. } => {
                "name the file `token` of this daemon's data folder; the daemon writes a new one at each start"
            }
            Self::SessionGone(_) => "open a new session",
            Self::FreshKeyNeeded(_) => "open a session with a fresh key",
            Self::Altered(_) => {
                "do not use this data; get it again, or use the session and the associated data that it was sealed with"
            }
            Self::TryLater(_) => "try again later",
            Self::NotAllowed(_) => "ask the daemon's operator",
            Self::Elsewhere(_) => "check the domain, its DNS records and its Content Server",
            Self::Wrong(_) | Self::Unsendable { .. } => "change the request",
            Self::Daemon(_) => "see the daemon's log",
            Self::Input(_) | Self::Output(_) => "check the file",
            Self::CommandFailed { .. } => "ask the Content Server's operator",
            Self::CutShort { .. } => "discard what arrived, and try again",
        }
    }

    /// The daemon's own words, if it responded with an error.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::TokenRejected { refusal, .. } => Some(refusal),
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

/// An error response of the daemon.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// The response's text.
    pub text: String,
    /// The response, parsed.
    pub response: Value,
    /// How long the daemon asks the client to wait.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether the store is full: any session that ends makes room.
    pub fn is_full(&self) -> bool {
        self.code == 429
            && self.response["message"].as_str().is_some_and(|text| text.starts_with("Maximum of "))
    }

    /// Why RAIDAs contributed no share: each fault with the RAIDAs that have it.
    fn faults(&self) -> Vec<(&str, Vec<String>)> {
        let mut equal: Vec<(&str, Vec<String>)> = Vec::new();
        for fault in self.response["faults"].as_array().into_iter().flatten() {
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
            404 if self.response.get("session_id").is_some() => Error::SessionGone(self),
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

/// The daemon's message, followed by what each RAIDA did if the daemon says so.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.response["message"].as_str().unwrap_or("the daemon refused without a message"))?;
        for (fault, raidas) in self.faults() {
            let plural = if raidas.len() > 1 { "s" } else { "" };
            write!(f, "\n  RAIDA{plural} {}: {fault}", raidas.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

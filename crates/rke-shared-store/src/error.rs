//! What can go wrong with the shared store, by what the caller does next. The README says which HTTP status each becomes.

use std::time::Duration;

use rke_secret::SecretError;

use crate::sealing::OpenError;

/// Why an operation did not happen, or may have happened without this node knowing it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or refuses to work at the moment. 503.
    #[error("The store cannot be used at the moment: {0}. Try again in a few seconds")]
    Unavailable(Outage),
    /// A new primary has just taken over, and the old one may still serve others. 503.
    #[error(
        "The store has a new primary, and the old one may still serve some sessions. Try again in {} seconds",
        .retry_after.as_secs().max(1)
    )]
    Unsettled { retry_after: Duration },
    /// A deletion, perhaps of others, was announced while the record was on its way, or the copy's hold was over at once. 503.
    #[error("This machine's copy of the session ended at this moment. Try again")]
    Overtaken,
    /// Nothing has this id. 404.
    #[error("Nothing in the store has this id")]
    NotFound,
    /// No room for another. 429 for sessions.
    #[error("The store has its {max} sessions, and none has expired")]
    Full {
        max: u64,
        /// Until the next one expires.
        retry_after: Duration,
    },
    /// The key has encrypted as much as it may. 409, as without a shared store.
    #[error(
        "This session's key has encrypted as much as one key may; open a new session, which has a key of its own"
    )]
    UsedUp,
    /// Some records are sealed under a key that this node does not have. 503.
    #[error(
        "The store has records that are sealed under a key that is not in this machine's key file. Copy the file from a machine \
         that has the key"
    )]
    OtherKeys,
    /// A record is damaged, or someone has changed it. 500.
    #[error("A record in the store is damaged, or was changed by someone without the key")]
    Damaged,
    /// No secret memory, or no random bytes. 503.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Why the store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// No connection.
    #[error("no connection to {0}")]
    NotConnected(String),
    #[error("{0} does not accept the user and the password in the address of --store")]
    WrongPassword(String),
    #[error("{0} does not let the user in the address of --store run the commands that rke needs")]
    NotPermitted(String),
    #[error(
        "the certificate of {0} is not valid today, not for that name, or not from an authority that this machine trusts. \
         SSL_CERT_FILE names the file of another authority"
    )]
    Untrusted(String),
    #[error("{0} responds without TLS. Turn TLS on at the store, or use `redis://` if it is on this machine")]
    WithoutTls(String),
    /// An address that Sentinels or members of a cluster have named.
    #[error(
        "it names {0}, which is beyond this machine, and the connection is not encrypted. Use `rediss://` or `valkeys://`, and turn \
         TLS on at the store"
    )]
    NamesBeyond(String),
    /// The store does not know this node yet, or no longer.
    #[error("it does not know this machine yet")]
    NotJoined,
    /// Other nodes share it under other limits.
    #[error("other machines share it with other limits")]
    OtherLimits,
    /// The connection was lost, or no response came in time, after the request was sent: it may have been carried out.
    #[error("the connection was lost, or no response came in time")]
    Unconfirmed,
    /// It is loading its data, has no primary, or has lost its replicas.
    #[error("it refuses requests ({0})")]
    Refused(String),
    /// It responded with something that no script of this version returns.
    #[error("it gave a response that this version of rke does not know")]
    Unintelligible,
}

/// The reason also where the permission was taken away while the store was in use.
const NOT_PERMITTED: &str = "the store that it shares with other machines does not let its user run commands";

impl Outage {
    /// The same for anyone who looks after this machine: without an address, and as a reason why a program is not ready.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::WrongPassword(_) => {
                "the store that it shares with other machines does not accept its user and password"
            }
            Self::NotPermitted(_) => NOT_PERMITTED,
            Self::Untrusted(_) => {
                "it does not trust the certificate of the store that it shares with other machines"
            }
            Self::WithoutTls(_) => "the store that it shares with other machines responds without TLS",
            Self::NamesBeyond(_) => {
                "a part of the store that it shares is beyond this machine, and has no TLS"
            }
            Self::OtherLimits => "other machines share its store with other limits",
            Self::Refused(code) => match code.as_str() {
                "NOPERM" => NOT_PERMITTED,
                "READONLY" => {
                    "the store that it shares with other machines is a replica and takes no changes"
                }
                "OOM" => "the store that it shares with other machines has no memory left",
                "MISCONF" => {
                    "the store that it shares with other machines takes no changes while it cannot save to its disk"
                }
                "NOREPLICAS" => {
                    "the store that it shares with other machines takes no changes without its replicas"
                }
                _ => "the store that it shares with other machines refuses requests",
            },
            Self::NotConnected(_) | Self::NotJoined | Self::Unconfirmed | Self::Unintelligible => {
                "it cannot reach the store that it shares with other machines"
            }
        }
    }

    /// Whether the request may have been carried out.
    pub(crate) fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unconfirmed | Self::Unintelligible)
    }
}

impl StoreError {
    /// When to try again, for errors that pass.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(_) | Self::OtherKeys | Self::Secret(_) => Some(Duration::from_secs(2)),
            Self::Overtaken => Some(Duration::from_secs(1)),
            Self::Unsettled { retry_after } | Self::Full { retry_after, .. } => {
                Some((*retry_after).max(Duration::from_secs(1)))
            }
            Self::NotFound | Self::UsedUp | Self::Damaged => None,
        }
    }
}

impl From<Outage> for StoreError {
    fn from(outage: Outage) -> Self {
        Self::Unavailable(outage)
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::DoesNotOpen => Self::Damaged,
            OpenError::Secret(error) => Self::Secret(error),
        }
    }
}

impl From<getrandom::Error> for StoreError {
    fn from(error: getrandom::Error) -> Self {
        Self::Secret(error.into())
    }
}

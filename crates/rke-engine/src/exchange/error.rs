//! Why an exchange ended without a key, for people and for metrics.

use std::io;

use rke_host::wallet::WalletError;
use rke_proto::round::Fault;
use rke_proto::{Form, RaidaIndex};

use super::clock::ClockReading;
use super::refusals;
use crate::Domain;
use crate::contact::server::ContactError;
use crate::discovery::DiscoveryError;
use crate::model::server_name::ServerName;
use crate::trust::Untrusted;

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The caller's wallet cannot be used.
    #[error("Cannot use the wallet: {0}")]
    Wallet(#[source] WalletError),
    /// The wallet is outside the folder that the operator allows for wallets.
    #[error("The wallet leads out of the folder that the daemon's --wallet-root names")]
    WalletOutside,
    /// The Content Server was not found.
    #[error("DNS discovery failed: {0}")]
    Discovery(#[from] DiscoveryError),
    /// The Content Server has only 1-byte shares, and the operator has not allowed them.
    #[error(
        "{domain} offers only weak (1-byte) key shares, {}; \
         to accept them, start the daemon with --allow-weak-shares {domain}", why_weak(*.form)
    )]
    WeakShares {
        domain: Domain,
        /// How sessions with it would be opened.
        form: Form,
    },
    /// Too few RAIDAs gave a share.
    #[error(
        "Only {} of {required} required RAIDAs answered{}",
        .answered.len(),
        refusals::describe(.answered.len(), .faults, .clock)
    )]
    TooFewAnswered {
        /// How many RAIDAs are required.
        required: usize,
        /// Those that gave a share.
        answered: Vec<u8>,
        /// What went wrong with each of the others.
        faults: Vec<(RaidaIndex, Fault)>,
        /// This machine's clock at the time of the requests, which some RAIDAs may have refused.
        clock: ClockReading,
    },
    /// Too many RAIDAs gave wrong shares. It cannot be proven which.
    #[error("Only {right} of {required} required shares are right")]
    TooFewRight {
        /// How many RAIDAs are required.
        required: usize,
        /// How many gave a right share, according to the Content Server.
        right: usize,
    },
    /// The Content Server has other shares than some of the RAIDAs, and 1-byte shares do not show which.
    #[error(
        "The Content Server at {server} refused the shares of {}: RAIDAs gave wrong shares, and 1-byte shares do \
         not show which; try again, and tell the operator of the Content Server if this persists", sets(*.tried)
    )]
    NoSetRight {
        /// The address of the Content Server.
        server: ServerName,
        /// How many sets of RAIDAs were tried.
        tried: usize,
    },
    /// The Content Server did not take part in the handshake.
    #[error("Cannot agree on a key with the Content Server at {server}: {reason}")]
    ContentServer {
        /// The address that was tried.
        server: ServerName,
        /// Why it did not.
        reason: ContactError,
    },
    /// The Content Server is not the one that the domain had before.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// The Content Server did not confirm the key, and the daemon is configured to require that.
    #[error("The key was not confirmed: {0}; to open sessions anyway, start the daemon with --confirm try")]
    Unconfirmed(String),
    /// Too many exchanges are running: this one did not get its turn in time.
    #[error("Too many exchanges are running; try again in a few seconds")]
    Crowded,
    /// The machine failed.
    #[error("The exchange could not run: {0}")]
    Machine(#[from] io::Error),
}

impl From<WalletError> for ExchangeError {
    fn from(error: WalletError) -> Self {
        match error {
            WalletError::Outside => Self::WalletOutside,
            error => Self::Wallet(error),
        }
    }
}

impl ExchangeError {
    /// Turns the error of a Content Server that did not agree on a key into an error of the exchange.
    pub(super) fn contact(server: ServerName, error: ContactError, required: usize) -> Self {
        match error {
            ContactError::Unproven { right } if right < required => Self::TooFewRight { required, right },
            ContactError::Secret(error) => Self::Machine(error.into()),
            reason => Self::ContentServer { server, reason },
        }
    }

    /// Its name, for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Wallet(_) | Self::WalletOutside => "wallet",
            Self::Discovery(_) => "discovery",
            Self::WeakShares { .. } => "weak_shares",
            Self::TooFewAnswered { .. } => "too_few_answered",
            Self::TooFewRight { .. } | Self::NoSetRight { .. } => "too_few_right",
            Self::ContentServer { .. } => "content_server",
            Self::Untrusted(Untrusted::File(_)) => "machine",
            Self::Untrusted(_) => "untrusted",
            Self::Unconfirmed(_) => "unconfirmed",
            Self::Crowded => "crowded",
            Self::Machine(_) => "machine",
        }
    }

    /// Whether outdated records can make an exchange fail this way: the Content Server refuses or is gone, or no
    /// RAIDA responds.
    pub(super) fn may_come_from_old_records(&self) -> bool {
        match self {
            Self::ContentServer { .. } | Self::NoSetRight { .. } | Self::Unconfirmed(_) => true,
            Self::TooFewAnswered { answered, .. } => answered.is_empty(),
            _ => false,
        }
    }

    /// Whether another request for the same domain would fail the same way now.
    pub fn holds_for_everyone(&self) -> bool {
        matches!(
            self,
            Self::Discovery(_)
                | Self::WeakShares { .. }
                | Self::TooFewAnswered { .. }
                | Self::TooFewRight { .. }
                | Self::NoSetRight { .. }
                | Self::ContentServer { .. }
                | Self::Untrusted(_)
                | Self::Unconfirmed(_)
        )
    }
}

/// Why a key from 1-byte shares is weak.
fn why_weak(form: Form) -> &'static str {
    match form {
        Form::Handshake3Narrow => "by which the two ends of a session know each other only weakly",
        Form::Live | Form::Wide => "which make a key of 8 bits",
    }
}

fn sets(tried: usize) -> String {
    if tried == 1 { "the only set of RAIDAs".into() } else { format!("{tried} sets of RAIDAs") }
}

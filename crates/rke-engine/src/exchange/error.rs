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

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The caller's wallet cannot be used.
    #[error("Cannot use the wallet: {0}")]
    Wallet(#[source] WalletError),
    /// The wallet lies elsewhere than the operator wants wallets to lie.
    #[error("The wallet leads out of the folder that the daemon's --wallet-root names")]
    WalletOutside,
    /// The Content Server was not found.
    #[error("DNS discovery failed: {0}")]
    Discovery(#[from] DiscoveryError),
    /// The Content Server has only 1-byte shares, and nobody allowed them.
    #[error(
        "{domain} offers only weak (1-byte) key shares, {}; \
         to accept them, start the daemon with --allow-weak-shares {domain}", why_weak(*.form)
    )]
    WeakShares {
        /// The domain.
        domain: Domain,
        /// How sessions with it would be opened.
        form: Form,
    },
    /// Too few RAIDAs gave a share.
    #[error(
        "Only {} of {required} required RAIDAs answered{}",
        .answered.len(),
        refusals::told(.answered.len(), .faults, .clock)
    )]
    TooFewAnswered {
        /// RAIDAs that are required.
        required: usize,
        /// Those that gave a share.
        answered: Vec<u8>,
        /// What kept each of the others.
        faults: Vec<(RaidaIndex, Fault)>,
        /// What this machine's clock said, which some may have refused.
        clock: ClockReading,
    },
    /// Too many RAIDAs gave wrong shares. Nobody can show which.
    #[error("Only {right} of {required} required shares are right")]
    TooFewRight {
        /// RAIDAs that are required.
        required: usize,
        /// How many gave a right share, the Content Server says.
        right: usize,
    },
    /// The Content Server has other shares than some of the RAIDAs, and 1-byte shares do not show which.
    #[error(
        "The Content Server at {server} refused the shares of {}: RAIDAs gave wrong shares, and 1-byte shares do \
         not show which; try again, and tell the operator of the Content Server if this goes on", sets(*.tried)
    )]
    NoSetRight {
        /// Where it was asked.
        server: ServerName,
        /// How many sets of RAIDAs were tried.
        tried: usize,
    },
    /// The Content Server did not take part in the handshake.
    #[error("Cannot agree on a key with the Content Server at {server}: {reason}")]
    ContentServer {
        /// Where it was looked for.
        server: ServerName,
        /// What kept it.
        reason: ContactError,
    },
    /// The Content Server is not the one that the domain had before.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// The Content Server did not confirm the key, and the daemon is configured to require that.
    #[error(
        "The key was not confirmed: {0}; to open sessions all the same, start the daemon with --confirm try"
    )]
    Unconfirmed(String),
    /// Too many exchanges run: this one had no turn in its time.
    #[error("Too many exchanges are running; try again in a few seconds")]
    Crowded,
    /// The machine's fault.
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
    /// What a Content Server that did not agree makes of an exchange.
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
            Self::Untrusted(_) => "untrusted",
            Self::Unconfirmed(_) => "unconfirmed",
            Self::Crowded => "crowded",
            Self::Machine(_) => "machine",
        }
    }

    /// Whether records that are no longer true end an exchange this way: a Content Server that refuses or is not there, RAIDAs
    /// of which none responds.
    pub(super) fn may_come_from_old_records(&self) -> bool {
        match self {
            Self::ContentServer { .. } | Self::NoSetRight { .. } | Self::Unconfirmed(_) => true,
            Self::TooFewAnswered { answered, .. } => answered.is_empty(),
            _ => false,
        }
    }

    /// Whether another request for the same domain would end the same way now.
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

/// What a key from 1-byte shares would be worth.
fn why_weak(form: Form) -> &'static str {
    match form {
        Form::Handshake3Narrow => "by which the two ends of a session know each other only weakly",
        Form::Live | Form::Wide => "which make a key of 8 bits",
    }
}

fn sets(tried: usize) -> String {
    if tried == 1 { "the only set of RAIDAs".into() } else { format!("{tried} sets of RAIDAs") }
}

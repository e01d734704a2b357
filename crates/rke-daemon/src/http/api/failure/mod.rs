//! Turns the daemon's errors into responses. No other place does. `docs/api.md`, "Errors".

use std::time::Duration;

use axum::http::StatusCode;
use rke_engine::discovery::DiscoveryError;
use rke_engine::exchange::ExchangeError;
use rke_engine::guardians::RefreshError;
use rke_engine::model::usage::UsedUp;
use rke_engine::sessions::{CryptError, DeleteError, OpenError, StoreError};
use rke_engine::store::KeyError;
use rke_engine::trust::Untrusted;
use rke_host::exports::ExportError;
use rke_host::streams::StreamError;
use rke_proto::export::ExportFormError;
use serde_json::{Value, json};

use super::handlers::NOT_FOUND_OR_EXPIRED;
use crate::http::message::failure::Failure;

impl Failure {
    /// A failed discovery.
    pub(in crate::http) fn discovery(error: &DiscoveryError, domain: &str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, format!("DNS discovery failed: {error}")).with("domain", domain)
    }

    /// A session that was not opened.
    pub(in crate::http) fn open(error: &OpenError, domain: &str, wallet: &str) -> Self {
        match error {
            OpenError::Exchange(error) => Self::exchange(error, domain, wallet),
            OpenError::StillRunning(_) | OpenError::CalledOff => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).with("domain", domain)
            }
            OpenError::LiveShared(_) => {
                Self::new(StatusCode::FORBIDDEN, error.to_string()).with("domain", domain)
            }
            OpenError::Store(error) => Self::store(error),
            OpenError::Full(full) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, full.to_string()).retry_after(full.retry_after)
            }
        }
    }

    /// An exchange that produced no key.
    fn exchange(error: &ExchangeError, domain: &str, wallet: &str) -> Self {
        let message = error.to_string();
        match error {
            ExchangeError::Wallet(_) => {
                Self::new(StatusCode::BAD_REQUEST, message).with("wallet_path", wallet)
            }
            ExchangeError::WalletOutside => {
                Self::new(StatusCode::FORBIDDEN, message).with("wallet_path", wallet)
            }
            ExchangeError::Discovery(error) => Self::discovery(error, domain),
            ExchangeError::WeakShares { .. } => {
                Self::new(StatusCode::FORBIDDEN, message).with("domain", domain)
            }
            ExchangeError::TooFewAnswered { answered, faults, .. } => {
                let faults: Vec<Value> = faults
                    .iter()
                    .map(|(raida, fault)| json!({"raida": raida.get(), "fault": fault.to_string()}))
                    .collect();
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
                    .with("answered", answered.clone())
                    .with("faults", faults)
            }
            // Not the Content Server's fault: a full disk, say.
            ExchangeError::Untrusted(Untrusted::File(_)) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
            ExchangeError::Untrusted(_) => Self::new(StatusCode::FORBIDDEN, message).with("domain", domain),
            ExchangeError::TooFewRight { .. }
            | ExchangeError::NoSetRight { .. }
            | ExchangeError::ContentServer { .. }
            | ExchangeError::Unconfirmed(_) => {
                Self::new(StatusCode::BAD_GATEWAY, message).with("domain", domain)
            }
            ExchangeError::Crowded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message).with("domain", domain)
            }
            ExchangeError::Machine(error) => {
                tracing::error!(%error, "an exchange could not run");
                Self::internal()
            }
        }
    }

    /// Guardians that do not agree, or that are not configured.
    pub(in crate::http) fn refresh(error: &RefreshError) -> Self {
        let status = match error {
            RefreshError::NoGuardians => StatusCode::NOT_FOUND,
            RefreshError::NoAgreement { .. } => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.to_string())
    }

    /// A key that cannot be used.
    pub(in crate::http) fn key(error: KeyError, id: &str) -> Self {
        let status = match error {
            KeyError::NotFound => StatusCode::NOT_FOUND,
            KeyError::UsedUp(_) => StatusCode::CONFLICT,
            KeyError::NotHeld => StatusCode::SERVICE_UNAVAILABLE,
        };
        let failure = Self::new(status, error.to_string()).with("session_id", id);
        match error {
            KeyError::NotHeld => failure.retry_after(Duration::from_secs(1)),
            KeyError::NotFound | KeyError::UsedUp(_) => failure,
        }
    }

    /// A session that cannot be used, by the store that other machines share.
    pub(in crate::http) fn use_of_session(error: &StoreError, id: &str) -> Self {
        match error {
            StoreError::UsedUp => Self::key(UsedUp.into(), id),
            error => Self::store_of_session(error, NOT_FOUND_OR_EXPIRED, id),
        }
    }

    /// The same, with these words for a session that does not exist.
    pub(in crate::http) fn store_of_session(error: &StoreError, not_found: &str, id: &str) -> Self {
        match error {
            StoreError::NotFound => Self::session(not_found, id),
            error => Self::store(error).with("session_id", id),
        }
    }

    /// What the store that other machines share does not do.
    pub(in crate::http) fn store(error: &StoreError) -> Self {
        let status = match error {
            StoreError::Damaged => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%error, "the shared store has a damaged record");
        }
        let failure = Self::new(status, error.to_string());
        match error.retry_after() {
            Some(wait) => failure.retry_after(wait),
            None => failure,
        }
    }

    /// Sessions that machines share and that cannot be listed now.
    pub(in crate::http) fn not_held(error: KeyError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).retry_after(Duration::from_secs(1))
    }

    /// Data that could not be encrypted.
    pub(in crate::http) fn crypt(error: &CryptError, id: &str) -> Self {
        match error {
            CryptError::Key(error) => Self::key(*error, id),
            CryptError::Random(_) => {
                tracing::error!(%error, "cannot encrypt");
                Self::internal()
            }
        }
    }

    /// A stream that could not begin, or data that could not be processed.
    pub(in crate::http) fn stream(error: &StreamError, id: &str) -> Self {
        match error {
            StreamError::Key(error) => Self::key(*error, id),
            StreamError::Open(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            StreamError::Seal(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            StreamError::Random(_) => {
                tracing::error!(%error, "cannot encrypt");
                Self::internal()
            }
        }
    }

    /// A key that was not exported.
    pub(in crate::http) fn export(error: ExportError, id: &str) -> Self {
        match error {
            ExportError::Key(error) => Self::key(error, id),
            ExportError::Label => Self::new(StatusCode::FORBIDDEN, error.to_string()),
            ExportError::NotStrong => {
                Self::new(StatusCode::FORBIDDEN, error.to_string()).with("session_id", id)
            }
        }
    }

    /// Sessions that could not be deleted as requested, or cached keys that could not be removed.
    pub(in crate::http) fn delete_all(error: &DeleteError) -> Self {
        if let DeleteError::Store(error) = error {
            return Self::store(error);
        }
        tracing::error!(%error, "a deletion is incomplete");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    /// A session that could not be deleted as requested.
    pub(in crate::http) fn delete(error: &DeleteError, id: &str) -> Self {
        let message = error.to_string();
        match error {
            DeleteError::NotFound => Self::session(&message, id),
            DeleteError::Store(error) => Self::store(error).with("session_id", id),
            DeleteError::Cache(_) | DeleteError::DomainGone | DeleteError::MemoryScan(_) => {
                tracing::error!(%error, "a deletion is incomplete");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, message).with("session_id", id)
            }
        }
    }
}

impl From<ExportFormError> for Failure {
    fn from(error: ExportFormError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

#[cfg(test)]
mod tests;

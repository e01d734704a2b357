//! Why a session was not opened, for people and for metrics.

use std::sync::Arc;

use super::StoreError;
use crate::Domain;
use crate::exchange::ExchangeError;
use crate::store::Full;

/// Why no session was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No key could be had. Requests that waited for the same exchange share its error.
    #[error(transparent)]
    Exchange(Arc<ExchangeError>),
    /// Another exchange for the domain took all the time that this request had.
    #[error("Another exchange for {0} is still running; try again in a few seconds")]
    StillRunning(Domain),
    /// Everything was dropped while the session was being opened.
    #[error("All sessions and keys were dropped while this session was opened; try again")]
    CalledOff,
    /// The keys of live sessions cannot be counted over several machines.
    #[error(
        "{0} has keys of 8 bits only, and a daemon that shares its sessions with others opens no such session; use a daemon without \
         `--store`"
    )]
    LiveShared(Domain),
    /// The store that other machines share has not taken it.
    #[error(transparent)]
    Store(StoreError),
    /// The store is full.
    #[error(transparent)]
    Full(#[from] Full),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full { max, retry_after } => {
                Full { max: max.try_into().unwrap_or(usize::MAX), retry_after }.into()
            }
            error => Self::Store(error),
        }
    }
}

impl From<ExchangeError> for OpenError {
    fn from(error: ExchangeError) -> Self {
        Self::Exchange(Arc::new(error))
    }
}

impl OpenError {
    /// Its name, for metrics and the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exchange(error) => error.name(),
            Self::StillRunning(_) => "still_running",
            Self::CalledOff => "called_off",
            Self::LiveShared(_) => "weak_shares",
            Self::Full(_) => "full",
            Self::Store(_) => "store",
        }
    }
}

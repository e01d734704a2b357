//! Why a session was not opened, for people and for metrics.

use std::sync::Arc;

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
    /// The store is full.
    #[error(transparent)]
    Full(#[from] Full),
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
            Self::Full(_) => "full",
        }
    }
}

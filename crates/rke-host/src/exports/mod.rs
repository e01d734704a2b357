//! Which keys may leave a session, and how many have. The derivation is in [`rke_proto::export`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::usage::KeyError;

/// The labels that keys may be exported with. By default there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportLabels(Vec<String>);

impl ExportLabels {
    /// The labels of this list. One that ends with `*` stands for all that begin with the rest.
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// The list.
    pub fn patterns(&self) -> &[String] {
        &self.0
    }

    /// Whether the list has this label.
    pub fn allow(&self, label: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => label.starts_with(start),
            None => label == pattern,
        })
    }
}

/// Why a key is not exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The operator has not allowed the label.
    #[error("Keys with this label may not be exported; allow it with --allow-export LABEL")]
    Label,
    /// Someone in the middle may have the session's key.
    #[error(
        "This session exports no keys: its ends do not know each other well (`authenticated` is not `strong`)"
    )]
    NotStrong,
    /// The session's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What an end allows, and what it has exported.
#[derive(Debug, Default)]
pub struct Exports {
    labels: RwLock<ExportLabels>,
    count: AtomicU64,
}

impl Exports {
    /// None yet, with these labels allowed.
    pub fn new(labels: ExportLabels) -> Self {
        Self { labels: RwLock::new(labels), count: AtomicU64::new(0) }
    }

    /// Allows other labels from now on.
    pub fn set_labels(&self, labels: ExportLabels) {
        *self.labels.write().unwrap_or_else(PoisonError::into_inner) = labels;
    }

    /// The allowed labels.
    pub fn labels(&self) -> ExportLabels {
        self.labels.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether keys may be exported with this label.
    ///
    /// # Errors
    /// [`ExportError::Label`].
    pub fn check(&self, label: &str) -> Result<(), ExportError> {
        let labels = self.labels.read().unwrap_or_else(PoisonError::into_inner);
        if labels.allow(label) { Ok(()) } else { Err(ExportError::Label) }
    }

    /// Counts keys that have left.
    pub fn count(&self, keys: usize) {
        self.count.fetch_add(keys as u64, Ordering::Relaxed);
    }

    /// How many keys have left.
    pub fn total(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;

//! Keys that leave a session, for programs that take a key from elsewhere. Each is derived from the session's export
//! key, so none of them reveals another one or anything of the session. `docs/protocol.md` section 7.11.

pub mod etsi;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use crate::derive::{SECRET_LEN, expand};

/// How many bytes an exported key may have.
pub const KEY_LENS: RangeInclusive<usize> = 16..=64;

/// Length of the longest exported key.
pub const MAX_KEY_LEN: usize = 64;

const LABEL: &[u8] = b"RKE-Exporter-v3.0";

/// What an exported key is for, and how long it is. Both ends derive the same key from the same one.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    label: &'a str,
    context: &'a [u8],
    len: usize,
}

/// Why a key cannot be exported like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExportFormError {
    /// No or too much text.
    #[error("The label has 1 to 255 bytes")]
    Label,
    /// Too much context.
    #[error("The context has at most 65535 bytes")]
    Context,
    /// Too short or too long.
    #[error("An exported key has 16 to 64 bytes")]
    Length,
}

impl<'a> Export<'a> {
    /// An export of `len` bytes.
    ///
    /// # Errors
    /// [`ExportFormError`].
    pub fn new(label: &'a str, context: &'a [u8], len: usize) -> Result<Self, ExportFormError> {
        if label.is_empty() || label.len() > u8::MAX.into() {
            return Err(ExportFormError::Label);
        }
        if context.len() > u16::MAX.into() {
            return Err(ExportFormError::Context);
        }
        if !KEY_LENS.contains(&len) {
            return Err(ExportFormError::Length);
        }
        Ok(Self { label, context, len })
    }

    /// What the key is for.
    pub fn label(&self) -> &'a str {
        self.label
    }

    /// How many bytes the key has.
    pub fn key_len(&self) -> usize {
        self.len
    }

    /// Derives the key and hands it to `use_key`. Call it where the session's export key is exposed, so that the key is
    /// wiped when the call returns.
    pub fn derive<R>(&self, export_key: &[u8; SECRET_LEN], use_key: impl FnOnce(&[u8]) -> R) -> R {
        let Self { label, context, len } = *self;
        // Checked by `new`.
        let (label_len, context_len, key_len) = (label.len() as u8, context.len() as u16, len as u16);
        let info = [
            LABEL,
            &[label_len],
            label.as_bytes(),
            &context_len.to_be_bytes(),
            context,
            &key_len.to_be_bytes(),
        ];
        let mut key = [0; MAX_KEY_LEN];
        expand(export_key, &info, &mut key[..len]);
        use_key(&key[..len])
    }
}

//! The chunks of a stream, sealed and opened in place. The caller passes the session's key for each chunk, and the
//! stream's own key is derived from it each time, so that no secret is stored between two chunks.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::header::{self, COMMITMENT_LEN, HEADER_LEN, SALT_LEN, Start};
use super::{CHUNK_LEN, OpenError, SealError, TAG_LEN};
use crate::derive::{SECRET_LEN, expand};

const KEY_LABEL: &[u8] = b"RKE-SealKey-v1.0";
const COMMITMENT_LABEL: &[u8] = b"RKE-SealCommitment-v1.0";

/// Distinguishes a stream from all others under the same session key. Not secret.
struct Binding {
    start: Start,
    associated_data: [u8; 32],
}

impl Binding {
    fn new(start: Start, associated_data: &[u8]) -> Self {
        Self { start, associated_data: Sha256::digest(associated_data).into() }
    }

    fn info<'a>(&'a self, label: &'a [u8]) -> [&'a [u8]; 3] {
        [label, self.start.as_bytes(), &self.associated_data]
    }

    fn commitment(&self, key: &[u8; SECRET_LEN]) -> [u8; COMMITMENT_LEN] {
        let mut commitment = [0; COMMITMENT_LEN];
        expand(key, &self.info(COMMITMENT_LABEL), &mut commitment);
        commitment
    }

    /// The stream's own key. ring holds it by value, with its schedule and the tables of GHASH, and puts none of it
    /// on the heap: everything stays on the caller's stack, which is wiped.
    fn stream_key(&self, key: &[u8; SECRET_LEN]) -> LessSafeKey {
        let mut stream_key = [0; SECRET_LEN];
        expand(key, &self.info(KEY_LABEL), &mut stream_key);
        match UnboundKey::new(&AES_256_GCM, &stream_key) {
            Ok(key) => LessSafeKey::new(key),
            Err(_) => unreachable!("AES-256-GCM takes keys of 32 bytes"),
        }
    }
}

/// The position of a chunk in its stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Inner,
    Last,
}

impl Place {
    /// Whether `len` bytes of plaintext can be the chunk with this number. There is one way to cut a text: all chunks
    /// except the last are full, and the last is empty only if the text is.
    fn takes(self, len: usize, number: u64) -> bool {
        match self {
            Self::Inner => len == CHUNK_LEN,
            Self::Last => len <= CHUNK_LEN && (len > 0 || number == 0),
        }
    }

    /// The nonce of the chunk with this number: zeros, the number, 1 for the last. `None` past the last
    /// number.
    fn nonce(self, number: u64) -> Option<Nonce> {
        let number = u32::try_from(number).ok()?;
        let mut bytes = [0; NONCE_LEN];
        bytes[7..11].copy_from_slice(&number.to_be_bytes());
        bytes[11] = u8::from(self == Self::Last);
        Some(Nonce::assume_unique_for_key(bytes))
    }
}

/// Seals one stream. Call the functions that take a key where the key is exposed, and with the same key every time.
pub struct Sealer {
    binding: Binding,
    next: u64,
}

impl Sealer {
    /// A stream with a unique salt of random bytes.
    pub fn new(salt: &[u8; SALT_LEN], associated_data: &[u8]) -> Self {
        Self { binding: Binding::new(Start::new(salt), associated_data), next: 0 }
    }

    /// The start of the stream.
    pub fn header(&self, key: &[u8; SECRET_LEN]) -> [u8; HEADER_LEN] {
        self.binding.start.with(&self.binding.commitment(key))
    }

    /// Seals a chunk that is not the last.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&mut self, key: &[u8; SECRET_LEN], chunk: &mut Vec<u8>) -> Result<(), SealError> {
        self.seal_at(Place::Inner, key, chunk)?;
        self.next += 1;
        Ok(())
    }

    /// Seals the last chunk.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_last(self, key: &[u8; SECRET_LEN], chunk: &mut Vec<u8>) -> Result<(), SealError> {
        self.seal_at(Place::Last, key, chunk)
    }

    fn seal_at(&self, place: Place, key: &[u8; SECRET_LEN], chunk: &mut Vec<u8>) -> Result<(), SealError> {
        if !place.takes(chunk.len(), self.next) {
            return Err(SealError::ChunkLength);
        }
        let nonce = place.nonce(self.next).ok_or(SealError::TooLong)?;
        let sealed = self.binding.stream_key(key).seal_in_place_append_tag(nonce, Aad::empty(), chunk);
        sealed.map_err(|_| SealError::ChunkLength)
    }
}

/// Opens one stream. As with [`Sealer`], call its functions where the key is exposed.
pub struct Opener {
    binding: Binding,
    /// The header's commitment.
    commitment: [u8; COMMITMENT_LEN],
    /// Whether the first chunk has verified it. A flag, because writing `None` over the commitment would also write what was
    /// on the stack there: remains of the key, copied to where the opener lies.
    is_verified: bool,
    next: u64,
}

impl Opener {
    /// Reads the header. The first chunk, which every stream has, checks whether it belongs to the key and the
    /// associated data.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn new(header: &[u8; HEADER_LEN], associated_data: &[u8]) -> Result<Self, OpenError> {
        let (start, commitment) = header::decode(header)?;
        let binding = Binding::new(start, associated_data);
        Ok(Self { binding, commitment: *commitment, is_verified: false, next: 0 })
    }

    /// Opens a chunk that is not the last.
    ///
    /// # Errors
    /// [`OpenError`]; then `chunk` is empty.
    pub fn open(&mut self, key: &[u8; SECRET_LEN], chunk: &mut Vec<u8>) -> Result<(), OpenError> {
        self.open_at(Place::Inner, key, chunk)?;
        self.next += 1;
        Ok(())
    }

    /// Opens the last chunk.
    ///
    /// # Errors
    /// [`OpenError`]; then `chunk` is empty.
    pub fn open_last(mut self, key: &[u8; SECRET_LEN], chunk: &mut Vec<u8>) -> Result<(), OpenError> {
        self.open_at(Place::Last, key, chunk)
    }

    fn open_at(
        &mut self,
        place: Place,
        key: &[u8; SECRET_LEN],
        chunk: &mut Vec<u8>,
    ) -> Result<(), OpenError> {
        let opened = self.check(key).and_then(|()| self.open_in_place(place, key, chunk));
        // Unauthenticated data reaches no caller.
        chunk.truncate(*opened.as_ref().unwrap_or(&0));
        opened.map(drop)
    }

    /// Whether the header was made with this key and this associated data.
    fn check(&mut self, key: &[u8; SECRET_LEN]) -> Result<(), OpenError> {
        if !self.is_verified {
            self.is_verified = self.binding.commitment(key).ct_eq(&self.commitment).into();
        }
        if self.is_verified { Ok(()) } else { Err(OpenError::AnotherKey) }
    }

    /// Decrypts the plaintext to the start of `chunk` and returns its length.
    fn open_in_place(
        &self,
        place: Place,
        key: &[u8; SECRET_LEN],
        chunk: &mut [u8],
    ) -> Result<usize, OpenError> {
        let len = chunk.len().checked_sub(TAG_LEN).ok_or(OpenError::CutShort)?;
        if !place.takes(len, self.next) {
            return Err(OpenError::Altered);
        }
        let nonce = place.nonce(self.next).ok_or(OpenError::TooLong)?;
        let opened = self.binding.stream_key(key).open_in_place(nonce, Aad::empty(), chunk);
        opened.map(|text| text.len()).map_err(|_| OpenError::Altered)
    }
}

#[cfg(test)]
mod tests;

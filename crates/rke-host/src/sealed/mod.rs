//! Secrets on disk: one file for each, sealed with AES-256-GCM-SIV under the data directory's
//! master key, its description in the clear before it and authenticated with it.
//!
//! A file is its [`Kind`]'s magic, the format's version (1 byte), the description's length (4 bytes, big-endian), the
//! description, a random nonce (12), the ciphertext, the tag (16). Everything before the nonce is associated data.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aes_gcm_siv::aead::{self, AeadInOut};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit};
use rke_proto::cipher::hmac_sha256;
use rke_secret::{Secret, SecretError};
use rustix::fs::OFlags;

use crate::durable::{remove_durably, write_atomically};
use crate::own_file::open_own;

const VERSION: u8 = 1;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const MAX_DESCRIPTION_LEN: usize = 4096;

/// What a sealed file holds. The magic at its start is different for each kind, and from that of data that users seal
/// (`docs/seal-format.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An entry of the daemon's cache.
    Cache,
    /// A master secret, at a Content Server or at a RAIDA node.
    MasterSecret,
}

impl Kind {
    /// The magic at the start of its files, before the version.
    pub fn magic(self) -> &'static [u8] {
        match self {
            Self::Cache => b"RKECACHE",
            Self::MasterSecret => b"RKEMASTER",
        }
    }
}

/// Why a sealed file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// It is not a sealed file of this kind, or it is truncated.
    #[error("it is not a sealed file, or it is damaged")]
    Malformed,
    /// Its tag does not match: damaged, altered, or sealed under another master key.
    #[error("it does not open: it is damaged, altered, or sealed under another master key")]
    DoesNotOpen,
    /// It opens, but its description is that of another file.
    #[error("it is not what belongs here: it was copied or renamed")]
    Elsewhere,
    /// There is no secret memory left, or the system gave no random bytes.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl SealError {
    /// Whether the file itself is damaged, so that a retry cannot succeed.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Malformed | Self::DoesNotOpen | Self::Elsewhere)
    }

    /// Whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl From<io::Error> for SealError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The file ends too early.
            io::ErrorKind::UnexpectedEof => Self::Malformed,
            _ => Self::Io(error),
        }
    }
}

/// Seals and opens files of one kind under one master key.
pub struct Sealer {
    master_key: Secret<32>,
    kind: Kind,
}

impl Sealer {
    /// A sealer of files of this kind, with this master key.
    pub fn new(master_key: Secret<32>, kind: Kind) -> Self {
        Self { master_key, kind }
    }

    /// Seals `secret` into the file at `path`, whole or not at all.
    ///
    /// # Errors
    /// [`SealError`]; then a previous file is unchanged.
    pub fn write<const N: usize>(
        &self,
        path: &Path,
        description: &[u8],
        secret: &Secret<N>,
    ) -> Result<(), SealError> {
        if description.len() > MAX_DESCRIPTION_LEN {
            return Err(SealError::Malformed);
        }
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(SecretError::from)?;
        let head = self.head(description);
        let mut sealed = [0; N];
        let tag = self.with_cipher(|cipher| {
            // Encrypted in secret memory, then copied out.
            let mut bytes = [0; N];
            secret.expose(|secret| bytes.copy_from_slice(secret));
            let tag = cipher.encrypt_inout_detached(&nonce.into(), &head, bytes.as_mut_slice().into())?;
            sealed = bytes;
            Ok(tag)
        });
        let tag = tag.map_err(|_: aead::Error| SealError::Malformed)?;
        replace(path, &[&head, &nonce, &sealed, &tag])
    }

    /// The description of a sealed file, not verified: only [`Sealer::read`] does that.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn describe(&self, path: &Path) -> Result<Vec<u8>, SealError> {
        self.read_description(&mut open_sealed(path)?)
    }

    /// Opens a sealed file: returns its verified description and the secret, decrypted in place.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn read<const N: usize>(&self, path: &Path) -> Result<(Vec<u8>, Secret<N>), SealError> {
        let mut file = open_sealed(path)?;
        let description = self.read_description(&mut file)?;
        let head = self.head(&description);
        let mut nonce = [0; NONCE_LEN];
        file.read_exact(&mut nonce)?;
        let mut secret = Secret::<N>::try_fill(|sealed| file.read_exact(sealed))?;
        let tag = read_end(&mut file)?;
        let opened = secret.expose_mut(|bytes| {
            self.with_cipher(|cipher| {
                cipher.decrypt_inout_detached(&nonce.into(), &head, bytes.as_mut_slice().into(), &tag.into())
            })
        });
        opened.map_err(|_: aead::Error| SealError::DoesNotOpen)?;
        Ok((description, secret))
    }

    /// Overwrites a sealed file and removes it. A missing file is not an error. `SECURITY.md` says when
    /// overwriting helps.
    ///
    /// # Errors
    /// The system's error; a file that could not be overwritten is removed all the same.
    pub fn remove(path: &Path) -> io::Result<()> {
        let overwritten = open_to_overwrite(path).map_or(Ok(()), |file| overwrite(&file));
        remove_durably(path.parent().unwrap_or(Path::new(".")), path)?;
        overwritten
    }

    /// A key for another `purpose`, the same each time. It reveals nothing about the master key.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn derive(&self, purpose: &[u8]) -> Result<Secret<32>, SecretError> {
        Secret::fill(|derived| self.master_key.expose(|master| *derived = hmac_sha256(master, &[purpose])))
    }

    /// The beginning of a file, which is its associated data.
    fn head(&self, description: &[u8]) -> Vec<u8> {
        let len = (description.len() as u32).to_be_bytes();
        [self.kind.magic(), &[VERSION], &len, description].concat()
    }

    fn read_description(&self, file: &mut File) -> Result<Vec<u8>, SealError> {
        let mut magic = vec![0; self.kind.magic().len()];
        let (mut version, mut len) = ([0], [0; 4]);
        file.read_exact(&mut magic)?;
        file.read_exact(&mut version)?;
        file.read_exact(&mut len)?;
        let len = u32::from_be_bytes(len) as usize;
        if magic != self.kind.magic() || version != [VERSION] || len > MAX_DESCRIPTION_LEN {
            return Err(SealError::Malformed);
        }
        let mut description = vec![0; len];
        file.read_exact(&mut description)?;
        Ok(description)
    }

    /// Runs `work` with the cipher. It exists only in the scope that exposes the master key, because it holds keys derived
    /// from it.
    fn with_cipher<R>(&self, work: impl FnOnce(&Aes256GcmSiv) -> R) -> R {
        self.master_key.expose(|key| work(&Aes256GcmSiv::new(key.into())))
    }
}

/// Writes a sealed file, and overwrites the previous one.
fn replace(path: &Path, parts: &[&[u8]]) -> Result<(), SealError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let replaced = open_to_overwrite(path);
    write_atomically(dir, path, |file| parts.iter().try_for_each(|part| file.write_all(part)))?;
    if let Some(Err(error)) = replaced.map(|file| overwrite(&file)) {
        tracing::warn!(file = %path.display(), %error, "could not overwrite the file that was replaced");
    }
    Ok(())
}

/// Opens the file at `path`, if it can be written.
fn open_to_overwrite(path: &Path) -> Option<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(path).ok()
}

/// Overwrites the bytes of a file with zeros, as far as the file system writes in place.
fn overwrite(mut file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    if metadata.is_file() {
        file.rewind()?;
        io::copy(&mut io::repeat(0).take(metadata.len()), &mut file)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Reads the tag at the end of a file.
fn read_end(file: &mut File) -> Result<[u8; TAG_LEN], SealError> {
    let mut tag = [0; TAG_LEN];
    file.read_exact(&mut tag)?;
    match file.read(&mut [0])? {
        0 => Ok(tag),
        _ => Err(SealError::Malformed),
    }
}

fn open_sealed(path: &Path) -> io::Result<File> {
    open_own(path, OpenOptions::new().read(true))
}

#[cfg(test)]
mod tests;

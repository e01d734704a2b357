//! Shares from master secrets and keys from shares. `docs/protocol.md` section 6.
//! Everything is derived in place: the caller gives the memory that a secret is written to, and calls
//! from where the secret that it comes from is exposed, so that what is left on the way is wiped.

use hmac::Mac;
use rke_secret::{Secret, SecretError};

use crate::cipher::hmac_over;
use crate::{Bitmap, KeyContext};

/// Length of a master secret, and of a wide share and of a key.
pub const SECRET_LEN: usize = 32;

/// How wide the shares of an exchange are, and with it how strong its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShareWidth {
    /// One byte, as the public network has it. The key falls to 256 tries.
    Narrow,
    /// 32 bytes: a key of 256 bits.
    Wide,
}

impl ShareWidth {
    /// Length of a share in bytes.
    pub fn share_len(self) -> usize {
        match self {
            Self::Narrow => 1,
            Self::Wide => SECRET_LEN,
        }
    }

    /// How many bits an attacker has to guess.
    pub fn key_bits(self) -> u16 {
        match self {
            Self::Narrow => 8,
            Self::Wide => 256,
        }
    }
}

/// HKDF-Expand (RFC 5869, SHA-256) into `out`, which is at most one HMAC long: then it is
/// `HMAC(secret, info || 01)`. Written out because hkdf's type refuses the 1-byte secret that
/// narrow shares have.
pub(crate) fn expand(secret: &[u8], info: &[&[u8]], out: &mut [u8]) {
    let mut parts = [&[][..]; 8];
    parts[..info.len()].copy_from_slice(info);
    parts[info.len()] = &[1];
    let block = hmac_over(secret, &parts[..=info.len()]).finalize().into_bytes();
    out.copy_from_slice(&block[..out.len()]);
}

/// A RAIDA's share: writes `width.share_len()` bytes to the start of `share`, leaves the rest.
pub fn share(
    master: &[u8; SECRET_LEN],
    width: ShareWidth,
    context: &KeyContext,
    share: &mut [u8; SECRET_LEN],
) {
    let label: &[u8] = match width {
        ShareWidth::Narrow => b"RKE-KeyShare-v1.0",
        ShareWidth::Wide => b"RKE-KeyShare-v2.0",
    };
    let info = [
        label,
        context.cs_id.padded(),
        &[context.key_id.get()],
        &context.client_sn.0,
        &context.timestamp.to_be_bytes(),
    ];
    expand(master, &info, &mut share[..width.share_len()]);
}

/// The key that `sum`, the XOR of the shares of the RAIDAs in `bitmap`, gives.
pub fn key(
    sum: &[u8; SECRET_LEN],
    width: ShareWidth,
    context: &KeyContext,
    bitmap: Bitmap,
    key: &mut [u8; SECRET_LEN],
) {
    let timestamp = context.timestamp.to_be_bytes();
    match width {
        ShareWidth::Narrow => {
            let info: [&[u8]; 3] = [b"RKE-EncryptionKey-v1.0", &context.client_sn.0, &timestamp];
            expand(&sum[..1], &info, key);
        }
        ShareWidth::Wide => {
            let info: [&[u8]; 6] = [
                b"RKE-EncryptionKey-v2.0",
                context.cs_id.padded(),
                &[context.key_id.get()],
                &context.client_sn.0,
                &timestamp,
                &bitmap.to_bytes(),
            ];
            expand(sum, &info, key);
        }
    }
}

/// The key from the shares themselves. Narrow shares are the first byte of their `Secret`. Neither
/// the shares nor their XOR leave secret memory.
///
/// # Errors
/// [`SecretError`] when there is no secret memory left.
pub fn key_from_shares<'a>(
    shares: impl Iterator<Item = &'a Secret<SECRET_LEN>>,
    width: ShareWidth,
    context: &KeyContext,
    bitmap: Bitmap,
) -> Result<Secret<SECRET_LEN>, SecretError> {
    Secret::fill(|out| {
        let mut sum = [0; SECRET_LEN];
        for share in shares {
            share.expose(|share| sum.iter_mut().zip(share).for_each(|(sum, byte)| *sum ^= byte));
        }
        key(&sum, width, context, bitmap, out);
    })
}

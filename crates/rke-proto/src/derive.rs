//! Shares from master secrets and keys from shares. `docs/protocol.md` section 6.
//! Everything is derived in place: the caller provides the memory for a secret and calls from where the source secret
//! is exposed, so that intermediate values are wiped.

use hmac::Mac;
use rke_secret::{Secret, SecretError};

use crate::KeyContext;
use crate::cipher::{HMAC_LEN, hmac_over};
use crate::coin::{COIN_PAIR_LEN, CoinPair};

/// Length of a master secret, and of a wide share and of a key.
pub const SECRET_LEN: usize = 32;

/// The width of the shares of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShareWidth {
    /// One byte, as on the public network.
    Narrow,
    /// 32 bytes.
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
}

/// A share by its width and by what it is bound to. `docs/protocol.md` section 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShareKind {
    /// One byte, the same for every client.
    Narrow,
    /// 32 bytes, bound to the coins whose ANs authenticated the request.
    Wide(CoinPair),
}

impl ShareKind {
    /// The width of such a share.
    pub fn width(self) -> ShareWidth {
        match self {
            Self::Narrow => ShareWidth::Narrow,
            Self::Wide(_) => ShareWidth::Wide,
        }
    }
}

/// The most parts of an info, with the previous block and the counter.
const MAX_PARTS: usize = 10;

/// HKDF-Expand (RFC 5869, SHA-256) into `out`, which is at most 255 HMACs long.
/// Written out because hkdf's type refuses the 1-byte secret of narrow shares.
pub(crate) fn expand(secret: &[u8], info: &[&[u8]], out: &mut [u8]) {
    let mut previous = None;
    for (counter, out) in (1..=u8::MAX).zip(out.chunks_mut(HMAC_LEN)) {
        previous = Some(expand_block(secret, previous.as_ref(), info, counter, out));
    }
}

/// Writes one block to `out`, or its start if `out` is shorter, and returns it whole.
fn expand_block(
    secret: &[u8],
    previous: Option<&[u8; HMAC_LEN]>,
    info: &[&[u8]],
    counter: u8,
    out: &mut [u8],
) -> [u8; HMAC_LEN] {
    let counter = [counter];
    let mut parts = [&[][..]; MAX_PARTS];
    parts[0] = previous.map_or(&[], |previous| previous);
    parts[1..=info.len()].copy_from_slice(info);
    parts[info.len() + 1] = &counter;
    let first = usize::from(previous.is_none());
    let block = hmac_over(secret, &parts[first..info.len() + 2]).finalize().into_bytes();
    out.copy_from_slice(&block[..out.len()]);
    block.into()
}

/// A RAIDA's share: writes the bytes of a share of that width to the start of `out`, and leaves the rest.
/// `docs/protocol.md` section 6.
pub fn share(master: &[u8; SECRET_LEN], kind: ShareKind, context: &KeyContext, out: &mut [u8; SECRET_LEN]) {
    let (key_set, timestamp) = ([context.key_set.get()], context.timestamp.to_be_bytes());
    let bound_to = |label, coins| -> [&[u8]; 6] {
        [label, context.cs_id.padded(), &key_set, &context.client_sn.0, &timestamp, coins]
    };
    let out = &mut out[..kind.width().share_len()];
    match kind {
        ShareKind::Narrow => expand(master, &bound_to(b"RKE-KeyShare-v1.0", &[]), out),
        ShareKind::Wide(coins) => expand(master, &bound_to(b"RKE-KeyShare-v3.0", &binding(coins)), out),
    }
}

/// What a wide share is bound to.
fn binding(coins: CoinPair) -> [u8; COIN_PAIR_LEN] {
    #[cfg(feature = "fault-injection")]
    if rke_secret::fault_injection::is_injected(rke_secret::fault_injection::Fault::NoCoinBinding) {
        return [0; COIN_PAIR_LEN];
    }
    coins.to_bytes()
}

/// The key for `sum`, the XOR of narrow shares. Wide shares have no such key: they lead to one in a handshake
/// (`docs/protocol.md` section 7).
pub fn narrow_key(sum: u8, context: &KeyContext, key: &mut [u8; SECRET_LEN]) {
    let timestamp = context.timestamp.to_be_bytes();
    expand(&[sum], &[b"RKE-EncryptionKey-v1.0", &context.client_sn.0, &timestamp], key);
}

/// The key of narrow shares, each of which is the first byte of its `Secret`. Neither the shares nor their XOR leave
/// secret memory.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
pub fn narrow_key_from_shares<'a>(
    shares: impl Iterator<Item = &'a Secret<SECRET_LEN>>,
    context: &KeyContext,
) -> Result<Secret<SECRET_LEN>, SecretError> {
    Secret::fill(|key| {
        let sum = shares.fold(0, |sum, share| sum ^ share.expose(|share| share[0]));
        narrow_key(sum, context, key);
    })
}

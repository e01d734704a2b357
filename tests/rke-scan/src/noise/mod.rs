//! Handshake 3 from the view of an observer who knows the psk and the shared secret: every intermediate value of
//! Noise, and the resulting keys. `docs/protocol.md` section 7. It shares no code with the program's handshake.

use rke_proto::cipher::hmac_sha256;
use sha2::{Digest, Sha256};

use crate::kem::{PUBLIC_LEN, SEALED_LEN};
use crate::needles::Secret;

/// A secret and its name.
pub(crate) type Known = (Secret, [u8; 32]);

const PROTOCOL_NAME: &[u8] = b"Noise_pqNNpsk0_XWing_AESGCM_SHA256";

/// HMAC fills it up with zeros.
const EXCHANGE_LABEL: &[u8] = b"RKE-Exchange-v3.0";

/// HKDF-Expand of one block.
pub(crate) fn expand(secret: &[u8; 32], info: &[&[u8]]) -> [u8; 32] {
    hmac_sha256(secret, &[info, &[[1].as_slice()]].concat())
}

fn half(bytes: [u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| bytes[at])
}

/// HKDF's extract of the shares in their order, and the psk of an exchange.
pub(crate) fn exchange_psk(shares: &[[u8; 32]], prologue: &[u8]) -> (Vec<Known>, [u8; 32]) {
    let mut label = [0; 32];
    label[..EXCHANGE_LABEL.len()].copy_from_slice(EXCHANGE_LABEL);
    let extracted = hmac_sha256(&label, &[shares.as_flattened()]);
    let psk = expand(&extracted, &[b"RKE-Psk-v3.0", &Sha256::digest(prologue)]);
    (vec![(Secret::ExchangeKey, extracted), (Secret::Psk, psk)], psk)
}

/// The psk with which a connection attaches to a session.
pub(crate) fn attach_psk(key: &[u8; 32]) -> [u8; 32] {
    expand(key, &[b"RKE-Attach-v3.0"])
}

/// A handshake on its way.
pub(crate) struct Noise {
    ck: [u8; 32],
    h: [u8; 32],
    k: [u8; 32],
    /// Every secret that there was so far.
    pub(crate) known: Vec<Known>,
}

impl Noise {
    /// `h` and `ck` after the prologue, and the psk token.
    pub(crate) fn begin(prologue: &[u8], psk: &[u8; 32]) -> Self {
        let h: [u8; 32] = Sha256::digest(PROTOCOL_NAME).into();
        let mut noise = Self { ck: h, h, k: [0; 32], known: Vec::new() };
        noise.mix_hash(prologue);
        let [ck, to_hash, k] = noise.hkdf(psk);
        noise.known.push((Secret::PskHash, to_hash));
        noise.take(ck, k);
        noise.mix_hash(&to_hash);
        noise
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.h = Sha256::new().chain_update(self.h).chain_update(data).finalize().into();
    }

    fn hkdf(&mut self, input: &[u8]) -> [[u8; 32]; 3] {
        let temporary = hmac_sha256(&self.ck, &[input]);
        self.known.push((Secret::TemporaryKey, temporary));
        let first = hmac_sha256(&temporary, &[&[1]]);
        let second = hmac_sha256(&temporary, &[&first, &[2]]);
        [first, second, hmac_sha256(&temporary, &[&second, &[3]])]
    }

    fn mix_key(&mut self, input: &[u8]) {
        let [ck, k, _] = self.hkdf(input);
        self.take(ck, k);
    }

    fn take(&mut self, ck: [u8; 32], k: [u8; 32]) {
        (self.ck, self.k) = (ck, k);
        self.known.extend([(Secret::ChainingKey, ck), (Secret::HandshakeKey, k)]);
    }

    /// The public key and the encrypted payload behind it.
    pub(crate) fn message_1(&mut self, message: &[u8]) {
        let (public, sealed) = message.split_at(PUBLIC_LEN);
        self.mix_hash(public);
        self.mix_key(public);
        self.mix_hash(sealed);
    }

    /// The chaining key and the cipher key of the moment.
    pub(crate) fn state(&self) -> [Known; 2] {
        [(Secret::ChainingKey, self.ck), (Secret::HandshakeKey, self.k)]
    }

    /// The ciphertext and the encrypted payload behind it.
    pub(crate) fn message_2(&mut self, message: &[u8], shared: &[u8; 32]) {
        let (ciphertext, sealed) = message.split_at(SEALED_LEN);
        self.mix_hash(ciphertext);
        self.mix_key(shared);
        self.mix_hash(sealed);
    }

    /// The transport keys of the client's and of the server's direction.
    pub(crate) fn split(&mut self) -> [Known; 2] {
        let [to_server, to_client, _] = self.hkdf(&[]);
        let keys = [(Secret::TransportKey, to_server), (Secret::TransportKey, to_client)];
        self.known.extend(keys);
        keys
    }

    /// The secrets of a session.
    pub(crate) fn session(&self) -> Session {
        let of_ck = |label: &[u8]| expand(&self.ck, &[label, &self.h]);
        let key = of_ck(b"RKE-SessionKey-v3.0");
        let id = Sha256::new().chain_update(b"RKE-KeyId-v3.0").chain_update(self.h).finalize();
        Session { key, resumption: of_ck(b"RKE-Resumption-v3.0"), key_id: half(id.into()) }
    }
}

/// The key of a session, and the resumption secret that came with it.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    pub(crate) key: [u8; 32],
    pub(crate) resumption: [u8; 32],
    pub(crate) key_id: [u8; 16],
}

/// The token that makes the other end forget a secret, and the proof. Not secret.
pub(crate) fn farewell(secret: &[u8; 32]) -> ([u8; 16], [u8; 16]) {
    let of = |label: &[u8]| half(expand(secret, &[label]));
    (of(b"RKE-Forget-v3.0"), of(b"RKE-Forgotten-v3.0"))
}

impl Session {
    /// The key of `encrypt`.
    pub(crate) fn ctr_key(&self) -> [u8; 32] {
        expand(&self.key, &[b"RKE-CTR-v3.0"])
    }

    /// The key of `seal`.
    pub(crate) fn seal_key(&self) -> [u8; 32] {
        expand(&self.key, &[b"RKE-Seal-v3.0"])
    }

    /// K, the values derived from it, and the resumption secret.
    pub(crate) fn known(&self) -> [Known; 6] {
        [
            (Secret::SessionKey, self.key),
            (Secret::CtrKey, self.ctr_key()),
            (Secret::SealKey, self.seal_key()),
            (Secret::ExportKey, expand(&self.key, &[b"RKE-Export-v3.0"])),
            (Secret::Psk, attach_psk(&self.key)),
            (Secret::Resumption, self.resumption),
        ]
    }
}

#[cfg(test)]
mod tests;

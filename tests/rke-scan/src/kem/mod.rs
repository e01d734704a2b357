//! X-Wing as needles: everything that an ephemeral seed expands to, and everything that goes into a shared secret and
//! comes out of it. `docs/protocol.md` section 7. Values that only X-Wing's implementation has in memory are computed
//! here; a test compares them with the crate that the program uses.

use curve25519_dalek::MontgomeryPoint;
use sha3::{Digest, Sha3_256, Sha3_512};
use shake::{ExtendableOutput, Shake256, Update, XofReader};

use crate::lattice::{self, CIPHERTEXT_LEN, NOISE_LEN, Poly, RANK};
use crate::needles::{Needles, Secret};

/// Length of ML-KEM's public key, before that of X25519.
const ML_KEM_KEY_LEN: usize = 1184;

/// Length of a public key and of a ciphertext of X-Wing.
pub(crate) const PUBLIC_LEN: usize = ML_KEM_KEY_LEN + 32;
pub(crate) const SEALED_LEN: usize = CIPHERTEXT_LEN + 32;

/// The last bytes of X-Wing's combiner.
const LABEL: &[u8] = br"\.//^\";

/// A vector of small polynomials and what they are sampled from.
struct Small {
    noise: [[u8; NOISE_LEN]; RANK],
    transformed: [Poly; RANK],
}

impl Small {
    /// The values whose numbers begin here.
    fn sample(seed: &[u8; 32], first: u8) -> Self {
        let noise = std::array::from_fn(|at| lattice::noise(seed, first + at as u8));
        Self { noise, transformed: noise.map(|noise| lattice::ntt(&lattice::sample(&noise))) }
    }

    fn add_to(&self, needles: &mut Needles, secret: Secret) {
        for (noise, poly) in self.noise.iter().zip(&self.transformed) {
            needles.add(secret, noise);
            needles.add_coefficients(secret, poly);
        }
    }
}

/// An ephemeral key: a client's, for one handshake.
pub(crate) struct EphemeralKey {
    pub(crate) seed: [u8; 32],
    /// d and z of ML-KEM, and X25519's key.
    expanded: [u8; 96],
    /// From which the vectors are sampled.
    sigma: [u8; 32],
    secret: Small,
    error: Small,
}

fn expand(seed: &[u8; 32]) -> [u8; 96] {
    let (mut shake, mut expanded) = (Shake256::default(), [0; 96]);
    shake.update(seed);
    shake.finalize_xof().read(&mut expanded);
    expanded
}

/// Whether this is the seed of a public key. As cheap as that can be said.
pub(crate) fn is_seed_of(seed: &[u8; 32], public: &[u8; PUBLIC_LEN]) -> bool {
    let mut key = [0; 32];
    key.copy_from_slice(&expand(seed)[64..]);
    MontgomeryPoint::mul_base_clamped(key).0 == public[ML_KEM_KEY_LEN..]
}

/// The two halves of a SHA3-512.
fn halves(parts: &[&[u8]]) -> [[u8; 32]; 2] {
    let mut hash = Sha3_512::new();
    parts.iter().for_each(|part| Digest::update(&mut hash, part));
    let whole: [u8; 64] = hash.finalize().into();
    [0, 32].map(|from| std::array::from_fn(|at| whole[from + at]))
}

impl EphemeralKey {
    pub(crate) fn from_seed(seed: [u8; 32]) -> Self {
        let expanded = expand(&seed);
        let [_, sigma] = halves(&[&expanded[..32], &[RANK as u8]]);
        let (secret, error) = (Small::sample(&sigma, 0), Small::sample(&sigma, RANK as u8));
        Self { seed, expanded, sigma, secret, error }
    }

    fn x25519(&self) -> [u8; 32] {
        std::array::from_fn(|at| self.expanded[64 + at])
    }

    pub(crate) fn add_to(&self, needles: &mut Needles) {
        needles.add(Secret::ExpandedSeed, &self.expanded);
        needles.add(Secret::MlKemKey, &self.sigma);
        // The public key, which follows in what FIPS 203 calls the secret key, is none.
        let packed: Vec<u8> = self.secret.transformed.iter().flat_map(lattice::pack).collect();
        needles.add(Secret::MlKemKey, &packed);
        self.secret.add_to(needles, Secret::MlKemKey);
        self.error.add_to(needles, Secret::MlKemKey);
        needles.add_scalar(Secret::X25519Key, &self.x25519());
    }
}

/// The message from one end to the other in a ciphertext.
pub(crate) struct Encapsulation {
    /// ML-KEM's message, which is as good as its shared secret.
    message: [u8; 32],
    /// The randomness of ML-KEM's encryption.
    coins: [u8; 32],
    random: [Small; 2],
    /// X25519's key at the end that encapsulates; only that end has it.
    x25519: Option<[u8; 32]>,
    ml_kem_shared: [u8; 32],
    x25519_shared: [u8; 32],
    pub(crate) shared: [u8; 32],
}

impl Encapsulation {
    /// For a public key, as the end makes it that draws these.
    pub(crate) fn make(public: &[u8; PUBLIC_LEN], message: [u8; 32], x25519: [u8; 32]) -> Self {
        let mut peer = [0; 32];
        peer.copy_from_slice(&public[ML_KEM_KEY_LEN..]);
        let x25519_shared = MontgomeryPoint(peer).mul_clamped(x25519).0;
        let sent = MontgomeryPoint::mul_base_clamped(x25519).0;
        Self::of(public, message, Some(x25519), x25519_shared, &sent)
    }

    /// From a ciphertext, as the end takes it that has the ephemeral key.
    pub(crate) fn open(key: &EphemeralKey, public: &[u8; PUBLIC_LEN], sealed: &[u8; SEALED_LEN]) -> Self {
        let (mut ciphertext, mut sent) = ([0; CIPHERTEXT_LEN], [0; 32]);
        ciphertext.copy_from_slice(&sealed[..CIPHERTEXT_LEN]);
        sent.copy_from_slice(&sealed[CIPHERTEXT_LEN..]);
        let message = lattice::message(&key.secret.transformed, &ciphertext);
        let x25519_shared = MontgomeryPoint(sent).mul_clamped(key.x25519()).0;
        Self::of(public, message, None, x25519_shared, &sent)
    }

    fn of(
        public: &[u8; PUBLIC_LEN],
        message: [u8; 32],
        x25519: Option<[u8; 32]>,
        x25519_shared: [u8; 32],
        sent: &[u8; 32],
    ) -> Self {
        let (ml_kem, peer) = public.split_at(ML_KEM_KEY_LEN);
        let [ml_kem_shared, coins] = halves(&[&message, &Sha3_256::digest(ml_kem)]);
        let mut hash = Sha3_256::new();
        for part in [&ml_kem_shared, &x25519_shared, sent, peer, LABEL] {
            Digest::update(&mut hash, part);
        }
        let random = [Small::sample(&coins, 0), Small::sample(&coins, RANK as u8)];
        let shared = hash.finalize().into();
        Self { message, coins, random, x25519, ml_kem_shared, x25519_shared, shared }
    }

    pub(crate) fn add_to(&self, needles: &mut Needles) {
        needles.add(Secret::MlKemMessage, &self.message);
        needles.add(Secret::MlKemMessage, &self.coins);
        self.random.iter().for_each(|random| random.add_to(needles, Secret::MlKemMessage));
        if let Some(x25519) = &self.x25519 {
            needles.add_scalar(Secret::X25519Key, x25519);
        }
        needles.add(Secret::MlKemShared, &self.ml_kem_shared);
        needles.add(Secret::X25519Shared, &self.x25519_shared);
        needles.add_field_element(Secret::X25519Shared, &self.x25519_shared);
        needles.add(Secret::SharedSecret, &self.shared);
    }
}

#[cfg(test)]
mod tests;

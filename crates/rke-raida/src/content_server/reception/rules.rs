//! What a Content Server accepts, and its limits.

use rke_host::usage::UsageLimits;
use rke_proto::MIN_REQUIRED;

use crate::replay::{DEFAULT_PLACES, WINDOW_SECONDS};

/// Longest lifetime that an exchange gives, in seconds. `docs/protocol.md` section 7.
pub const MAX_LIFETIME_SECONDS: u32 = 86_400;

/// What a Content Server accepts, and its limits.
#[derive(Debug, Clone)]
pub struct ReceptionPolicy {
    /// The smallest number of shares that makes a key.
    pub required: usize,
    /// Seconds that an exchange's timestamp may differ from the clock.
    pub skew_seconds: u64,
    /// Seconds that a key is kept, at most [`MAX_LIFETIME_SECONDS`].
    pub lifetime_seconds: u32,
    /// The limit on keys, and on resumptions.
    pub max_keys: usize,
    /// The limit on keys of one proven coin, and on its resumptions.
    pub keys_per_coin: usize,
    /// The limit on keys of all sessions without a proven coin together, and on their resumptions.
    pub unproven_keys: usize,
    /// The limit on remembered first packets; at least [`crate::replay::SHARES`].
    pub replay_memory: usize,
    /// The domains to serve, in lower case, without a final dot. Empty: all domains.
    pub domains: Vec<String>,
    /// Whether key sets of narrow shares are served.
    pub allow_narrow: bool,
    /// How much one key may encrypt at this end.
    pub usage: UsageLimits,
    /// Who keeps the keys.
    pub keeper: Keeper,
}

/// Who keeps the keys and their limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keeper {
    /// This instance alone.
    #[default]
    Own,
    /// A store that other instances share. The reception has copies, and serves no live sessions.
    Shared,
}

impl Default for ReceptionPolicy {
    fn default() -> Self {
        Self {
            required: MIN_REQUIRED.into(),
            skew_seconds: WINDOW_SECONDS,
            lifetime_seconds: MAX_LIFETIME_SECONDS,
            max_keys: 10_000,
            keys_per_coin: 32,
            unproven_keys: 256,
            replay_memory: DEFAULT_PLACES,
            domains: Vec::new(),
            allow_narrow: false,
            usage: UsageLimits::default(),
            keeper: Keeper::default(),
        }
    }
}

impl ReceptionPolicy {
    /// Whether a domain is served, compared byte by byte. The domain reaches the application, so it must be printable
    /// in any case.
    pub(super) fn serve(&self, domain: &str) -> bool {
        let is_printable = domain.bytes().all(|byte| byte.is_ascii_graphic());
        is_printable && (self.domains.is_empty() || self.domains.iter().any(|own| own == domain))
    }

    /// The lifetime that an exchange grants, in seconds.
    pub(super) fn lifetime(&self) -> u32 {
        self.lifetime_seconds.min(MAX_LIFETIME_SECONDS)
    }
}

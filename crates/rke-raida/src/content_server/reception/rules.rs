//! What a Content Server takes, and how much of it.

use rke_proto::MIN_REQUIRED;

use crate::replay::{DEFAULT_PLACES, WINDOW_SECONDS};

/// Longest lifetime that an exchange gives, in seconds. `docs/protocol.md` section 7.
pub const MAX_LIFETIME_SECONDS: u32 = 86_400;

/// What a Content Server takes.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The fewest shares that make a key.
    pub required: usize,
    /// Seconds that an exchange's timestamp may differ from the clock.
    pub skew_seconds: u64,
    /// Seconds that a key is kept, at most [`MAX_LIFETIME_SECONDS`].
    pub lifetime_seconds: u32,
    /// Most keys at one time, and most resumptions.
    pub max_keys: usize,
    /// Most keys of one proven coin, and most resumptions.
    pub keys_per_coin: usize,
    /// Most keys of all sessions that prove no coin, together, and most resumptions.
    pub unproven_keys: usize,
    /// Most first packets that are remembered at one time; at least [`crate::replay::SHARES`].
    pub replay_memory: usize,
    /// The domains that are served, in lower case, without a final dot. None: any.
    pub domains: Vec<String>,
    /// Whether key sets of narrow shares are served.
    pub allow_narrow: bool,
}

impl Default for Rules {
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
        }
    }
}

impl Rules {
    /// Whether a domain is served, compared byte by byte. It reaches the application, so it is printable in any case.
    pub(super) fn serve(&self, domain: &str) -> bool {
        let is_printable = domain.bytes().all(|byte| byte.is_ascii_graphic());
        is_printable && (self.domains.is_empty() || self.domains.iter().any(|own| own == domain))
    }

    /// The lifetime that an exchange gives, in seconds.
    pub(super) fn lifetime(&self) -> u32 {
        self.lifetime_seconds.min(MAX_LIFETIME_SECONDS)
    }
}

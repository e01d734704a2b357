//! The settings of how often sessions may be opened.

use clap::Args;
use rke_engine::settings::access::CreationLimit;
use serde::Deserialize;

/// How often each page and each peer may open sessions.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CreationOptions {
    /// Most sessions that each web page and each client's address may open a second, once those of --create-burst are used up
    /// [default: 50].
    #[arg(long, value_name = "N", env = "RKE_CREATE_RATE")]
    #[serde(alias = "create_rate")]
    create_rate: Option<u32>,
    /// Most sessions that each of them may open at once [default: 200].
    #[arg(long, value_name = "N", env = "RKE_CREATE_BURST")]
    #[serde(alias = "create_burst")]
    create_burst: Option<u32>,
}

impl CreationOptions {
    /// Takes from the file what flags and environment left open.
    pub(super) fn or(self, file: Self) -> Self {
        Self {
            create_rate: self.create_rate.or(file.create_rate),
            create_burst: self.create_burst.or(file.create_burst),
        }
    }

    /// The limit, with defaults for what is still open.
    pub(super) fn settle(self) -> CreationLimit {
        let default = CreationLimit::default();
        CreationLimit {
            rate: self.create_rate.unwrap_or(default.rate),
            burst: self.create_burst.unwrap_or(default.burst),
        }
    }
}

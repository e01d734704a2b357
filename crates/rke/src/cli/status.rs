//! The flags of `rke raida status` and `rke content-server status`.

use clap::Args;

use crate::local_address::LocalAddress;

/// Which program to ask.
#[derive(Args)]
pub(crate) struct StatusOptions {
    /// Where its metrics are: what its --metrics says.
    #[arg(long, value_name = "WHERE", env = "RKE_METRICS")]
    pub(crate) metrics: LocalAddress,
    /// Print JSON instead of text: whether it is ready, why not, and its metrics.
    #[arg(long)]
    pub(crate) json: bool,
}

//! The commands for the file of known Content Servers, and their flags.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use rke_engine::Domain;
use rke_proto::ContentServerId;

use super::parse_cs_id;
use crate::parse::parse_domain;

/// Commands on the file of known Content Servers, whether or not a daemon runs.
#[derive(Subcommand)]
pub(crate) enum TrustCommand {
    /// List the known Content Servers.
    List {
        #[command(flatten)]
        folder: TrustFolder,
    },
    /// Trust a Content Server for a domain, in place of the known one. A running daemon takes it into account at once, unless it has a --pin for the domain, which is stronger.
    Accept {
        /// The domain.
        #[arg(value_name = "DOMAIN", value_parser = parse_domain)]
        domain: Domain,
        /// The Content Server ID that the operator of the domain has confirmed.
        #[arg(value_name = "CSID", value_parser = parse_cs_id)]
        cs_id: ContentServerId,
        /// The weakest form of key exchange to accept.
        #[arg(long, value_name = "FORM", default_value = "wide")]
        form: FormChoice,
        #[command(flatten)]
        folder: TrustFolder,
    },
    /// Remove a domain: its next use counts as the first.
    Remove {
        /// The domain.
        #[arg(value_name = "DOMAIN", value_parser = parse_domain)]
        domain: Domain,
        #[command(flatten)]
        folder: TrustFolder,
    },
}

/// Where the file is.
#[derive(Args)]
pub(crate) struct TrustFolder {
    /// The daemon's data folder [default: rke in the XDG data folder].
    #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// How keys are exchanged, the strongest form first.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum FormChoice {
    /// Wide shares.
    Wide,
    /// Narrow shares, with the handshake of the wide form: weakly authenticated.
    #[value(name = "handshake-3-narrow")]
    Handshake3Narrow,
    /// Narrow shares, as the live network has them: weak.
    Live,
}

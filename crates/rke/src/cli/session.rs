//! The commands for sessions, and their flags.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use clap_complete::ArgValueCandidates;
use rke_client::{CachedKey, KeyChoice, OtherEnd, Receipt};

use super::complete;
use super::listing::Listing;
use crate::parse::{parse_domain_for_daemon, parse_session};

#[derive(Subcommand)]
pub(crate) enum SessionCommand {
    /// Open a session with a domain's Content Server; its id goes to standard output.
    Create {
        /// Its domain.
        #[arg(value_parser = parse_domain_for_daemon)]
        domain: String,
        /// The wallet folder whose coins authenticate you to the RAIDAs.
        #[arg(long, value_name = "DIR")]
        wallet: PathBuf,
        /// Ask the RAIDAs even if the daemon's cache would do.
        #[arg(long)]
        fresh: bool,
    },
    /// List the sessions and their state.
    List(Listing),
    /// Show one session.
    Show {
        /// Its id, or enough of its beginning.
        #[arg(value_parser = parse_session, add = ArgValueCandidates::new(complete::sessions))]
        id: String,
    },
    /// Let sessions live for their full time again.
    Renew {
        /// Their ids, or enough of the beginning of each.
        #[arg(value_name = "ID", required = true, value_parser = parse_session, add = ArgValueCandidates::new(complete::sessions))]
        ids: Vec<String>,
    },
    /// End some or all sessions, and wipe their keys.
    Delete(DeleteOptions),
}

/// What is to end, and what goes with it.
#[derive(Args)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "all"])))]
pub(crate) struct DeleteOptions {
    /// The sessions' ids, or enough of the beginning of each.
    #[arg(value_name = "ID", value_parser = parse_session, add = ArgValueCandidates::new(complete::sessions))]
    pub(crate) ids: Vec<String>,
    /// End every session.
    #[arg(long)]
    pub(crate) all: bool,
    /// With --all: end only the sessions with this domain.
    #[arg(long, value_name = "DOMAIN", requires = "all", value_parser = parse_domain_for_daemon, add = ArgValueCandidates::new(complete::domains))]
    pub(crate) domain: Option<String>,
    /// Remove what the cache keeps for the domain too; its file is overwritten first.
    #[arg(long)]
    forget: bool,
    /// Make the daemon scan all of its memory for the wiped key, and say what it found.
    #[arg(long)]
    verify: bool,
    /// Wait up to 5 seconds for the Content Server to show that it has wiped the key too, and say whether it has.
    #[arg(long, conflicts_with = "all")]
    everywhere: bool,
}

impl DeleteOptions {
    pub(crate) fn cached(&self) -> CachedKey {
        if self.forget { CachedKey::Forget } else { CachedKey::Keep }
    }

    pub(crate) fn receipt(&self) -> Receipt {
        if self.verify { Receipt::Wanted } else { Receipt::None }
    }

    pub(crate) fn other_end(&self) -> OtherEnd {
        if self.everywhere { OtherEnd::Wait } else { OtherEnd::Background }
    }
}

/// The key that the flag `--fresh` selects.
pub(crate) fn key_choice(fresh: bool) -> KeyChoice {
    if fresh { KeyChoice::Fresh } else { KeyChoice::Cached }
}

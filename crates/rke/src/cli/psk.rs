//! The commands that give keys to other programs, and their flags.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCandidates;
use rke_proto::export::KEY_LENS;
use rke_proto::preshared::Name;
use rke_raida::content_server::{Interface, PublicKey};

use super::ask::{DaemonOptions, Output};
use super::complete;
use crate::key_format::KeyFormatChoice;
use crate::parse::{parse_domain_for_daemon, parse_name, parse_session};
use crate::protection::Protection;

/// Whose keys, and from which daemon.
#[derive(Args)]
pub(crate) struct KeySource {
    /// The domain whose Content Server gets the same key.
    #[arg(long, value_name = "DOMAIN", value_parser = parse_domain_for_daemon)]
    pub(crate) domain: String,
    /// The wallet, on the daemon's machine, that a session is opened with for each key.
    #[arg(long, value_name = "DIR")]
    pub(crate) wallet: PathBuf,
    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,
    #[command(flatten)]
    pub(crate) protection: Protection,
}

#[derive(Args)]
pub(crate) struct PskOptions {
    /// Shell command that gets the key on its standard input. Its exit status says whether it has set the key. The Content Server
    /// runs its own command, that of --psk-exec, before.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: String,
    /// The name of the key, the variable RKE_PSK_NAME of the commands at both ends: letters, digits and .-_@.
    #[arg(long, value_name = "NAME", default_value = "rke", value_parser = parse_name)]
    pub(crate) name: Name,
    /// The form in which the command gets the key.
    #[arg(long, value_name = "FORMAT", default_value = "base64")]
    pub(crate) format: KeyFormatChoice,
    /// Set a new key each time this many seconds have passed. Without it, one key is set.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) every: Option<u32>,
    #[command(flatten)]
    pub(crate) source: KeySource,
}

#[derive(Args)]
pub(crate) struct WireGuardOptions {
    /// WireGuard's interface on this machine.
    #[arg(long, value_name = "INTERFACE")]
    pub(crate) interface: Interface,
    /// The public key of the Content Server's interface, which is a peer of this one.
    #[arg(long, value_name = "PUBLIC_KEY")]
    pub(crate) peer: PublicKey,
    /// Seconds between two keys.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) every: u32,
    /// Replace the key by a random one when a renewal fails, so that the tunnel stops at WireGuard's next handshake. It goes on
    /// after the next renewal.
    #[arg(long)]
    pub(crate) fail_closed: bool,
    #[command(flatten)]
    pub(crate) source: KeySource,
}

#[derive(Args)]
pub(crate) struct ExportOptions {
    /// The session's id, or enough of its beginning. At a Content Server, the id of its key.
    #[arg(value_name = "SESSION", value_parser = parse_session, add = ArgValueCandidates::new(complete::sessions))]
    pub(crate) session: String,
    /// What the key is for. The daemon must allow it: --allow-export of `rke serve`.
    #[arg(long, value_name = "LABEL")]
    pub(crate) label: String,
    /// What else the key is bound to, in Base64: the names of both peers, for example.
    #[arg(long, value_name = "BASE64", default_value = "", hide_default_value = true, value_parser = parse_context)]
    pub(crate) context: ExportContext,
    /// Bytes of the key.
    #[arg(long, value_name = "BYTES", default_value_t = 32, value_parser = parse_key_len)]
    pub(crate) length: usize,
    /// The form of the key on standard output.
    #[arg(long, value_name = "FORMAT", default_value = "base64", conflicts_with = "json")]
    pub(crate) format: ExportFormat,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) protection: Protection,
}

/// The form of an exported key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A line of Base64.
    Base64,
    /// The bytes and nothing else.
    Raw,
}

/// Any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExportContext(pub(crate) Vec<u8>);

fn parse_context(text: &str) -> Result<ExportContext, &'static str> {
    STANDARD.decode(text).map(ExportContext).map_err(|_| "it is not Base64")
}

fn parse_key_len(text: &str) -> Result<usize, String> {
    let (min, max) = (KEY_LENS.start(), KEY_LENS.end());
    let len = text.parse().ok().filter(|len| KEY_LENS.contains(len));
    len.ok_or_else(|| format!("a key has {min} to {max} bytes"))
}

//! The use of a Content Server's session keys: where its interface for the application is, and the commands that ask it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use rke_host::usage::{MAX_BYTES, MAX_MESSAGES};

use super::ask::{DaemonOptions, DecryptOptions, EncryptOptions, Ends, FormOptions, Output};
use crate::parse::parse_session;

/// How long the Content Server may take to respond. Data that it then sends or takes may take any time.
const SECONDS_TO_RESPOND: u64 = 10;

/// Where a Content Server's interface for the application is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiAddress {
    /// A unix socket.
    Unix(PathBuf),
    /// An address of loopback.
    Tcp(SocketAddr),
}

/// Parses `unix:PATH` or an address.
pub(crate) fn parse_api(text: &str) -> Result<ApiAddress, &'static str> {
    match text.strip_prefix("unix:") {
        Some("") => Err("unix: must be followed by the path of a socket"),
        Some(path) => Ok(ApiAddress::Unix(path.into())),
        None => text.parse().map(ApiAddress::Tcp).map_err(
            |_| "it must be unix:PATH, or an IP address of this machine with a port, such as 127.0.0.1:8081",
        ),
    }
}

/// The interface of a running Content Server for the application behind it.
#[derive(Args)]
pub(crate) struct ServeApiOptions {
    /// Let the application behind this Content Server use the keys of its sessions, over HTTP at unix:PATH, a socket that only
    /// this user may use, or at IP:PORT of loopback, for clients with the token in the file `token` of the data folder.
    #[arg(long, value_name = "WHERE", env = "RKE_API", value_parser = parse_api)]
    pub(crate) api: Option<ApiAddress>,
    /// A group, by name or number, whose members may use the unix socket of --api too.
    #[arg(long, value_name = "GROUP", env = "RKE_API_GROUP")]
    pub(crate) api_group: Option<String>,
    /// Most messages that one key may encrypt here.
    #[arg(long, value_name = "N", env = "RKE_KEY_MAX_MESSAGES", default_value_t = MAX_MESSAGES, value_parser = clap::value_parser!(u64).range(1..=MAX_MESSAGES))]
    pub(crate) key_max_messages: u64,
    /// Most bytes that one key may encrypt here.
    #[arg(long, value_name = "N", env = "RKE_KEY_MAX_BYTES", default_value_t = MAX_BYTES, value_parser = clap::value_parser!(u64).range(1..=MAX_BYTES))]
    pub(crate) key_max_bytes: u64,
}

/// Which Content Server to ask.
#[derive(Args)]
pub(crate) struct ApiOptions {
    /// Where the Content Server's interface is: what its `serve --api` says.
    #[arg(long, value_name = "WHERE", env = "RKE_API", value_parser = parse_api)]
    api: ApiAddress,
    /// The file with its token, where it is not at a unix socket: `token` in its data folder.
    #[arg(long, value_name = "FILE", env = "RKE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// Data to seal or to open.
#[derive(Args)]
pub(crate) struct SealedOptions {
    /// The id of the session's key, or enough of its beginning. The client's daemon shows it as `key_id`.
    #[arg(value_name = "KEY_ID", value_parser = parse_session)]
    key_id: String,
    /// The file to read; standard input if this is missing or `-`.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The file to write; it appears only once it is complete, and an old one stays until then. Standard
    /// output if this is missing or `-`.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Text that is not part of the sealed data, but is required to open it: a file's name, for example.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    aad: String,
    #[command(flatten)]
    api: ApiOptions,
}

impl ApiOptions {
    /// The interface has the paths and responses of a daemon, so commands for a daemon ask it in the same way.
    pub(crate) fn output(self, json: bool) -> Output {
        let address = match self.api {
            ApiAddress::Unix(path) => format!("unix:{}", path.display()),
            ApiAddress::Tcp(address) => address.to_string(),
        };
        let daemon = DaemonOptions { address, token_file: self.token_file, timeout: SECONDS_TO_RESPOND };
        Output { daemon, json }
    }
}

impl SealedOptions {
    pub(crate) fn encrypt(self) -> EncryptOptions {
        let (ends, output) = self.parts();
        EncryptOptions { ends, form: FormOptions::default(), output }
    }

    pub(crate) fn decrypt(self) -> DecryptOptions {
        let (ends, output) = self.parts();
        DecryptOptions { ends, form: FormOptions::default(), nonce: None, output }
    }

    fn parts(self) -> (Ends, Output) {
        let Self { key_id, file, out, aad, api } = self;
        (Ends { session: key_id, file, out, aad }, api.output(false))
    }
}

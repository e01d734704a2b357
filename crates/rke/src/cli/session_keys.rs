//! The use of a Content Server's session keys: where its interface for the application is, and the commands that ask it.

use std::path::PathBuf;

use clap::Args;

use super::ask::{DaemonOptions, DecryptOptions, EncryptOptions, Ends, FormOptions, Output};
use crate::local_address::LocalAddress;
use crate::parse::parse_key_id;

/// How long the Content Server may take to respond. Data that it then sends or takes may take any time.
const SECONDS_TO_RESPOND: u64 = 10;

/// Which Content Server to ask.
#[derive(Args)]
pub(crate) struct ApiOptions {
    /// Where the Content Server's interface is: what its `serve --api` says.
    #[arg(long, value_name = "WHERE", env = "RKE_API")]
    api: LocalAddress,
    /// The file with its token, where it is not at a unix socket: `token` in its data folder.
    #[arg(long, value_name = "FILE", env = "RKE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// Data to seal or to open.
#[derive(Args)]
pub(crate) struct SealedOptions {
    /// The id of the session's key, or enough of its beginning. The client's daemon shows it as `key_id`.
    #[arg(value_name = "KEY_ID", value_parser = parse_key_id)]
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
        let daemon = DaemonOptions {
            address: self.api.to_string(),
            token_file: self.token_file,
            timeout: SECONDS_TO_RESPOND,
        };
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

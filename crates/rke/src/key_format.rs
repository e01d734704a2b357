//! `--format` and `--psk-format`: the form in which a command gets a key.

use clap::ValueEnum;
use rke_raida::content_server::KeyFormat;
use serde::Deserialize;

/// The form of a key on a command's standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyFormatChoice {
    /// A line of Base64.
    #[default]
    Base64,
    /// A line of hexadecimal digits.
    Hex,
    /// The 32 bytes.
    Raw,
    /// The file of `openssl s_client -psk_session` and `s_server -psk_session`, for TLS 1.3.
    #[value(name = "openssl")]
    OpenSsl,
    /// A line of the file that stunnel's `PSKsecrets` names, for TLS 1.3.
    Stunnel,
}

impl From<KeyFormatChoice> for KeyFormat {
    fn from(choice: KeyFormatChoice) -> Self {
        match choice {
            KeyFormatChoice::Base64 => Self::Base64,
            KeyFormatChoice::Hex => Self::Hex,
            KeyFormatChoice::Raw => Self::Raw,
            KeyFormatChoice::OpenSsl => Self::OpenSsl,
            KeyFormatChoice::Stunnel => Self::Stunnel,
        }
    }
}

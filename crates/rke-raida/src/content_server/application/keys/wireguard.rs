//! WireGuard's pre-shared keys, through `wg` of wireguard-tools, which knows WireGuard of the kernel and of user space.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_secret::{Secret, SecretBuffer};
use subtle::ConstantTimeEq;

use super::{KeyCommandError, OUTPUT_LEN};

/// Exit statuses of [`wireguard_command`], beside those of `wg`.
const OTHER_OWN_KEY: i32 = 65;
const NO_SUCH_PEER: i32 = 66;

/// What a shell exits with if a command does not exist.
const NO_PROGRAM: i32 = 127;

/// Length of a key in Base64.
const BASE64_LEN: usize = 44;

/// The public key of a WireGuard interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl FromStr for PublicKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or("a public key has 44 characters of Base64, as `wg show INTERFACE public-key` prints it")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

/// The name of a network interface. It needs no quotes in a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface(String);

impl Interface {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Interface {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._=-".contains(&byte);
        let begins = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        match begins && text.len() < 16 && text.bytes().all(is_plain) {
            true => Ok(Self(text.into())),
            false => Err("an interface's name has 1 to 15 letters, digits and ._=-, such as wg0"),
        }
    }
}

/// The shell command that sets a key for a peer that exists, and prints the key that the peer then has.
pub fn wireguard_command(interface: &Interface) -> String {
    let name = interface.as_str();
    format!(
        "own=$(wg show {name} public-key) || exit\n\
         test \"$own\" = \"$RKE_PSK_OWN\" || exit {OTHER_OWN_KEY}\n\
         wg show {name} peers | grep -qxF \"$RKE_PSK_PEER\" || exit {NO_SUCH_PEER}\n\
         wg set {name} peer \"$RKE_PSK_PEER\" preshared-key /dev/stdin || exit\n\
         wg show {name} preshared-keys | grep -F \"$RKE_PSK_PEER\""
    )
}

/// What an exit status of it means.
pub(super) fn explain(status: i32) -> Option<KeyCommandError> {
    Some(KeyCommandError::Known(match status {
        OTHER_OWN_KEY => "the WireGuard interface has another public key than the one that was named",
        NO_SUCH_PEER => "the WireGuard interface has no peer with that public key",
        NO_PROGRAM => {
            "a program is missing: the command that sets the key exited with 127. For WireGuard, install wireguard-tools"
        }
        _ => return None,
    }))
}

/// Whether the output of the command shows that the peer has the key.
pub(super) fn is_set(output: &mut SecretBuffer, peer: &PublicKey, key: &Secret<32>) -> bool {
    let peer = peer.to_string();
    output.expose_mut(|output| {
        let Some(rest) = output[..OUTPUT_LEN].strip_prefix(peer.as_bytes()) else { return false };
        let [b'\t', shown @ ..] = rest else { return false };
        let mut own = [0; BASE64_LEN];
        let is_encoded = key.expose(|key| STANDARD.encode_slice(key, &mut own)).is_ok();
        is_encoded && bool::from(shown[..BASE64_LEN].ct_eq(&own)) && shown[BASE64_LEN] == b'\n'
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> SecretBuffer {
        let mut buffer = SecretBuffer::new(OUTPUT_LEN).expect("secret memory");
        buffer.expose_mut(|bytes| bytes[..text.len()].copy_from_slice(text.as_bytes()));
        buffer
    }

    #[test]
    fn only_the_peers_own_key_counts_as_set() {
        let (peer, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let key = Secret::fill(|key| key.fill(3)).expect("secret memory");
        let text = STANDARD.encode([3; 32]);
        assert!(is_set(&mut output(&format!("{peer}\t{text}\n")), &peer, &key));
        for wrong in [
            format!("{other}\t{text}\n"),
            format!("{peer}\t(none)\n"),
            format!("{peer}\t{other}\n"),
            format!("{peer}\t{text}x"),
            format!("{peer}"),
            String::new(),
        ] {
            assert!(!is_set(&mut output(&wrong), &peer, &key), "{wrong}");
        }
    }

    #[test]
    fn public_keys_and_interfaces_are_read_as_wg_writes_them() {
        let key = PublicKey([0xFB; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
        for wrong in ["", "AAAA", "wg0", &key.to_string()[1..]] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
        assert_eq!("wg0".parse::<Interface>().expect("a name").as_str(), "wg0");
        for wrong in ["", "-w", "a b", "a;b", "a/b", "abcdefghijklmnop"] {
            assert!(wrong.parse::<Interface>().is_err(), "{wrong}");
        }
    }
}

//! A key in the form that a command wants. It exists in secret memory only.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_proto::preshared::tls::{Kdf, import};
use rke_proto::preshared::{KEY_LEN, Name};
use rke_secret::{Secret, SecretBuffer, SecretError};
use tokio::net::unix::pipe;

use super::KeyTarget;

/// The form of a key on a command's standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyFormat {
    /// A line of Base64.
    #[default]
    Base64,
    /// A line of hexadecimal digits.
    Hex,
    /// The 32 bytes.
    Raw,
    /// The file of `openssl s_client -psk_session`, for TLS 1.3 with TLS_AES_256_GCM_SHA384.
    OpenSsl,
    /// A line of the file that stunnel's `PSKsecrets` names, for TLS 1.3 with SHA-256.
    Stunnel,
}

/// More than the text of any form.
const ROOM: usize = 512;

const BEGIN: &[u8] = b"-----BEGIN SSL SESSION PARAMETERS-----\n";
const END: &[u8] = b"-----END SSL SESSION PARAMETERS-----\n";

/// Bytes in a line of PEM.
const PEM_LINE: usize = 48;

/// What precedes the key in OpenSSL's `SSL_SESSION`: the length, version 1, TLS 1.3, TLS_AES_256_GCM_SHA384, no id, and the
/// length of the key.
const SESSION_HEAD: [u8; 17] = [0x30, 63, 2, 1, 1, 2, 2, 3, 4, 4, 2, 0x13, 2, 4, 0, 4, 48];

/// The text.
pub(super) struct KeyText {
    buffer: SecretBuffer,
    len: usize,
}

impl KeyText {
    pub(super) fn new(
        key: &Secret<KEY_LEN>,
        format: KeyFormat,
        target: &KeyTarget,
    ) -> Result<Self, SecretError> {
        let mut buffer = SecretBuffer::new(ROOM)?;
        let len = buffer.expose_mut(|room| {
            key.expose(|key| {
                let mut text = Text { room, len: 0 };
                match (format, target) {
                    (KeyFormat::OpenSsl, KeyTarget::Named(name)) => text.openssl(key, name),
                    (KeyFormat::Stunnel, KeyTarget::Named(name)) => text.stunnel(key, name),
                    (KeyFormat::Raw, _) => text.push(key),
                    (KeyFormat::Hex, _) => text.hex(key),
                    (KeyFormat::Base64, _) | (_, KeyTarget::Peer { .. }) => text.base64(key),
                }
                text.len
            })
        });
        Ok(Self { buffer, len })
    }

    /// Writes it to a pipe that has room for all of it, as a new one has.
    pub(super) async fn write_to(mut self, pipe: &pipe::Sender) -> io::Result<()> {
        let len = self.len;
        loop {
            pipe.writable().await?;
            match self.buffer.expose_mut(|text| pipe.try_write(&text[..len])) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                // A command that reads nothing says by its exit status whether that is a failure.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                // A pipe takes so few bytes whole or not at all.
                written => return written.map(drop),
            }
        }
    }
}

/// Text that is written from front to back.
struct Text<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl Text<'_> {
    fn push(&mut self, bytes: &[u8]) {
        self.room[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn base64(&mut self, bytes: &[u8]) {
        // There is room for any form.
        self.len += STANDARD.encode_slice(bytes, &mut self.room[self.len..]).unwrap_or_default();
        self.push(b"\n");
    }

    fn hex(&mut self, bytes: &[u8]) {
        let len = 2 * bytes.len();
        let _ = hex::encode_to_slice(bytes, &mut self.room[self.len..][..len]);
        self.len += len;
        self.push(b"\n");
    }

    fn openssl(&mut self, key: &[u8; KEY_LEN], name: &Name) {
        let mut session = [0; SESSION_HEAD.len() + 48];
        let mut imported = [0; 48];
        import(key, name, Kdf::Sha384, &mut imported);
        session[..SESSION_HEAD.len()].copy_from_slice(&SESSION_HEAD);
        session[SESSION_HEAD.len()..].copy_from_slice(&imported);
        self.push(BEGIN);
        session.chunks(PEM_LINE).for_each(|line| self.base64(line));
        self.push(END);
    }

    fn stunnel(&mut self, key: &[u8; KEY_LEN], name: &Name) {
        let mut imported = [0; 48];
        import(key, name, Kdf::Sha256, &mut imported);
        self.push(name.as_str().as_bytes());
        self.push(b":");
        self.hex(&imported[..Kdf::Sha256.key_len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: KeyFormat) -> String {
        let key = Secret::fill(|key| key.fill(0x0B)).expect("secret memory");
        let target = KeyTarget::Named(Name::new("web").expect("a name"));
        let mut text = KeyText::new(&key, format, &target).expect("secret memory");
        let len = text.len;
        String::from_utf8(text.buffer.expose_mut(|bytes| bytes[..len].to_vec())).expect("ASCII")
    }

    #[test]
    fn a_key_has_the_form_that_the_command_wants() {
        assert_eq!(text(KeyFormat::Base64), format!("{}\n", STANDARD.encode([0x0B; 32])));
        assert_eq!(text(KeyFormat::Hex), format!("{}\n", "0b".repeat(32)));
        assert_eq!(text(KeyFormat::Raw), "\x0B".repeat(32));
        let imported = "1d815de46a82c0a39c725c2766f5d0c9239fe5adc51b9277e86953f88e1f0aed";
        assert_eq!(text(KeyFormat::Stunnel), format!("web:{imported}\n"));
    }

    #[test]
    fn openssl_reads_a_session() {
        let text = text(KeyFormat::OpenSsl);
        let lines: Vec<&str> = text.lines().collect();
        let [begin, body @ .., end] = &lines[..] else { panic!("{text}") };
        assert_eq!(
            (*begin, *end),
            ("-----BEGIN SSL SESSION PARAMETERS-----", "-----END SSL SESSION PARAMETERS-----")
        );
        assert!(body.iter().all(|line| line.len() <= 64), "{text}");
        let session = STANDARD.decode(body.concat()).expect("Base64");
        assert_eq!(session[..SESSION_HEAD.len()], SESSION_HEAD);
        let imported = "6cd2f2a0b59aa5460cea2bc7583228dd4e16f1410aa994391b055023e72e57b5126cb80d3e26d6337312df8aae8b038e";
        assert_eq!(hex::encode(&session[SESSION_HEAD.len()..]), imported);
    }
}

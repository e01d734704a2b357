//! How both ends of a session give other programs the same pre-shared key at the same time: three messages over an attached
//! connection. `docs/protocol.md` section 7.12. None of them holds the key, which each end exports from the session.

pub mod tls;

use std::net::Ipv6Addr;

use crate::DecodeError;
use crate::cursor::Cursor;

/// Length of the nonce, which makes each key a new one.
pub const NONCE_LEN: usize = 32;

/// Length of the keys.
pub const KEY_LEN: usize = 32;

/// The longest name of a key.
pub const MAX_NAME_LEN: usize = 64;

/// The longest text of a response.
pub const MAX_REASON_LEN: usize = 200;

/// The most addresses in a proposal.
const MAX_ADDRESSES: usize = 16;

/// No proposal is longer.
pub const MAX_PROPOSAL_LEN: usize = 1 + 4 + NONCE_LEN + 2 * KEY_LEN + 1 + 16 * MAX_ADDRESSES;

/// A client's proposal: what the next key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Drawn at random for each key.
    pub nonce: [u8; NONCE_LEN],
    /// Seconds until the client proposes the next one. 0 if it will not.
    pub every: u32,
    /// What the key is for.
    pub purpose: Purpose,
}

/// What a key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// The command of each end.
    Command(Name),
    /// WireGuard's pre-shared key of two peers.
    WireGuard(Tunnel),
}

/// The two peers of a WireGuard tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The client's public key.
    pub client: [u8; 32],
    /// The Content Server's public key.
    pub server: [u8; 32],
    /// The addresses of the client's interface. A connection from one of them runs inside the tunnel, where no key of it
    /// may be renewed.
    pub addresses: Vec<Ipv6Addr>,
}

/// The name of a key, by which the programs that use it know it: letters, digits and `.-_@`. It needs no quotes in any
/// shell or configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

/// A server's response: that it has set the key, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The key is set, and was read back if that is possible.
    Set,
    /// The key stays as it was, or its state is not known.
    NotSet(String),
}

/// A client's receipt: whether it has set the key too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Both ends have it.
    Set,
    /// Only the server has it.
    NotSet,
}

impl Proposal {
    /// The label that the key is exported with.
    pub fn label(&self) -> &'static str {
        match self.purpose {
            Purpose::Command(_) => "rke-psk",
            Purpose::WireGuard(_) => "rke-wireguard",
        }
    }

    /// The context that the key is exported with.
    pub fn context(&self) -> Vec<u8> {
        let named = match &self.purpose {
            Purpose::Command(name) => vec![name.as_str().as_bytes()],
            Purpose::WireGuard(tunnel) => vec![&tunnel.client[..], &tunnel.server[..]],
        };
        [&self.nonce[..]].into_iter().chain(named).collect::<Vec<_>>().concat()
    }

    /// The bytes of the message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![match self.purpose {
            Purpose::Command(_) => 1,
            Purpose::WireGuard(_) => 2,
        }];
        bytes.extend(self.every.to_be_bytes());
        bytes.extend(self.nonce);
        match &self.purpose {
            Purpose::Command(name) => {
                bytes.push(name.0.len() as u8);
                bytes.extend(name.0.as_bytes());
            }
            Purpose::WireGuard(Tunnel { client, server, addresses }) => {
                let addresses = &addresses[..addresses.len().min(MAX_ADDRESSES)];
                bytes.extend([*client, *server].concat());
                bytes.push(addresses.len() as u8);
                bytes.extend(addresses.iter().flat_map(Ipv6Addr::octets));
            }
        }
        bytes
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] while bytes are missing, and others.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = Cursor::new(bytes);
        let kind = rest.u8("the kind of a key")?;
        if !(1..=2).contains(&kind) {
            return Err(DecodeError::BadValue { what: "the kind of a key", value: kind.into() });
        }
        let every = rest.u32("the interval")?;
        let nonce = rest.array("the nonce")?;
        let purpose = match kind {
            1 => Purpose::Command(Name::read(&mut rest)?),
            _ => Purpose::WireGuard(Tunnel::read(&mut rest)?),
        };
        rest.finish()?;
        Ok(Self { nonce, every, purpose })
    }
}

impl Name {
    /// `None` unless the text is a name.
    pub fn new(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte);
        let begins = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        let is_name = begins && text.len() <= MAX_NAME_LEN && text.bytes().all(is_plain);
        is_name.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(rest: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let len = rest.u8("the length of the name")?;
        let text = rest.slice("the name", len.into())?;
        let name = str::from_utf8(text).ok().and_then(Self::new);
        name.ok_or(DecodeError::Mismatch("the form of the name"))
    }
}

impl Tunnel {
    fn read(rest: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let client = rest.array("the client's public key")?;
        let server = rest.array("the server's public key")?;
        let count = rest.u8("the number of addresses")?;
        if usize::from(count) > MAX_ADDRESSES {
            return Err(DecodeError::BadValue { what: "the number of addresses", value: count.into() });
        }
        let address = |_| rest.array::<16>("an address").map(Ipv6Addr::from);
        let addresses = (0..count).map(address).collect::<Result<_, _>>()?;
        Ok(Self { client, server, addresses })
    }
}

impl Response {
    /// The bytes of the message. A long reason is cut.
    pub fn to_bytes(&self) -> Vec<u8> {
        let reason = match self {
            Self::Set => return vec![0],
            Self::NotSet(reason) => &reason[..reason.floor_char_boundary(MAX_REASON_LEN)],
        };
        [&[1, reason.len() as u8], reason.as_bytes()].concat()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] while bytes are missing, and others.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = Cursor::new(bytes);
        let response = match rest.u8("the response")? {
            0 => Self::Set,
            1 => {
                let len = rest.u8("the length of the reason")?;
                let reason = str::from_utf8(rest.slice("the reason", len.into())?);
                Self::NotSet(reason.map_err(|_| DecodeError::Mismatch("the form of the reason"))?.into())
            }
            other => return Err(DecodeError::BadValue { what: "the response", value: other.into() }),
        };
        rest.finish()?;
        Ok(response)
    }
}

impl Receipt {
    /// The byte of the message.
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Set => 0,
            Self::NotSet => 1,
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = Cursor::new(bytes);
        let receipt = match rest.u8("the receipt")? {
            0 => Self::Set,
            1 => Self::NotSet,
            other => return Err(DecodeError::BadValue { what: "the receipt", value: other.into() }),
        };
        rest.finish()?;
        Ok(receipt)
    }
}

#[cfg(test)]
mod tests;

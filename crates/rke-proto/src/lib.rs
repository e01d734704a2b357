//! Every byte that crosses a boundary in a RAIDA key exchange: headers, envelopes, commands, coin
//! files, TXT text, shares and keys, and the pure state of one exchange ([`round::Round`]).
//! Without sockets, files, clocks or randomness: the caller provides all of these.
//!
//! Seals one chunk of data with a key and opens it again:
//!
//! ```
//! use rke_proto::seal::{OpenError, Opener, Sealer};
//! use rke_secret::Secret;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (key, salt) = (Secret::<32>::random()?, [7; 32]); // a salt is random too
//! let (sealer, mut chunk) = (Sealer::new(&salt, b"greeting.txt"), b"Hello World!".to_vec());
//! let header = key.expose(|key| sealer.header(key));
//! key.expose(|key| sealer.seal_last(key, &mut chunk))?;
//! assert!(header.starts_with(b"RKESEAL"));
//!
//! // Only the same key and the same associated data open it.
//! let mut other = chunk.clone();
//! let refused = Opener::new(&header, b"invoice.txt")?;
//! let refused = key.expose(|key| refused.open_last(key, &mut other));
//! assert!(matches!(refused, Err(OpenError::AnotherKey)));
//!
//! let opener = Opener::new(&header, b"greeting.txt")?;
//! key.expose(|key| opener.open_last(key, &mut chunk))?;
//! assert_eq!(chunk, b"Hello World!");
//! # Ok(())
//! # }
//! ```

pub mod challenge;
pub mod cipher;
pub mod coin;
pub mod command;
pub mod cursor;
pub mod derive;
pub mod directory;
pub mod envelope;
pub mod export;
pub mod form;
pub mod handshake;
pub mod header;
pub mod ident;
pub mod preshared;
pub mod raida;
pub mod reach;
pub mod records;
pub mod round;
pub mod seal;
pub mod status;
mod text;
pub mod tunnel;

#[cfg(test)]
mod known_answers;
#[cfg(test)]
mod vectors;

pub use challenge::Challenge;
pub use cursor::DecodeError;
pub use envelope::{Envelope, EnvelopeKey};
pub use form::Form;
pub use ident::{ClientSn, ContentServerId, KeyContext, KeySetId};
pub use raida::{Bitmap, MIN_REQUIRED, RAIDA_COUNT, RaidaIndex};
pub use status::Status;

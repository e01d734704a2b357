//! Every byte that crosses a boundary in a RAIDA key exchange: headers, envelopes, commands, coin
//! files, TXT text, shares and keys, and the pure state of one exchange ([`round::Round`]).
//! No socket, no file, no clock, no randomness of its own: all of that is handed in by the caller.

pub mod challenge;
pub mod cipher;
pub mod coin;
pub mod command;
pub mod cursor;
pub mod derive;
pub mod directory;
pub mod envelope;
pub mod form;
pub mod handshake;
pub mod header;
pub mod ident;
pub mod raida;
pub mod reach;
pub mod records;
pub mod round;
pub mod seal;
pub mod status;
mod text;
pub mod tunnel;

#[cfg(test)]
mod vectors;

pub use challenge::Challenge;
pub use cursor::DecodeError;
pub use envelope::{Envelope, EnvelopeKey};
pub use form::Form;
pub use ident::{ClientSn, ContentServerId, KeyContext, KeySetId};
pub use raida::{Bitmap, MIN_REQUIRED, RAIDA_COUNT, RaidaIndex};
pub use status::Status;

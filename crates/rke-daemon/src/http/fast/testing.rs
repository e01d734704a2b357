//! The interface of the fuzz targets to the fast path. No shipped program has this module.

use futures_util::FutureExt;
use rke_engine::settings::FastPath;

use super::fast_path::{Next, Unread};
use crate::http::gate::testing::Head;

/// The first head on a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum FirstHead {
    /// A frequent request, and the bytes after it.
    Frequent(Box<Head>, Vec<u8>),
    /// The bytes of another request without a body.
    Single(Vec<u8>),
    /// A request that declares the length of its body twice.
    Unclear,
    /// Anything else: hyper parses it.
    Hypers,
    /// Not yet a complete head.
    Unfinished,
}

/// Reads bytes that arrive in these pieces.
pub fn first_head(pieces: &[&[u8]]) -> FirstHead {
    let mut unread = Unread::new(FastPath::On);
    for (at, piece) in pieces.iter().enumerate() {
        let mut piece = *piece;
        while !piece.is_empty() {
            // Reading from memory never waits.
            let _ = unread.read(&mut piece).now_or_never();
            match unread.next(|_, head| Some(Box::new(Head::of(head)))) {
                Next::Answered(head) => {
                    let rest = [&unread.take()[..], piece, &pieces[at + 1..].concat()].concat();
                    return FirstHead::Frequent(head, rest);
                }
                Next::Single(bytes) => return FirstHead::Single(bytes.to_vec()),
                Next::Open(_) => return FirstHead::Hypers,
                Next::Unclear => return FirstHead::Unclear,
                Next::Unfinished => (),
            }
        }
    }
    FirstHead::Unfinished
}

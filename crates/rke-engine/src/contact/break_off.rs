//! Why one end of a connection has broken it off, in words for people. `docs/protocol.md` section 7, "Records".

use rke_proto::handshake::BreakCode;

/// What a code means.
pub(crate) fn in_words(code: BreakCode) -> &'static str {
    match code {
        BreakCode::Deleted => "the session was deleted",
        BreakCode::Expired => "the session has expired",
        BreakCode::Stopping => "this end is stopping",
        BreakCode::Idle => "no data has moved for too long",
        BreakCode::NoApplication => "there is no application, or it failed",
        BreakCode::Other => "for another reason",
    }
}

/// The other end's own words, without control characters, which could command a terminal. If it sent none, the words
/// for its code.
pub(crate) fn describe(code: BreakCode, text: &str) -> String {
    match text {
        "" => in_words(code).to_owned(),
        text => text.replace(char::is_control, "\u{fffd}"),
    }
}

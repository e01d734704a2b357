//! What a share and a key belong to: Content Server ID, key set, client SN and timestamp.
//! `docs/protocol.md` sections 1, 5 and 6.

use std::fmt;
use std::num::NonZeroU8;

/// Length of the zero-padded field that holds a Content Server ID on the wire.
pub const CSID_LEN: usize = 16;

/// Longest Content Server ID in text. The wire has the first 16 bytes: public records use IDs that
/// are longer than their field, `CLOUDCOIN_CONTENT` for one.
pub const MAX_TEXT_LEN: usize = 32;

/// A Content Server ID: 1 to 32 bytes of printable ASCII, without spaces. Two IDs are the same when
/// their first 16 bytes are, for these are all that a RAIDA sees.
#[derive(Clone, Copy)]
pub struct ContentServerId {
    text: [u8; MAX_TEXT_LEN],
    len: u8,
}

impl ContentServerId {
    /// The ID that `text` spells, or `None` where it cannot be one.
    pub fn new(text: &str) -> Option<Self> {
        Self::of_printable(text.as_bytes())
    }

    fn of_printable(bytes: &[u8]) -> Option<Self> {
        let is_printable = bytes.iter().all(u8::is_ascii_graphic);
        if bytes.is_empty() || bytes.len() > MAX_TEXT_LEN || !is_printable {
            return None;
        }
        let mut padded = [0; MAX_TEXT_LEN];
        padded[..bytes.len()].copy_from_slice(bytes);
        Some(Self { text: padded, len: bytes.len() as u8 })
    }

    /// The ID in a zero-padded field of the wire, or `None` where the field holds none.
    pub fn from_padded(field: [u8; CSID_LEN]) -> Option<Self> {
        let len = field.iter().position(|byte| *byte == 0).unwrap_or(CSID_LEN);
        let (text, padding) = field.split_at(len);
        if padding.iter().any(|byte| *byte != 0) {
            return None;
        }
        Self::of_printable(text)
    }

    /// The ID as the wire has it where it is not padded: the whole text.
    pub fn from_wire_text(text: &[u8]) -> Option<Self> {
        Self::of_printable(text)
    }

    /// The ID as the wire has it: cut or zero-padded to 16 bytes.
    pub fn padded(&self) -> &[u8; CSID_LEN] {
        self.text.first_chunk().unwrap_or_else(|| unreachable!("the text is longer than the field"))
    }

    /// The same ID in lower case, as some clients of the public network send it.
    pub fn lower_case(mut self) -> Self {
        self.text.make_ascii_lowercase();
        self
    }

    /// The whole ID as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl PartialEq for ContentServerId {
    fn eq(&self, other: &Self) -> bool {
        self.padded() == other.padded()
    }
}

impl Eq for ContentServerId {}

impl std::hash::Hash for ContentServerId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.padded().hash(state);
    }
}

impl fmt::Display for ContentServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ContentServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The number of a key set, 1 to 255; `k1` in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeySetId(NonZeroU8);

impl KeySetId {
    /// The key set `value`, unless it is 0.
    pub fn new(value: u8) -> Option<Self> {
        NonZeroU8::new(value).map(Self)
    }

    /// The key set in text: `k1` to `k255`, the `k` in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['k', 'K'])?;
        let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok().and_then(Self::new)).flatten()
    }

    /// The number as it stands on the wire.
    pub fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for KeySetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{}", self.0)
    }
}

/// Five random bytes that the client draws for each exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientSn(pub [u8; 5]);

/// What a share is derived for. All RAIDAs of one exchange get the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyContext {
    /// The Content Server that the key is shared with.
    pub cs_id: ContentServerId,
    /// Which of its key sets.
    pub key_set: KeySetId,
    /// The client's number for this exchange.
    pub client_sn: ClientSn,
    /// When the exchange began, in Unix seconds.
    pub timestamp: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_server_ids_keep_their_case_and_their_bounds() {
        for good in ["A", "content-Server01", "!", "~", "an-id-of-thirty-two-characters--"] {
            assert_eq!(ContentServerId::new(good).map(|id| id.to_string()).as_deref(), Some(good));
        }
        for bad in [
            "",
            "an-id-of-thirty-three-characters-",
            " x",
            "x ",
            "a space",
            "tab\tx",
            "\u{7f}",
            "\u{e9}",
            "\0",
        ] {
            assert!(ContentServerId::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_longer_than_its_field_is_cut_on_the_wire_only() {
        let id = ContentServerId::new("CLOUDCOIN_CONTENT").expect("an ID");
        assert_eq!(id.as_str(), "CLOUDCOIN_CONTENT");
        assert_eq!(id.padded(), b"CLOUDCOIN_CONTEN");
        assert_eq!(ContentServerId::from_padded(*id.padded()), Some(id));
        assert_eq!((id.lower_case().as_str(), id == id.lower_case()), ("cloudcoin_content", false));
    }

    #[test]
    fn a_padded_field_decodes_to_what_was_padded() {
        let id = ContentServerId::new("CS").unwrap_or_else(|| unreachable!());
        assert_eq!(ContentServerId::from_padded(*id.padded()), Some(id));
        let mut holed = *id.padded();
        holed[5] = b'x';
        assert!(ContentServerId::from_padded(holed).is_none());
        assert!(ContentServerId::from_padded([0; 16]).is_none());
    }

    #[test]
    fn every_printable_byte_but_the_space_may_be_in_an_id() {
        for byte in 0..=u8::MAX {
            let is_good = (0x21..=0x7E).contains(&byte);
            assert_eq!(ContentServerId::from_wire_text(&[b'A', byte, b'B']).is_some(), is_good, "{byte:#x}");
            let mut field = [b'A'; CSID_LEN];
            field[CSID_LEN - 1] = byte;
            assert_eq!(ContentServerId::from_padded(field).is_some(), is_good || byte == 0, "{byte:#x}");
        }
        assert!(ContentServerId::from_wire_text(&[b'A'; MAX_TEXT_LEN]).is_some());
        assert!(ContentServerId::from_wire_text(&[b'A'; MAX_TEXT_LEN + 1]).is_none());
    }

    #[test]
    fn key_sets_run_from_1_to_255() {
        assert_eq!(KeySetId::parse("K17").map(KeySetId::get), Some(17));
        assert_eq!(KeySetId::parse("k255").map(KeySetId::get), Some(255));
        for bad in ["k0", "k256", "k", "1", "k01", "k+1", "k1x"] {
            assert!(KeySetId::parse(bad).is_none(), "{bad}");
        }
    }
}

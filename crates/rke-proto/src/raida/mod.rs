//! The 25 RAIDA servers by number, and sets of them. `docs/protocol.md` sections 1 and 6.

use std::fmt;

use crate::DecodeError;

/// The number of RAIDA servers.
pub const RAIDA_COUNT: usize = 25;

/// The smallest number of RAIDAs whose shares may make a key, whatever a Content Server's records say.
pub const MIN_REQUIRED: u8 = 13;

/// The number of a RAIDA server, 0 to 24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RaidaIndex(u8);

impl RaidaIndex {
    /// The index `value`, if there is such a RAIDA.
    pub fn new(value: u8) -> Option<Self> {
        (usize::from(value) < RAIDA_COUNT).then_some(Self(value))
    }

    /// All 25, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..RAIDA_COUNT as u8).map(Self)
    }

    /// The number on the wire.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The number as a position in an array of 25.
    pub fn position(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for RaidaIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of RAIDAs in the form of the wire: bit i is RAIDA i.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bitmap(u32);

impl Bitmap {
    /// Adds a RAIDA.
    pub fn insert(&mut self, raida: RaidaIndex) {
        self.0 |= 1 << raida.0;
    }

    /// Whether a RAIDA is in the set.
    pub fn contains(self, raida: RaidaIndex) -> bool {
        self.0 & (1 << raida.0) != 0
    }

    /// The number of RAIDAs in the set.
    pub fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The RAIDAs of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = RaidaIndex> {
        RaidaIndex::all().filter(move |raida| self.contains(*raida))
    }

    /// Whether all RAIDAs of this set are in `other`.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The RAIDAs of either set.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The RAIDAs of this set that are not in `other`.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The set in four bytes of the wire.
    ///
    /// # Errors
    /// [`DecodeError::BadValue`] for a RAIDA over 24.
    pub fn decode(bytes: [u8; 4]) -> Result<Self, DecodeError> {
        let bits = u32::from_be_bytes(bytes);
        match bits >> RAIDA_COUNT {
            0 => Ok(Self(bits)),
            _ => Err(DecodeError::BadValue { what: "the bitmap", value: bits.into() }),
        }
    }

    /// The four bytes of the wire, big-endian.
    pub fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl FromIterator<RaidaIndex> for Bitmap {
    fn from_iter<I: IntoIterator<Item = RaidaIndex>>(raidas: I) -> Self {
        let mut bitmap = Self::default();
        raidas.into_iter().for_each(|raida| bitmap.insert(raida));
        bitmap
    }
}

#[cfg(test)]
mod tests;

//! What begins a connection, in the clear: the prologue of the Noise handshake. `docs/protocol.md` section 7.

use super::header::{Kind, with_header};
use super::ids::{KeyId, ResumptionId};
use crate::coin::{COIN_PAIR_LEN, CoinId, CoinPair, Group};
use crate::cursor::{Cursor, DecodeError};
use crate::ident::{CSID_LEN, ClientSn, KeyContext};
use crate::{Bitmap, ContentServerId, KeySetId, RAIDA_COUNT};

/// Length of a group on the wire: a bitmap and a coin pair.
const GROUP_LEN: usize = 4 + COIN_PAIR_LEN;

/// Length of the content of a kind 1 packet without its groups.
const EXCHANGE_HEAD_LEN: usize = CSID_LEN + 1 + 5 + 8 + 1;

/// Longest content of a kind 1 packet.
pub(super) const MAX_EXCHANGE_LEN: usize = EXCHANGE_HEAD_LEN + RAIDA_COUNT * GROUP_LEN;

/// Length of the content of a packet of kind 2 or 5.
pub(super) const NAMED_LEN: usize = CSID_LEN + super::ID_LEN;

/// The basis of a session: the content of kind 1, and the beginning of kind 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangePrologue {
    /// The context that the shares were derived for.
    pub context: KeyContext,
    groups: Vec<Group>,
}

impl ExchangePrologue {
    /// A prologue with these groups, whose RAIDAs are disjoint. `None` if they overlap, if one is empty, or without
    /// any.
    pub fn new(context: KeyContext, groups: Vec<Group>) -> Option<Self> {
        let mut seen = Bitmap::default();
        let is_disjoint = groups.iter().all(|group| {
            let is_new = group.raidas.count() > 0 && group.raidas.without(seen) == group.raidas;
            seen = seen.union(group.raidas);
            is_new
        });
        (is_disjoint && !groups.is_empty()).then_some(Self { context, groups })
    }

    /// The groups, in the order of the wire.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// All RAIDAs whose shares are used.
    pub fn raidas(&self) -> Bitmap {
        self.groups.iter().fold(Bitmap::default(), |all, group| all.union(group.raidas))
    }

    /// The same exchange with the shares of these RAIDAs only. `None` if none remains.
    pub fn only(&self, raidas: Bitmap) -> Option<Self> {
        let within = |group: &Group| {
            let others = group.raidas.without(raidas);
            Group { raidas: group.raidas.without(others), ..*group }
        };
        let groups = self.groups.iter().map(within).filter(|group| group.raidas.count() > 0).collect();
        Self::new(self.context, groups)
    }

    /// The coins whose pairs cover at least `required` RAIDAs, in the order in which the prologue names them. With
    /// wide shares these are proven; any other coin is a mere claim.
    pub fn proven_coins(&self, required: usize) -> Vec<CoinId> {
        let mut coins: Vec<CoinId> = Vec::new();
        for coin in self.groups.iter().flat_map(|group| group.coins.coins()) {
            if !coins.contains(&coin) && self.raidas_covered_by(coin) >= required {
                coins.push(coin);
            }
        }
        coins
    }

    fn raidas_covered_by(&self, coin: CoinId) -> usize {
        let with_it = self.groups.iter().filter(|group| group.coins.contains(coin));
        with_it.map(|group| group.raidas.count()).sum()
    }

    /// The content of a kind 1 packet.
    pub(super) fn content(&self) -> Vec<u8> {
        let context = &self.context;
        let mut content = Vec::with_capacity(EXCHANGE_HEAD_LEN + self.groups.len() * GROUP_LEN);
        content.extend(context.cs_id.padded());
        content.push(context.key_set.get());
        content.extend(context.client_sn.0);
        content.extend(context.timestamp.to_be_bytes());
        content.push(self.groups.len() as u8);
        for group in &self.groups {
            content.extend(group.raidas.to_bytes());
            content.extend(group.coins.to_bytes());
        }
        content
    }

    /// The prologue: the kind 1 packet.
    pub fn to_bytes(&self) -> Vec<u8> {
        with_header(Kind::Exchange, &self.content())
    }

    /// Reads the content of a kind 1 packet from the front of a cursor.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let cs_id = read_cs_id(cursor)?;
        let key_set = cursor.u8("key set")?;
        let key_set =
            KeySetId::new(key_set).ok_or(DecodeError::BadValue { what: "the key set", value: 0 })?;
        let client_sn = ClientSn(cursor.array("client SN")?);
        let timestamp = cursor.u64("timestamp")?;
        let count = cursor.u8("number of groups")?;
        let bad = DecodeError::BadValue { what: "the number of groups", value: count.into() };
        if usize::from(count) > RAIDA_COUNT {
            return Err(bad);
        }
        let groups = (0..count).map(|_| {
            let raidas = Bitmap::decode(cursor.array("bitmap")?)?;
            Ok(Group { raidas, coins: CoinPair::from_bytes(cursor.array("coin pair")?) })
        });
        let groups = groups.collect::<Result<_, DecodeError>>()?;
        let context = KeyContext { cs_id, key_set, client_sn, timestamp };
        Self::new(context, groups).ok_or(DecodeError::Mismatch("the groups' bitmaps"))
    }
}

/// The prologue of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prologue {
    /// Kind 1: opens a session with shares.
    Exchange(ExchangePrologue),
    /// Kind 2: opens a session without the RAIDAs.
    Resume { cs_id: ContentServerId, id: ResumptionId },
    /// Kind 5: carries data of an application in a session.
    Attach {
        cs_id: ContentServerId,
        /// The session's key.
        id: KeyId,
    },
}

impl Prologue {
    /// The packet, header and content: what both ends hash.
    pub fn to_bytes(&self) -> Vec<u8> {
        let named =
            |kind, cs_id: &ContentServerId, id: &[u8]| with_header(kind, &[cs_id.padded(), id].concat());
        match self {
            Self::Exchange(exchange) => exchange.to_bytes(),
            Self::Resume { cs_id, id } => named(Kind::Resume, cs_id, &id.0),
            Self::Attach { cs_id, id } => named(Kind::Attach, cs_id, &id.0),
        }
    }

    /// Decodes the content of a packet of kind 1, 2 or 5.
    pub(super) fn decode(kind: Kind, content: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(content);
        let prologue = match kind {
            Kind::Exchange => Self::Exchange(ExchangePrologue::read(&mut cursor)?),
            Kind::Resume => {
                let cs_id = read_cs_id(&mut cursor)?;
                Self::Resume { cs_id, id: ResumptionId(cursor.array("resumption id")?) }
            }
            Kind::Attach => {
                let cs_id = read_cs_id(&mut cursor)?;
                Self::Attach { cs_id, id: KeyId(cursor.array("key id")?) }
            }
            Kind::ShareCheck | Kind::Forget => return Err(DecodeError::Mismatch("the packet's kind")),
        };
        cursor.finish()?;
        Ok(prologue)
    }
}

fn read_cs_id(cursor: &mut Cursor<'_>) -> Result<ContentServerId, DecodeError> {
    let field = cursor.array("Content Server ID")?;
    ContentServerId::from_padded(field).ok_or(DecodeError::Mismatch("the Content Server ID"))
}

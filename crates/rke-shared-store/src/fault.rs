//! Rules that a test breaks, to see that the tests notice it.

/// One broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A deletion answers before the holders have wiped.
    DeleteWithoutWait,
    /// What an earlier primary made is used.
    NoIncarnation,
    /// Holders are told before the record is removed.
    AnnounceFirst,
    /// The limit is checked against a counter of creations and deletions.
    Counter,
}

impl Fault {
    /// What breaks the rule in the scripts: texts, and what stands in their place.
    pub(crate) fn edits(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::DeleteWithoutWait => &[],
            Self::AnnounceFirst => {
                &[("redis.call('PUBLISH', channel .. holder, announcement .. name)", "local _")]
            }
            Self::NoIncarnation => &[
                ("if r.incarnation ~= incarnation then return nil end", ""),
                ("if known[1] ~= incarnation then", "if not known[1] then"),
            ],
            Self::Counter => &[
                (
                    "redis.call('ZCOUNT', index, '(' .. now, '+inf') >= limit",
                    "(tonumber(redis.call('HGET', state, 'count')) or 0) >= limit",
                ),
                ("redis.call('ZADD', index, r.ends, name)", "redis.call('HINCRBY', state, 'count', 1)"),
            ],
        }
    }
}

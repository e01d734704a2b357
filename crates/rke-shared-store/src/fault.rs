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
    /// A script with this rule broken.
    pub(crate) fn edit(self, text: &str) -> String {
        let replaced = |from: &str, to: &str| text.replace(from, to);
        match self {
            Self::DeleteWithoutWait => text.to_owned(),
            Self::AnnounceFirst => {
                let publish =
                    "redis.call('PUBLISH', channel .. string.sub(holders, at, at + 7), announcement .. name)";
                replaced(publish, "")
            }
            Self::NoIncarnation => replaced("if r.incarnation ~= incarnation then return nil end", "")
                .replace("if known[1] ~= incarnation then", "if not known[1] then"),
            Self::Counter => replaced(
                "redis.call('ZCOUNT', index, '(' .. now, '+inf') >= limit",
                "(tonumber(redis.call('HGET', state, 'count')) or 0) >= limit",
            )
            .replace("redis.call('ZADD', index, r.ends, name)", "redis.call('HINCRBY', state, 'count', 1)"),
        }
    }
}

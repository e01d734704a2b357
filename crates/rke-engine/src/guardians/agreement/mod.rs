//! What the guardians agree on. No guardian decides alone: an entry counts if a majority of all configured guardians
//! have it, whether or not the others have answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rke_proto::RaidaIndex;

/// The fewest guardians that can agree.
pub(super) const FEWEST: usize = 3;

/// Where a guardian says that RAIDAs are: each endpoint once.
pub(super) type List = Vec<(SocketAddr, RaidaIndex)>;

/// How many of this number of guardians have to agree.
pub(super) fn needed(guardians: usize) -> usize {
    (guardians / 2 + 1).max(FEWEST)
}

/// Where enough guardians agree that a RAIDA is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    /// Sorted by address; several if the RAIDA's host has several.
    pub(super) endpoints: Vec<SocketAddr>,
    /// How many guardians agree on the endpoint that the fewest name.
    pub(super) guardians: usize,
}

/// The entries that at least `needed` of these lists share.
pub(super) fn agreed<'a>(
    lists: impl Iterator<Item = &'a List>,
    needed: usize,
) -> BTreeMap<RaidaIndex, Agreed> {
    let mut votes = BTreeMap::<(RaidaIndex, SocketAddr), usize>::new();
    for (endpoint, raida) in lists.flatten() {
        *votes.entry((*raida, *endpoint)).or_default() += 1;
    }
    let mut all = BTreeMap::<RaidaIndex, Agreed>::new();
    for ((raida, endpoint), count) in votes.into_iter().filter(|(_, count)| *count >= needed) {
        let agreed = all.entry(raida).or_insert(Agreed { endpoints: Vec::new(), guardians: count });
        agreed.endpoints.push(endpoint);
        agreed.guardians = agreed.guardians.min(count);
    }
    all
}

/// The RAIDAs for which a list contradicts what was agreed on.
pub(super) fn contradicted(list: &List, agreed: &BTreeMap<RaidaIndex, Agreed>) -> Vec<RaidaIndex> {
    let contradicts = |(raida, agreed): (&RaidaIndex, &Agreed)| {
        let mut own = list.iter().filter(|(_, own)| own == raida).peekable();
        let names_it = own.peek().is_some();
        let agrees = own.any(|(endpoint, _)| agreed.endpoints.contains(endpoint));
        let names_another =
            list.iter().any(|(endpoint, other)| other != raida && agreed.endpoints.contains(endpoint));
        ((names_it && !agrees) || names_another).then_some(*raida)
    };
    agreed.iter().filter_map(contradicts).collect()
}

#[cfg(test)]
mod tests;

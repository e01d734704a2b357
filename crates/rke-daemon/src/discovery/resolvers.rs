//! Look-ups, each with the validation that its name calls for.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use super::error::Failure;
use super::{DiscoveryError, Dnssec, ResolverError, Validation};

/// Longest chain of aliases that is followed.
const MAX_ALIASES: usize = 8;

/// One resolver for each zone whose keys are known, and one for all other names.
pub(super) struct Resolvers {
    dnssec: Dnssec,
    /// The deepest zone first.
    zones: Vec<(Name, TokioResolver)>,
    /// For names outside all of these zones: they count as unsigned.
    plain: Option<TokioResolver>,
}

impl Resolvers {
    /// Forgets what DNS has said so far.
    pub(super) fn clear(&self) {
        let zones = self.zones.iter().map(|(_, resolver)| resolver);
        zones.chain(&self.plain).for_each(TokioResolver::clear_cache);
    }

    pub(super) fn new(dns_server: Option<SocketAddr>, validation: Validation) -> Result<Self, ResolverError> {
        let Validation { dnssec, anchors } = validation;
        let zones =
            anchors.into_iter().map(|(zone, keys)| Ok((zone, resolver(dns_server, dnssec, Some(keys))?)));
        let zones: Vec<_> = zones.collect::<Result<_, ResolverError>>()?;
        let plain = match dnssec {
            Dnssec::Require => None,
            Dnssec::Off | Dnssec::Try => Some(resolver(dns_server, dnssec, None)?),
        };
        Ok(Self { dnssec, zones, plain })
    }

    /// The records of `name`, or of what it is an alias of, as far as they are accepted: those of all these types
    /// that it has, at least of one.
    pub(super) async fn look_up(
        &self,
        name: &str,
        types: &[RecordType],
    ) -> Result<Vec<RData>, DiscoveryError> {
        let found = match Name::from_utf8(name) {
            Ok(owner) => self.follow(owner, types).await,
            Err(error) => Err(Failure::of(&error.into())),
        };
        let record = types.last().copied().unwrap_or(RecordType::ANY);
        found.map_err(|Failure { reason, .. }| DiscoveryError::LookUp { record, name: name.into(), reason })
    }

    /// Follows aliases one by one, so that each is looked at like what it leads to. The resolver follows them
    /// too, but says nothing of them, finds no SRV records behind them, and goes on with the keys of the first
    /// zone.
    async fn follow(&self, mut owner: Name, types: &[RecordType]) -> Result<Vec<RData>, Failure> {
        for _ in 0..MAX_ALIASES {
            let failure = match self.ask_all(&owner, types).await {
                Err(failure) if failure.may_be_alias => failure,
                settled => return settled,
            };
            owner = match self.ask(&owner, RecordType::CNAME).await.as_deref() {
                Ok([RData::CNAME(target), ..]) => target.0.clone(),
                Err(of_alias) if !of_alias.may_be_alias => return Err(*of_alias),
                _ => return Err(failure),
            };
        }
        Err(Failure::at_once(LOOP))
    }

    /// Asks for all types at once. Where there is nothing of any, the failure is that of the last.
    async fn ask_all(&self, owner: &Name, types: &[RecordType]) -> Result<Vec<RData>, Failure> {
        let asked = join_all(types.iter().map(|record| self.ask(owner, *record))).await;
        let (mut found, mut failure) = (Vec::new(), Failure::ABSENT);
        for result in asked {
            match result {
                Ok(records) => found.extend(records),
                Err(error) => failure = error,
            }
        }
        if found.is_empty() { Err(failure) } else { Ok(found) }
    }

    /// The records that `owner` has itself. A response may have others too, with good signatures of their own
    /// owners: they do not speak for this name.
    async fn ask(&self, owner: &Name, record: RecordType) -> Result<Vec<RData>, Failure> {
        let resolver = self.resolver_of(owner).ok_or(Failure::at_once(OUTSIDE))?;
        let answer = resolver.lookup(owner.clone(), record).await.map_err(|error| Failure::of(&error))?;
        let own = |found: &&Record| found.name == *owner && found.record_type() == record;
        let records: Vec<&Record> = answer.answers().iter().filter(own).collect();
        if records.is_empty() {
            return Err(Failure::ABSENT);
        }
        if self.dnssec == Dnssec::Require && !records.iter().all(|record| record.proof.is_secure()) {
            return Err(Failure::at_once(UNSIGNED));
        }
        Ok(records.into_iter().map(|record| record.data.clone()).collect())
    }

    fn resolver_of(&self, name: &Name) -> Option<&TokioResolver> {
        let zone = self.zones.iter().find(|(zone, _)| zone.zone_of(name));
        zone.map(|(_, resolver)| resolver).or(self.plain.as_ref())
    }
}

const UNSIGNED: &str = "the response is not signed, and the daemon runs with --dnssec require. Ask the operator of \
                        the domain to sign it, or start the daemon with --dnssec try";

const LOOP: &str =
    "too many aliases (CNAME) lead on from this name. Ask the operator of the domain to correct them";

const OUTSIDE: &str = "no key in the file of --dnssec-anchors is that of a zone above this name, and the daemon runs \
                       with --dnssec require. Add the zone's DNSKEY records to the file";

fn resolver(
    dns_server: Option<SocketAddr>,
    dnssec: Dnssec,
    keys: Option<TrustAnchors>,
) -> Result<TokioResolver, ResolverError> {
    let mut builder = match dns_server {
        Some(server) => Resolver::builder_with_config(only(server), TokioRuntimeProvider::default()),
        None => TokioResolver::builder_tokio().map_err(ResolverError::System)?,
    };
    let options = builder.options_mut();
    // With them, no SRV record behind an alias would be found, and later look-ups would not find it either.
    options.preserve_intermediates = false;
    if let Some(keys) = keys {
        options.edns0 = true;
        if dnssec == Dnssec::Require {
            options.use_hosts_file = ResolveHosts::Never;
        }
        builder = builder.with_trust_anchor(Arc::new(keys));
    }
    builder.build().map_err(ResolverError::System)
}

fn only(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    ResolverConfig::from_parts(None, Vec::new(), vec![server])
}

//! Look-ups, each with the validation that its name requires.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::Hosts;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::cache::Cache;
use super::error::Failure;
use super::query::UDP_PAYLOAD;
use super::system::{Watched, hosts};
use super::upstreams::Upstreams;
use super::{Dnssec, Validation};
use crate::model::clock::Moment;

/// The longest chain of aliases that is followed.
const MAX_ALIASES: usize = 8;

/// How long the validator relies on validated signatures at most. Records are cached for the same time.
const VALIDATED_FOR: Duration = Duration::from_secs(300);

const HOSTS: &str = "/etc/hosts";

/// One validator for each zone with known keys; names outside all of these zones count as unsigned.
pub(super) struct Resolvers {
    dnssec: Dnssec,
    upstreams: Upstreams,
    /// `None` if only signed addresses count.
    hosts: Option<Watched<Hosts>>,
    /// The deepest zone first.
    zones: Vec<(Name, DnssecDnsHandle<Upstreams>)>,
    cache: Cache<Said, Failure>,
}

/// What DNS says about a name.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    /// Records of the requested type.
    Records(Vec<RData>),
    /// The name is an alias of this one.
    Alias(Name),
}

impl Resolvers {
    pub(super) fn asking(upstreams: Upstreams, validation: Validation) -> Self {
        let Validation { dnssec, anchors } = validation;
        let zones = anchors.into_iter().map(|(zone, keys)| {
            let validator = DnssecDnsHandle::with_trust_anchor(upstreams.clone(), Arc::new(keys));
            let validator = validator.positive_validation_ttl(Duration::ZERO..=VALIDATED_FOR);
            (zone, validator.negative_validation_ttl(Duration::ZERO..=Duration::ZERO))
        });
        let zones = zones.collect();
        let hosts = (dnssec != Dnssec::Require).then(|| Watched::new(Path::new(HOSTS), hosts));
        Self { dnssec, upstreams, hosts, zones, cache: Cache::default() }
    }

    /// Clears the cache.
    pub(super) fn clear(&self) {
        self.cache.clear();
    }

    /// The accepted records of `name`, or of the name that it is an alias of. They are of all the requested types
    /// that the name has, and at least of one.
    pub(super) async fn look_up(&self, name: &str, types: &[RecordType]) -> Result<Vec<RData>, Failure> {
        if self.upstreams.refresh() {
            self.clear();
        }
        let mut owner = Name::from_ascii(name).map_err(|_| Failure::NotAName)?;
        owner.set_fqdn(true);
        let hosts = self.hosts.as_ref().map(Watched::current);
        self.follow(owner, types, hosts.as_deref()).await
    }

    /// Follows aliases one by one, so that each is checked in the same way as its target.
    async fn follow(
        &self,
        mut owner: Name,
        types: &[RecordType],
        hosts: Option<&Hosts>,
    ) -> Result<Vec<RData>, Failure> {
        for _ in 0..MAX_ALIASES {
            owner = match self.ask_all(&owner, types, hosts).await {
                Ok(Said::Records(records)) => return Ok(records),
                Ok(Said::Alias(target)) => target,
                // The validator rejects a response that leads from its zone into another. The alias itself may be
                // valid.
                Err(Failure::Bogus) => match self.ask(&owner, RecordType::CNAME, hosts).await {
                    Ok(Said::Alias(target)) => target,
                    _ => return Err(Failure::Bogus),
                },
                Err(failure) => return Err(failure),
            };
        }
        Err(Failure::Loop)
    }

    /// Asks for all types at once.
    async fn ask_all(
        &self,
        owner: &Name,
        types: &[RecordType],
        hosts: Option<&Hosts>,
    ) -> Result<Said, Failure> {
        let (mut records, mut alias, mut failure) = (Vec::new(), None, Failure::NoRecord);
        for said in join_all(types.iter().map(|record| self.ask(owner, *record, hosts))).await {
            match said {
                Ok(Said::Records(some)) => records.extend(some),
                Ok(Said::Alias(target)) => alias = Some(target),
                // Any other failure says more than a missing record.
                Err(Failure::NoRecord) => (),
                Err(error) => failure = error,
            }
        }
        match alias {
            _ if !records.is_empty() => Ok(Said::Records(records)),
            Some(target) => Ok(Said::Alias(target)),
            None => Err(failure),
        }
    }

    async fn ask(&self, owner: &Name, record: RecordType, hosts: Option<&Hosts>) -> Result<Said, Failure> {
        let query = Query::query(owner.clone(), record);
        if let Some(known) = hosts.and_then(|hosts| hosts.lookup_static_host(&query)) {
            return Ok(Said::Records(known.answers().iter().map(|record| record.data.clone()).collect()));
        }
        if let Some(said) = self.cache.get(owner, record, Moment::now()) {
            return said;
        }
        let said = self.send(query).await.and_then(|response| self.read(owner, record, &response));
        self.cache.put(owner, record, &said, Moment::now());
        said.map(|(said, _)| said)
    }

    async fn send(&self, query: Query) -> Result<DnsResponse, Failure> {
        let validator = self.validator_of(query.name());
        let mut options = DnsRequestOptions::default();
        options.edns_payload_len = UDP_PAYLOAD;
        let request = DnsRequest::from_query(query, options);
        match validator {
            Some(validator) => {
                let response = validator.send(request).first_answer().await;
                response.map_err(|error| Failure::of_validation(&error))
            }
            None if self.dnssec == Dnssec::Require => Err(Failure::Outside),
            None => self.upstreams.ask(&request).await.map_err(Failure::Unanswered),
        }
    }

    /// What a response says about `owner`, and for how many seconds. It may contain records of other owners too, with
    /// valid signatures: they say nothing about this name.
    fn read(&self, owner: &Name, record: RecordType, response: &DnsResponse) -> Result<(Said, u32), Failure> {
        let of_type = |wanted: RecordType| {
            let own = move |found: &&Record| found.name == *owner && found.record_type() == wanted;
            response.answers.iter().filter(own).collect::<Vec<&Record>>()
        };
        let (records, aliases) = (of_type(record), of_type(RecordType::CNAME));
        let used = if records.is_empty() { &aliases } else { &records };
        self.check_proofs(owner, used)?;
        let ttl = used.iter().map(|record| record.ttl).min().unwrap_or(0);
        match aliases.first().map(|record| &record.data) {
            Some(RData::CNAME(target)) if records.is_empty() || record == RecordType::CNAME => {
                Ok((Said::Alias(target.0.clone()), ttl))
            }
            _ if !records.is_empty() => {
                Ok((Said::Records(records.into_iter().map(|record| record.data.clone()).collect()), ttl))
            }
            _ if response.response_code == ResponseCode::NXDomain => Err(Failure::NoName),
            _ => Err(Failure::NoRecord),
        }
    }

    /// The validator does not remove records that it does not trust: it marks each record with a proof.
    fn check_proofs(&self, owner: &Name, used: &[&Record]) -> Result<(), Failure> {
        if self.validator_of(owner).is_none() {
            return Ok(());
        }
        for record in used {
            match record.proof {
                Proof::Secure => (),
                Proof::Insecure if self.dnssec == Dnssec::Require => return Err(Failure::Unsigned),
                Proof::Insecure => (),
                Proof::Bogus | Proof::Indeterminate => return Err(Failure::Bogus),
            }
        }
        Ok(())
    }

    fn validator_of(&self, name: &Name) -> Option<&DnssecDnsHandle<Upstreams>> {
        self.zones.iter().find(|(zone, _)| zone.zone_of(name)).map(|(_, validator)| validator)
    }
}

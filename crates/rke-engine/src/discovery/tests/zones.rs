//! A DNS server with a few zones, which it signs on the fly: correctly, or not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::dnssec::{DnssecSigner, SigningKey};
use hickory_resolver::proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NS, SOA, SRV, TXT};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordSet, RecordType};
use time::OffsetDateTime;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const TTL: u32 = 60;
const DAY: Duration = Duration::from_secs(86_400);

/// What is wrong with a zone's responses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Addresses and targets are changed after they were signed.
    Forged,
    /// The signatures are left out.
    Unsigned,
    /// The signatures expired yesterday.
    Expired,
    /// Another key than the zone's signs everything.
    OtherKey,
    /// Signed records of another owner are added.
    Smuggled,
}

/// A zone. Clones share the same keys.
#[derive(Clone)]
pub(super) struct Zone {
    origin: Name,
    key: Option<Arc<DnssecSigner>>,
    sets: BTreeMap<(Name, RecordType), Vec<RData>>,
    fault: Option<Fault>,
}

fn name(text: &str) -> Name {
    Name::from_str(&format!("{text}.")).expect("a name")
}

fn signer(origin: &Name) -> Arc<DnssecSigner> {
    let key = Ed25519SigningKey::generate_pkcs8().expect("a key");
    let key = Ed25519SigningKey::from_pkcs8(&key).expect("a key");
    let public = DNSKEY::from_key(&key.to_public_key().expect("a public key"));
    Arc::new(DnssecSigner::new(public, Box::new(key), origin.clone(), DAY))
}

impl Zone {
    pub(super) fn unsigned(origin: &str) -> Self {
        let origin = name(origin);
        let zone = Self { origin: origin.clone(), key: None, sets: BTreeMap::new(), fault: None };
        let soa = SOA::new(origin.clone(), origin.clone(), 1, 3600, 600, 86_400, TTL);
        zone.with_record(&origin, RData::SOA(soa)).with_record(&origin, RData::NS(NS(origin.clone())))
    }

    pub(super) fn signed(origin: &str) -> Self {
        let mut zone = Self::unsigned(origin);
        let origin = zone.origin.clone();
        let key = signer(&origin);
        zone.key = Some(Arc::clone(&key));
        zone.with_record(&origin, RData::DNSSEC(DNSSECRData::DNSKEY(key.dnskey().clone())))
    }

    /// The zone's key, as a line of an anchor file.
    pub(super) fn anchor(&self) -> String {
        let key = self.key.as_ref().expect("a signed zone").dnskey();
        format!("{} {TTL} IN DNSKEY {key}\n", self.origin)
    }

    pub(super) fn with(mut self, fault: Fault) -> Self {
        if fault == Fault::OtherKey {
            let key = signer(&self.origin);
            let set = vec![RData::DNSSEC(DNSSECRData::DNSKEY(key.dnskey().clone()))];
            self.sets.insert((self.origin.clone(), RecordType::DNSKEY), set);
            self.key = Some(key);
        }
        self.fault = Some(fault);
        self
    }

    fn with_record(mut self, owner: &Name, data: RData) -> Self {
        self.sets.entry((owner.clone(), data.record_type())).or_default().push(data);
        self
    }

    pub(super) fn with_address(self, host: &str, last: u8) -> Self {
        self.with_record(&name(host), RData::A(A::new(192, 0, 2, last)))
    }

    /// Adds the records of a Content Server for the zone itself, and its host's address.
    pub(super) fn with_service(self, host: &str, last: u8) -> Self {
        let domain = self.origin.to_ascii();
        self.with_service_of(domain.trim_end_matches('.'), host, 10, last)
    }

    pub(super) fn with_service_of(self, domain: &str, host: &str, priority: u16, last: u8) -> Self {
        let owner = name(&format!("_rke._udp.{domain}"));
        let zone = self.with_record(&owner, RData::SRV(SRV::new(priority, 0, 443, name(host))));
        let zone = zone.with_record(&owner, RData::TXT(TXT::new(vec!["k1 = CS".into()])));
        if zone.origin.zone_of(&name(host)) { zone.with_address(host, last) } else { zone }
    }

    pub(super) fn with_alias(self, from: &str, to: &str) -> Self {
        let of = |domain| name(&format!("_rke._udp.{domain}"));
        self.with_record(&of(from), RData::CNAME(CNAME(of(to))))
    }

    pub(super) fn with_host_alias(self, from: &str, to: &str) -> Self {
        self.with_record(&name(from), RData::CNAME(CNAME(name(to))))
    }

    /// Delegates the zone `child` to another server, without saying that it is signed.
    pub(super) fn with_delegation(self, child: &str) -> Self {
        self.with_record(&name(child), RData::NS(NS(name(child))))
    }

    fn answer(&self, query: &Query, response: &mut Message) {
        let owner = query.name();
        let alias = (owner.clone(), RecordType::CNAME);
        let kind = if self.sets.contains_key(&alias) { RecordType::CNAME } else { query.query_type() };
        let found = self.set(owner, kind);
        if found.is_empty() {
            let proof = self.proof(owner);
            response.add_authorities(self.set(&self.origin, RecordType::SOA).into_iter().chain(proof));
        } else if self.fault == Some(Fault::Smuggled) && kind == RecordType::SRV {
            response.add_answers(self.set(&name("_rke._udp.evil.signed.test"), kind));
        }
        if let Some([RData::CNAME(target)]) = self.sets.get(&alias).map(Vec::as_slice)
            && query.query_type() != kind
        {
            response.add_answers(self.set(&target.0, query.query_type()));
        }
        response.add_answers(found);
    }

    /// Records with their signature.
    fn set(&self, owner: &Name, kind: RecordType) -> Vec<Record> {
        let data = self.sets.get(&(owner.clone(), kind)).cloned().unwrap_or_default();
        let records: Vec<Record> =
            data.into_iter().map(|data| Record::from_rdata(owner.clone(), TTL, data)).collect();
        self.sign(owner, kind, records)
    }

    /// The proof that the name has no other types.
    fn proof(&self, owner: &Name) -> Vec<Record> {
        let types: Vec<RecordType> =
            self.sets.keys().filter(|(of, _)| of == owner).map(|(_, kind)| *kind).collect();
        if types.is_empty() || self.key.is_none() {
            return Vec::new();
        }
        let next = owner.prepend_label("z").expect("a name");
        let data = RData::DNSSEC(DNSSECRData::NSEC(NSEC::new_cover_self(next, types)));
        self.sign(owner, RecordType::NSEC, vec![Record::from_rdata(owner.clone(), TTL, data)])
    }

    fn sign(&self, owner: &Name, kind: RecordType, mut records: Vec<Record>) -> Vec<Record> {
        let Some(key) = self.key.as_ref().filter(|_| !records.is_empty()) else { return records };
        let mut set = RecordSet::new(owner.clone(), kind, 0);
        for record in &records {
            set.insert(record.clone(), 0);
        }
        let start = OffsetDateTime::now_utc() - DAY / 2;
        let start = if self.fault == Some(Fault::Expired) { start - DAY } else { start };
        let signature = RRSIG::from_rrset(&set, DNSClass::IN, start, key).expect("a signature");
        if self.fault == Some(Fault::Forged) {
            records.iter_mut().for_each(|record| forge(&mut record.data));
        }
        if self.fault != Some(Fault::Unsigned) {
            let data = RData::DNSSEC(DNSSECRData::RRSIG(signature));
            records.push(Record::from_rdata(owner.clone(), TTL, data));
        }
        records
    }
}

fn forge(data: &mut RData) {
    match data {
        RData::A(address) => *address = A::new(192, 0, 2, 66),
        RData::SRV(srv) => srv.priority += 1,
        RData::TXT(txt) => *txt = TXT::new(vec!["k1 = EVIL".into()]),
        _ => (),
    }
}

/// A DNS server on loopback, UDP only. Dropping it stops it.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start<const N: usize>(zones: [Zone; N]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = socket.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                let request = Message::from_vec(&buffer[..len]).expect("a request");
                let response = respond(&zones, &request).to_vec().expect("a response");
                let _ = socket.send_to(&response, from).await;
            }
        });
        Self { address, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn respond(zones: &[Zone], request: &Message) -> Message {
    let query = request.queries[0].clone();
    let mut response = Message::response(request.metadata.id, OpCode::Query);
    // The DS records of a zone are those of the zone above it.
    let is_above = |zone: &&Zone| query.query_type() != RecordType::DS || zone.origin != *query.name();
    let around = zones.iter().filter(|zone| zone.origin.zone_of(query.name())).filter(is_above);
    match around.max_by_key(|zone| zone.origin.num_labels()) {
        Some(zone) => zone.answer(&query, &mut response),
        None => response.metadata.response_code = ResponseCode::Refused,
    }
    response.metadata.recursion_available = true;
    response.add_query(query);
    response
}

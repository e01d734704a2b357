//! What happens in the daemon, told in one place: from here it goes to the audit log and into the counts
//! that `/metrics` shows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rke_proto::handshake::KeyId;

use crate::Domain;
use crate::audit::{Audit, Event};
use crate::histogram::Histogram;
use crate::model::remote_deletion::RemoteCounts;
use crate::model::server_name::ServerName;
use crate::model::session_id::SessionId;
use crate::store::Row;

/// The place. By default nothing is audited, only counted.
#[derive(Default)]
pub struct Journal {
    audit: Audit,
    wipe_delays: Histogram,
    exchanges: Mutex<BTreeMap<&'static str, Arc<Histogram>>>,
}

impl Journal {
    /// A journal that tells this log.
    pub fn new(audit: Audit) -> Self {
        Self { audit, ..Self::default() }
    }

    /// The audit log.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The time between the end of a session and the moment when its key was wiped.
    pub fn wipe_delays(&self) -> &Histogram {
        &self.wipe_delays
    }

    /// How long exchanges took, by how they ended.
    pub fn exchanges(&self) -> BTreeMap<&'static str, Arc<Histogram>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The daemon serves.
    pub fn daemon_started(&self) {
        self.audit.record(Event::DaemonStarted { version: env!("CARGO_PKG_VERSION") });
    }

    /// The daemon stops.
    pub fn daemon_stopped(&self, sessions_ended: usize, remote_deletions: RemoteCounts) {
        self.audit.record(Event::DaemonStopped { sessions_ended, remote_deletions });
    }

    /// A session was opened.
    pub fn session_created(&self, id: SessionId, row: &Row) {
        let (from_cache, confirmed) = (row.from_cache, row.origin.is_confirmed());
        let domain = row.origin.domain.clone();
        let (key_bits, authenticated) = (row.origin.form.key_bits(), row.origin.authenticated().name());
        let created = Event::SessionCreated { domain, from_cache, key_bits, confirmed, authenticated };
        self.audit.record_of(id, created);
    }

    /// A session was asked for, and for this reason there is none.
    pub fn session_refused(&self, domain: Domain, reason: &'static str) {
        self.audit.record(Event::SessionRefused { domain, reason });
    }

    /// A session's end was put off.
    pub fn session_renewed(&self, id: SessionId, domain: Domain) {
        self.audit.record_of(id, Event::SessionRenewed { domain });
    }

    /// A session was ended, and its key wiped.
    pub fn session_deleted(&self, id: SessionId, domain: Domain) {
        self.audit.record_of(id, Event::SessionDeleted { domain });
    }

    /// A session came to its end, and its key was wiped so much later.
    pub fn session_expired(&self, id: SessionId, domain: Domain, late: Duration) {
        self.wipe_delays.add(late);
        self.audit.record_of(id, Event::SessionExpired { domain });
    }

    /// A session was ended together with all others, and its key wiped.
    pub fn session_dropped(&self, id: SessionId, domain: Domain) {
        self.audit.record_of(id, Event::SessionDropped { domain });
    }

    /// Cached keys, of a domain or all there were, were removed because somebody wanted that.
    pub fn keys_forgotten(&self, domain: Option<Domain>, count: usize) {
        self.audit.record(Event::KeysForgotten { domain, count });
    }

    /// A Content Server has shown that it has wiped a key or a resumption; this many are left.
    pub fn remote_deletion_confirmed(&self, id: KeyId, server: &ServerName, remote_deletions: RemoteCounts) {
        let (id, server) = (id.to_string(), server.to_string());
        self.audit.record(Event::RemoteDeletionConfirmed { id, server, remote_deletions });
    }

    /// A Content Server has not shown that before the lifetime was over.
    pub fn remote_deletion_given_up(&self, id: KeyId, server: &ServerName, remote_deletions: RemoteCounts) {
        let (id, server) = (id.to_string(), server.to_string());
        self.audit.record(Event::RemoteDeletionGivenUp { id, server, remote_deletions });
    }

    /// An exchange ended with this outcome.
    pub fn exchange_ended(&self, outcome: &'static str, took: Duration) {
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        exchanges.entry(outcome).or_default().add(took);
    }

    /// A request was refused at the gate, by the rule of this name.
    pub fn request_refused(&self, rule: &'static str) {
        self.audit.record(Event::RequestRefused { rule, count: 1 });
    }
}

//! Reports everything that happens in the daemon, in one place: to the audit log, to the activity shown to people,
//! and to the counts that `/metrics` shows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rke_host::monitored::LastReload;
use rke_proto::handshake::{ID_LEN, KeyId};

use crate::Domain;
use crate::activity::{Activity, How, Number, Subject};
use crate::audit::{Audit, Event};
use crate::histogram::Histogram;
use crate::model::remote_deletion::RemoteCounts;
use crate::model::search::Search;
use crate::model::server_name::ServerName;
use crate::model::session_id::SessionId;
use crate::model::viewer::Page;
use crate::store::SessionInfo;

/// The journal. By default it has no audit log.
#[derive(Default)]
pub struct Journal {
    audit: Audit,
    activity: Activity,
    wipe_delays: Histogram,
    exchanges: Mutex<BTreeMap<&'static str, Arc<Histogram>>>,
    last_reload: LastReload,
}

impl Journal {
    /// A journal that writes to this audit log.
    pub fn new(audit: Audit) -> Self {
        Self { audit, ..Self::default() }
    }

    /// The audit log.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The latest events.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// The time between the end of a session and the moment when its key was wiped.
    pub fn wipe_delays(&self) -> &Histogram {
        &self.wipe_delays
    }

    /// How long exchanges took, by outcome.
    pub fn exchanges(&self) -> BTreeMap<&'static str, Arc<Histogram>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the last reload of the configuration went.
    pub fn last_reload(&self) -> &LastReload {
        &self.last_reload
    }

    /// The daemon has started to serve.
    pub fn daemon_started(&self) {
        self.audit.record(Event::DaemonStarted { version: env!("CARGO_PKG_VERSION") });
        self.activity.daemon_started();
    }

    /// The daemon stops.
    pub fn daemon_stopped(&self, sessions_ended: usize, remote_deletions: RemoteCounts) {
        self.audit.record(Event::DaemonStopped { sessions_ended, remote_deletions });
    }

    /// A session was opened, by this page if a page opened it.
    pub fn session_created(&self, id: SessionId, row: &SessionInfo, page: Option<Page>) {
        let (from_cache, confirmed) = (row.from_cache, row.origin.is_confirmed());
        let domain = row.origin.domain.clone();
        let subject = Subject { session: id, domain: domain.clone(), page };
        let (key_bits, authenticated) = (row.origin.form.key_bits(), row.origin.authenticated().name());
        let created = Event::SessionCreated { domain, from_cache, key_bits, confirmed, authenticated };
        self.audit.record_of(*id.as_bytes(), created);
        self.activity.session_created(subject, from_cache);
    }

    /// A request for a session, by this page if a page made it, failed for this reason.
    pub fn session_refused(&self, domain: Domain, page: Option<Page>, reason: &'static str) {
        self.audit.record(Event::SessionRefused { domain: domain.clone(), reason });
        self.activity.session_refused(domain, page, reason);
    }

    /// A session's expiry was postponed.
    pub fn session_renewed(&self, subject: Subject) {
        self.audit
            .record_of(*subject.session.as_bytes(), Event::SessionRenewed { domain: subject.domain.clone() });
        self.activity.session_renewed(subject);
    }

    /// A session's key has reached its encryption limit. Called for each further attempt to use it.
    pub fn session_used_up(&self, subject: Subject) {
        self.activity.session_used_up(subject);
    }

    /// A session has ended in this way, and its key was wiped. `deletion` is the key's name at the other end, if that
    /// is asked to wipe it too.
    pub fn session_ended(&self, subject: Subject, how: How, deletion: Option<[u8; ID_LEN]>) -> Number {
        let domain = subject.domain.clone();
        let event = match how {
            How::Request | How::RequestForAll => Event::SessionDeleted { domain },
            How::Expiry => Event::SessionExpired { domain },
            How::Drop => Event::SessionDropped { domain },
        };
        self.audit.record_of(*subject.session.as_bytes(), event);
        self.activity.session_ended(subject, how, deletion)
    }

    /// A session expired, and its key was wiped this much later.
    pub fn session_expired(&self, subject: Subject, deletion: Option<[u8; ID_LEN]>, late: Duration) {
        self.wipe_delays.add(late);
        self.session_ended(subject, How::Expiry, deletion);
    }

    /// Memory was searched for the key of a session that has ended.
    pub fn memory_searched(&self, ended: Number, search: Search) {
        self.activity.memory_searched(ended, search);
    }

    /// Keys with this label were derived from a session's key and have left the daemon.
    pub fn keys_exported(&self, id: SessionId, domain: Domain, label: &str, count: usize) {
        self.audit.record_of(*id.as_bytes(), Event::KeysExported { domain, label: label.to_owned(), count });
    }

    /// Cached keys, of one domain or all, were removed on request.
    pub fn keys_forgotten(&self, domain: Option<Domain>, count: usize) {
        self.audit.record(Event::KeysForgotten { domain: domain.clone(), count });
        self.activity.keys_forgotten(domain, count);
    }

    /// A Content Server has proven that it wiped a key or a resumption. `remote_deletions` are the counts afterwards.
    pub fn remote_deletion_confirmed(&self, id: KeyId, server: &ServerName, remote_deletions: RemoteCounts) {
        self.activity.remote_deletion_confirmed(id.0);
        let (id, server) = (id.to_string(), server.to_string());
        self.audit.record(Event::RemoteDeletionConfirmed { id, server, remote_deletions });
    }

    /// A Content Server has not proven that before the lifetime was over.
    pub fn remote_deletion_given_up(&self, id: KeyId, server: &ServerName, remote_deletions: RemoteCounts) {
        self.activity.remote_deletion_given_up(id.0);
        let (id, server) = (id.to_string(), server.to_string());
        self.audit.record(Event::RemoteDeletionGivenUp { id, server, remote_deletions });
    }

    pub fn exchange_ended(&self, outcome: &'static str, took: Duration) {
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        exchanges.entry(outcome).or_default().add(took);
    }

    /// A request was rejected at the gate, by the rule of this name.
    pub fn request_refused(&self, rule: &'static str) {
        self.audit.record(Event::RequestRefused { rule, count: 1 });
        self.activity.request_refused(rule);
    }
}

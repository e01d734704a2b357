//! A node: a store, and what holds its copies.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rke_secret::Secret;
use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval};

use super::server::Server;
use crate::fault::Fault;
use crate::lock::lock;
use crate::*;

pub(crate) const DOMAIN: &str = "content.rke.test";
pub(crate) const DESCRIPTION: &[u8] = b"a description in the clear";
pub(crate) const FAREWELL: &[u8] = b"a farewell in the clear";

pub(crate) struct Node {
    pub(crate) store: Store,
    pub(crate) copies: Arc<Copies>,
    pub(crate) ended: Arc<Mutex<Vec<Heard>>>,
}

/// What a node heard about a record that has ended.
#[derive(Clone)]
pub(crate) struct Heard {
    pub(crate) id: [u8; 16],
    pub(crate) ending: Ending,
    pub(crate) rest: EndedRecord,
}

/// The copies of a node.
#[derive(Default)]
pub(crate) struct Copies(Mutex<HashMap<Id, (Secret<32>, Held)>>);

impl Holder for Copies {
    fn wipe(&self, id: &Id) {
        lock(&self.0).remove(id);
    }

    fn wipe_and_search(&self, id: &Id) -> Option<Searching> {
        self.wipe(id);
        Some(Box::pin(std::future::ready(Some(SEARCH))))
    }
}

/// What each node finds.
pub(crate) const SEARCH: Search = Search { scanned_bytes: 1000, hits: 0 };

impl Copies {
    /// The use of a copy, if the node may use it now.
    pub(crate) fn can_use(&self, id: &Id) -> bool {
        lock(&self.0).get(id).is_some_and(|(_, held)| BootTime::now() < held.until)
    }
}

/// What all nodes of a test share.
pub(crate) struct Site {
    pub(crate) server: Server,
    _folder: TempDir,
    pub(crate) settings: Settings,
}

impl Site {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let (server, folder) = (Server::start(arguments), tempfile::tempdir().expect("a folder"));
        let key_file: PathBuf = folder.path().join("store.key");
        key_file::add_key(&key_file).expect("a key");
        let addresses = Addresses { urls: vec![server.url()], deployment: crate::Deployment::Single };
        let settings =
            Settings { addresses, key_file, role: Role::Daemon, limits: limits(), settle: Duration::ZERO };
        Self { server, _folder: folder, settings }
    }

    /// No hold of its nodes ends by itself while a test runs.
    pub(crate) fn with_long_holds() -> Self {
        let mut site = Self::new(&[]);
        site.settings.limits.hold = Duration::from_secs(10);
        site
    }

    pub(crate) async fn node(&self) -> Node {
        self.node_with(self.settings.clone(), None).await.expect("a node")
    }

    pub(crate) async fn broken_node(&self, fault: Fault) -> Node {
        self.node_with(self.settings.clone(), Some(fault)).await.expect("a node")
    }

    pub(crate) async fn node_with(
        &self,
        settings: Settings,
        fault: Option<Fault>,
    ) -> Result<Node, OpenStoreError> {
        let (copies, ended) = (Arc::new(Copies::default()), Arc::new(Mutex::new(Vec::new())));
        let (holder, noted) = (Arc::<Copies>::clone(&copies), Arc::clone(&ended));
        let on_ended: OnEnded =
            Box::new(move |id, ending, rest| lock(&noted).push(Heard { id: id.0, ending, rest }));
        let (store, _) = match fault {
            Some(fault) => Store::with_fault(settings, holder, on_ended, fault).await?,
            None => Store::open(settings, holder, on_ended).await?,
        };
        Ok(Node { store, copies, ended })
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        max: 1000,
        ttl: Duration::from_secs(600),
        max_lifetime: Duration::from_secs(3600),
        idle: None,
        hold: Duration::from_secs(1),
        messages: 1 << 32,
        bytes: 1 << 50,
    }
}

pub(crate) fn secret() -> Secret<32> {
    Secret::random().expect("a secret")
}

impl Node {
    pub(crate) async fn create(&self) -> Result<Id, StoreError> {
        self.create_for(DOMAIN, &secret()).await
    }

    pub(crate) async fn create_for(&self, domain: &str, secret: &Secret<32>) -> Result<Id, StoreError> {
        let (description, farewell) = (DESCRIPTION, Some(FAREWELL));
        let new = NewRecord { id: None, secret, domain, description, farewell };
        self.store.create(new).await.map(|created| created.id)
    }

    /// Fetches a key and keeps a copy for as long as it may.
    pub(crate) async fn hold(&self, id: &Id) -> Result<Held, StoreError> {
        self.hold_for(id, Need::default()).await
    }

    pub(crate) async fn hold_for(&self, id: &Id, need: Need) -> Result<Held, StoreError> {
        let install = |fetched: Fetched| {
            fetched.install(|secret, held| {
                lock(&self.copies.0).insert(*id, (secret, held));
                held
            })
        };
        self.store.bring(id, need, install).await
    }

    /// Uses the copy that it has, or fetches one.
    pub(crate) async fn can_use(&self, id: &Id) -> bool {
        self.copies.can_use(id) || self.hold(id).await.is_ok()
    }

    pub(crate) async fn count_if_up(&self) -> Option<u64> {
        self.store.count().await.ok().map(|count| count.total)
    }

    pub(crate) async fn count(&self) -> u64 {
        self.store.count().await.expect("a count").total
    }
}

/// Asks again and again for up to a minute.
pub(crate) async fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let begin = Instant::now();
    let mut ticks = interval(Duration::from_millis(5));
    // A late tick that came at once would let nothing else run where asking takes longer.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !is_so().await {
        assert!(begin.elapsed() < Duration::from_secs(60), "it never came to it");
        ticks.tick().await;
    }
}

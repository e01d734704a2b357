//! What drops everything while sessions are opened.

use std::sync::mpsc;

use rke_host::data_dir::{DataDir, Role, Sharing};
use rke_proto::directory::Directory;
use rke_proto::reach::Reach;
use tempfile::TempDir;

use super::*;
use crate::discovery::{Discovery, Validation};
use crate::exchange::Rules;
use crate::guardians::AgreedDirectory;
use crate::store::samples::session;
use crate::trust::KnownServers;

/// No sessions yet, and the folder that they are kept in.
fn sessions() -> (TempDir, Arc<Sessions>) {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config::new(dir.path().join("daemon"));
    let data_dir =
        DataDir::open(&config.fixed.data_dir, Role::Daemon, Sharing::Alone).expect("a data directory");
    let validation = Validation::load(config.fixed.dnssec, None).expect("no validation");
    let discovery = Discovery::new(None, validation, Directory::default(), Reach::Everywhere);
    let known = KnownServers::open(&config.fixed.data_dir, Vec::new()).expect("a file");
    let exchange =
        Arc::new(Exchange::new(discovery, AgreedDirectory::none(), known, Rules::of(&config.reloadable)));
    let journal = Arc::<Journal>::default();
    let limits = keys::Limits { ttl_hours: config.reloadable.key_ttl_hours, max: config.reloadable.max_keys };
    let keystore = Arc::new(Keystore::open(Arc::new(data_dir), limits).expect("a cache"));
    let remote = RemoteDeletions::open(&config.fixed.data_dir, Arc::clone(&exchange), Arc::clone(&journal));
    let remote = Arc::new(remote.expect("a file"));
    (dir, Arc::new(Sessions::new(config, keystore, exchange, remote, None, journal)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_opens_while_all_are_dropped_is_dropped_too() {
    let (dir, sessions) = sessions();
    let [old, new] = [(); 2].map(|()| SessionId::random().expect("random bytes"));
    sessions.store.insert(old, session(7)).expect("room");
    let ((begun, has_begun), (go_on, goes_on)) = (mpsc::channel(), mpsc::channel());
    let creation = tokio::spawn({
        let sessions = Arc::clone(&sessions);
        let store = Arc::clone(&sessions);
        // Its last step, which nothing calls off.
        let insert = async move |_leave| {
            begun.send(()).expect("somebody waits");
            goes_on.recv().expect("somebody lets it go on");
            store.store.insert(new, session(7)).is_ok()
        };
        async move { sessions.creations.run(insert).await }
    });
    has_begun.recv().expect("a creation");
    let dropping = tokio::spawn({
        let sessions = Arc::clone(&sessions);
        async move { sessions.drop_everything().await }
    });
    while sessions.store.row(old).is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    go_on.send(()).expect("a creation");
    dropping.await.expect("no panic").expect("dropped");
    assert_eq!(creation.await.expect("no panic"), Some(true), "the session was opened");
    assert_eq!(sessions.store.count().total, 0);
    drop(dir);
}

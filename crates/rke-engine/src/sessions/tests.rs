//! Sessions that are being opened while everything is dropped, or while another exchange runs.

use std::pin::pin;
use std::sync::mpsc;

use futures_util::poll;
use rke_host::data_dir::{DataDir, Role, Sharing};
use rke_proto::directory::Directory;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::exchange::tests::exchange;
use crate::model::clock::Reading;
use crate::model::viewer::Viewer;
use crate::settings::OnSuspend;
use crate::store::samples::session;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// Sessions without any session yet, and the folder that their files are in.
fn sessions() -> (TempDir, Arc<Sessions>) {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config::new(dir.path().join("daemon"));
    let data_dir =
        DataDir::open(&config.fixed.data_dir, Role::Daemon, Sharing::Alone).expect("a data directory");
    let exchange = Arc::new(exchange(&config));
    let journal = Arc::<Journal>::default();
    let limits = keys::Limits { ttl_hours: config.reloadable.key_ttl_hours, max: config.reloadable.max_keys };
    let keystore = Arc::new(Keystore::open(Arc::new(data_dir), limits).expect("a cache"));
    let remote = RemoteDeletions::open(&config.fixed.data_dir, Arc::clone(&exchange), Arc::clone(&journal));
    let remote = Arc::new(remote.expect("a file"));
    let parts = Parts { keystore, exchange, remote, wallet_root: None, journal };
    (dir, Arc::new(Sessions::new(config, parts)))
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
        // The creation's last step, which cannot be called off.
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
    let is_dropped = async {
        while sessions.store.row(old).is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, is_dropped).await.expect("in time");
    go_on.send(()).expect("a creation");
    dropping.await.expect("no panic").expect("dropped");
    assert_eq!(creation.await.expect("no panic"), Some(true), "the session was opened");
    assert_eq!(sessions.store.count().total, 0);
    drop(dir);
}

#[tokio::test]
async fn of_those_that_notice_a_sleep_at_one_time_the_later_ones_drop_nothing_that_was_opened_since() {
    let (_dir, sessions) = sessions();
    let config = Reloadable { on_suspend: OnSuspend::DropEverything, ..Reloadable::default() };
    sessions.change(config, Directory::default(), None);
    let [old, new] = [(); 2].map(|()| SessionId::random().expect("random bytes"));
    sessions.store.insert(old, session(7)).expect("room");
    let Reading { moment, awake } = Reading::now();
    let now = Reading { moment: moment.after(Duration::from_secs(100)), awake };
    // Both wait for the work that still holds a creation's leave.
    let leave = sessions.creations.run(async |leave| leave).await.expect("not called off");
    let (mut first, mut second) =
        (pin!(sessions.drop_after_sleep(&now)), pin!(sessions.drop_after_sleep(&now)));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    assert!(sessions.store.row(old).is_none());
    drop(leave);
    first.await;
    sessions.store.insert(new, session(7)).expect("room");
    second.await;
    assert!(sessions.store.row(new).is_some() && !sessions.has_slept(&now));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_another_exchange_of_the_domain_is_told_so() {
    let (dir, sessions) = sessions();
    let domain = Domain::new("content.example.com").expect("a domain");
    let place = sessions.domain_queues.queue(&domain);
    let _running = place.wait().await;
    let wallet = dir.path().to_owned();
    let opened = sessions.create(domain, wallet, KeyChoice::Cached, &Viewer::Program).await;
    let error = opened.expect_err("no turn").to_string();
    assert_eq!(
        error,
        "Another exchange for content.example.com is still running; try again in a few seconds"
    );
}

#[tokio::test]
async fn a_cached_key_that_cannot_be_found_is_not_called_removed() {
    let (_dir, sessions) = sessions();
    let forgotten = sessions.forget(None, CachedKey::Forget, &Viewer::Program).await;
    let error = forgotten.expect_err("nobody knows the domain").to_string();
    assert!(error.starts_with("The session is deleted, but") && error.contains("rke keys forget"), "{error}");
    sessions.forget(None, CachedKey::Keep, &Viewer::Program).await.expect("nothing to remove");
}

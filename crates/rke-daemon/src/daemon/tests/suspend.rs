//! What a client sees on its connection after the machine has slept.

use std::net::SocketAddr;
use std::time::Duration;

use rke_engine::model::clock::Reading;
use rke_engine::model::session_id::SessionId;
use rke_engine::settings::{Config, OnSuspend};
use rke_engine::store::samples::session;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Daemon;
use crate::http::routes;

/// A daemon with a session.
struct Stage {
    daemon: Daemon,
    id: SessionId,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn new(on_suspend: OnSuspend) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = Config::new(dir.path().join("daemon"));
        config.fixed.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0)).into()];
        config.reloadable.on_suspend = on_suspend;
        let daemon = Daemon::start(config).await.expect("a daemon");
        let id = SessionId::random().expect("random bytes");
        daemon.sessions().insert(id, session(7)).expect("room");
        Self { daemon, id, _dir: dir }
    }

    /// The status of the response to a GET.
    async fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(self.daemon.address()).await.expect("connected");
        let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer[9..]).into_owned()
    }

    /// A request that takes the fast path.
    async fn encrypt(&self) -> String {
        self.get(&format!("{}?session_id={}&plaintext=YQ==", routes::ENCRYPT.path, self.id)).await
    }

    /// A request that goes through the router.
    async fn show(&self) -> String {
        self.get(&routes::SHOW.with_id(self.id)).await
    }

    fn sleep(&self) {
        self.daemon.sessions().make_up_sleep(Duration::from_secs(100));
    }
}

#[tokio::test]
async fn no_frequent_request_uses_a_key_that_the_machine_has_slept_with() {
    let stage = Stage::new(OnSuspend::DropEverything).await;
    assert_eq!(stage.encrypt().await, "200");
    stage.sleep();
    assert_eq!(stage.encrypt().await, "404");
    stage.daemon.sessions().insert(stage.id, session(7)).expect("room");
    assert_eq!(stage.encrypt().await, "200", "once is enough");
    stage.daemon.stop().await;
}

#[tokio::test]
async fn no_other_request_uses_a_key_that_the_machine_has_slept_with() {
    let stage = Stage::new(OnSuspend::DropEverything).await;
    assert_eq!(stage.show().await, "200");
    stage.sleep();
    assert_eq!(stage.show().await, "404");
    stage.daemon.sessions().insert(stage.id, session(7)).expect("room");
    assert_eq!(stage.show().await, "200", "once is enough");
    stage.daemon.stop().await;
}

#[tokio::test]
async fn keys_outlive_a_sleep_where_the_settings_keep_them() {
    let stage = Stage::new(OnSuspend::Keep).await;
    stage.sleep();
    assert_eq!((stage.encrypt().await.as_str(), stage.show().await.as_str()), ("200", "200"));
    let sessions = stage.daemon.sessions();
    assert!(!sessions.has_slept(&Reading::now()), "frequent requests are answered at once again");
    stage.daemon.stop().await;
}

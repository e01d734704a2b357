//! Changing the settings of a daemon that runs: SIGHUP has it read its configuration again.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::real::{Real, get_with};

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_configuration_holds_at_once_and_sessions_live_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rke.toml");
    write(&path, "max-sessions = 1\n");
    let real = Real::start(&["--config", path.to_str().expect("UTF-8")]).await;
    let id = real.create_id();
    let foreign = get_with("/api/rke/status", "host: rke.example\nx-rke-request: 1");
    assert_eq!((real.get(&real.create_target()).status, real.send(&foreign).status), (429, 421));
    write(
        &path,
        "max-sessions = 2\nallow-host = ['rke.example']\nsession-ttl = 2\nmax-keys = 0\nlog = 'debug'\n",
    );
    let log = real.reload();
    assert!(log.contains("the configuration was read again") && !log.contains("new start"), "{log}");
    assert!(real.lives(&id));
    assert_eq!(real.send(&foreign).status, 200);
    let status = real.get("/api/rke/status").json();
    assert_eq!(
        (&status["sessions"]["max"], &status["config"]["session_timeout_sec"]),
        (&2.into(), &2.into())
    );
    assert_eq!(status["keystore"]["total"], 0, "the cache has no room any more");
    let short = real.create_id();
    std::thread::sleep(Duration::from_millis(2300));
    assert!(real.lives(&id) && !real.lives(&short), "an older session keeps its time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_changes_nothing_and_what_takes_a_new_start_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rke.toml");
    write(&path, "max-sessions = 1\n");
    let real = Real::start(&["--config", path.to_str().expect("UTF-8")]).await;
    let id = real.create_id();
    for mistake in ["max-sessions = 5\nunknown = 1\n", "max-sessions = 5\nwallet-root = '/does/not/exist'\n"]
    {
        write(&path, mistake);
        let log = real.reload();
        assert!(log.contains("the configuration is not changed"), "{log}");
        assert_eq!(real.get("/api/rke/status").json()["sessions"]["max"], 1);
    }
    write(&path, "max-sessions = 5\nrequire-token = true\nlog-format = 'text'\n");
    let log = real.reload();
    assert!(log.contains("require-token") && log.contains("takes a new start"), "{log}");
    assert_eq!(real.get("/api/rke/status").json()["sessions"]["max"], 5, "without a token, as before");
    assert!(real.lives(&id));
}

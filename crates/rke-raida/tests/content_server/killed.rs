//! A Content Server that is killed, with a command behind it. It runs in a process of its own: this program again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rke_host::framing::records;
use rke_raida::content_server::{ContentServer, ServerConfig};

use crate::client::{Peer, gone, key_ring, running, within};
use crate::cuts::NOTES_ITS_END;

const FOLDER: &str = "RKE_TEST_FOLDER";

/// Not a test: what the other process does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that another test kills"]
async fn serves_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = std::path::PathBuf::from(folder);
    let command = NOTES_ITS_END.replace("$DIR", folder.to_str().expect("UTF-8"));
    let (keys, _) = key_ring(&folder.join("keys"));
    let server = ContentServer::start(ServerConfig::new(running(&command)), keys).await;
    let server = server.expect("a Content Server");
    println!("\nlistens on {}", server.address());
    std::future::pending::<()>().await;
}

/// Killed with this.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_never_sees_an_end_when_the_content_server_is_killed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (keys, secrets) = key_ring(&dir.path().join("keys"));
    drop(keys);
    let mut other = Command::new(std::env::current_exe().expect("this program"));
    other.args(["--exact", "killed::serves_until_it_is_killed", "--ignored", "--nocapture"]);
    other.env(FOLDER, dir.path()).stdout(Stdio::piped());
    let mut other = Killed(other.spawn().expect("started"));
    let lines = BufReader::new(other.0.stdout.take().expect("an output")).lines();
    let address = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("listens on ")?.parse().ok());
    let peer = Peer::new(address.expect("an address"), secrets);
    let session = peer.open().await;
    let (stream, accepted) = session.attach_silently().await;
    let (mut reader, mut writer) = records(stream, accepted.transport);
    writer.data(b"DELETE FROM users").await.expect("sent");
    let file = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
    within(async {
        while file("input").as_deref() != Some("DELETE FROM users") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let processes = ["command", "child"].map(|name| {
        let number =
            file(name).and_then(|text| text.trim().parse().ok()).and_then(rustix::process::Pid::from_raw);
        number.expect("a process")
    });
    other.0.kill().expect("killed");
    for process in processes {
        gone(process).await;
    }
    assert_eq!(file("ended"), None);
    assert!(within(reader.next()).await.is_err(), "to the client it is a cut too");
}

//! The program itself, with its sandbox: it reaches the store, and says why where it cannot start.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::servers::free_port;
use crate::support::{Answer, again, network};

use super::stage::{CS_ID, Redis};

fn rke(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rke")).args(arguments).output().expect("rke runs")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(data: &Path, redis: &Redis, key_file: &Path, metrics: u16) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
    command.args(["content-server", "serve", "--cs-id", CS_ID, "--data-dir"]).arg(data);
    command.args(["--listen", "127.0.0.1:0", "--store", &redis.url(), "--store-key-file"]).arg(key_file);
    command.args(["--metrics", &format!("127.0.0.1:{metrics}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Running(command.spawn().expect("rke runs"))
}

async fn ready(metrics: u16) -> Result<Answer, String> {
    let request = "GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    match std::net::TcpStream::connect(("127.0.0.1", metrics)) {
        Ok(_) => Ok(crate::support::raw(([127, 0, 0, 1], metrics).into(), request).await),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_reaches_the_store_from_its_sandbox_and_comes_back_to_it() {
    let (mut redis, folder) = (Redis::start(), tempfile::tempdir().expect("a folder"));
    let mut network = network(&folder).await;
    network.stop_content_server().await;
    let key_file = folder.path().join("store.key");
    let made = rke(&["store", "key", key_file.to_str().expect("UTF-8")]);
    assert!(made.status.success(), "{}", errors(&made));
    let metrics = free_port();
    let _server = serve(&network.server_data_dir(), &redis, &key_file, metrics);
    let is = async |status: u16| {
        again(async || match ready(metrics).await {
            Ok(answer) if answer.status == status => Ok(answer.body),
            other => Err(format!("{other:?}")),
        })
        .await
    };
    is(200).await;
    redis.kill();
    let body = is(503).await;
    assert!(body.contains("the shared store cannot be used"), "{body}");
    redis.start_again();
    is(200).await;

    let rotated =
        rke(&["store", "key", key_file.to_str().expect("UTF-8"), "--rotate", "--store", &redis.url()]);
    assert!(rotated.status.success(), "{}", errors(&rotated));
    let keys = std::fs::metadata(&key_file).expect("a file").len() / 32;
    assert_eq!(keys, 2, "the key that may be sealing now stays");
    network.stop().await;
}

#[test]
fn what_does_not_go_together_is_refused_with_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let serve = ["content-server", "serve", "--cs-id", CS_ID, "--data-dir", data.to_str().expect("UTF-8")];
    let store = ["--store", "redis://127.0.0.1:1", "--store-key-file", "/nothing"];
    for (more, words) in [
        (&["--store", "redis://127.0.0.1:1"][..], "--store needs --store-key-file"),
        (&["--store", "redis://192.0.2.1:1", "--store-key-file", "/nothing"], "not encrypted"),
        (&[&store[..], &["--etsi", "127.0.0.1:0", "--etsi-sae", "alice"]].concat(), "--store and --etsi"),
        (&["--hold", "500"], "--hold has no effect"),
    ] {
        let refused = rke(&[&serve[..], more].concat());
        assert!(refused.status.code() == Some(2) && errors(&refused).contains(words), "{}", errors(&refused));
    }
    let key_file = folder.path().join("store.key");
    let rotate = rke(&["store", "key", key_file.to_str().expect("UTF-8"), "--rotate"]);
    assert!(rotate.status.code() == Some(2) && errors(&rotate).contains("--rotate needs --store"));
}

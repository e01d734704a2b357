//! The recipes for TLS in `docs/keys-for-others.md`, as they stand there, with the real programs.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rke_raida::content_server::KeyFormat;

use super::{Files, command, psk, stage_with};
use crate::documents::blocks_of;
use crate::servers::free_port;
use crate::support::again_blocking;

/// The blocks of a section of the document, with the test's files and port.
fn blocks(section: &str, files: &Files, port: u16) -> Vec<String> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/keys-for-others.md");
    let text = fs::read_to_string(&document).expect("a document");
    let (_, rest) = text.split_once(&format!("\n### {section}\n")).expect("the section");
    let text = rest.split_once("\n## ").map_or(rest, |(text, _)| text);
    let text = text.split_once("\n### ").map_or(text, |(text, _)| text);
    let own = |text: &str| {
        let text = text.replace("/run/keys", &files.path("").display().to_string());
        text.replace("server.example.com", "127.0.0.1").replace("4433", &port.to_string())
    };
    blocks_of(&document, text).into_iter().map(|block| own(&block.text)).collect()
}

fn bash(script: &str) -> Command {
    let mut bash = Command::new("bash");
    bash.args(["-e", "-u", "-o", "pipefail", "-c", script]);
    bash
}

/// A server in a process. Dropping it kills it.
struct Server(Child);

impl Server {
    fn start(script: &str, port: u16) -> Self {
        // It ends when its input does.
        let mut command = bash(&format!("exec {script}"));
        let server = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self(server.expect("bash runs"));
        again_blocking(|| TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string()));
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_shakes_hands_with_the_key_of_a_session_and_not_with_that_of_another() {
    let (files, port) = (Files::new(), free_port());
    let blocks = blocks("OpenSSL", &files, port);
    let [_, server, client] = &blocks[..] else { panic!("{blocks:?}") };
    let stage = stage_with(command(&files.keep("server.pem"), KeyFormat::OpenSsl)).await;
    let renew = async || {
        let (code, log) =
            psk(&stage, &files.keep("client.pem"), &["--format", "openssl", "--name", "web"]).await;
        assert_eq!(code, 0, "{log}");
    };
    renew().await;
    let kept = files.read("client.pem");
    let running = Server::start(server, port);
    let shaken = bash(client).stdin(Stdio::null()).output().expect("bash runs");
    assert!(shaken.status.success() && said(&shaken).contains("Reused, TLSv1.3"), "{}", said(&shaken));
    drop(running);
    renew().await;
    fs::write(files.path("client.pem"), kept).expect("written");
    let running = Server::start(server, port);
    let refused = bash(client).stdin(Stdio::null()).output().expect("bash runs");
    assert!(!said(&refused).contains("Reused"), "{}", said(&refused));
    drop(running);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stunnel_carries_a_connection_with_the_key_of_a_session() {
    let (files, port) = (Files::new(), free_port());
    let blocks = blocks("stunnel", &files, port);
    let [_, server, client] = &blocks[..] else { panic!("{blocks:?}") };
    let stage = stage_with(command(&files.keep("server.txt"), KeyFormat::Stunnel)).await;
    let (code, log) = psk(&stage, &files.keep("client.txt"), &["--format", "stunnel", "--name", "web"]).await;
    assert_eq!(code, 0, "{log}");
    assert_eq!(files.read("client.txt"), files.read("server.txt"));
    let (behind, local) = (free_port(), free_port());
    let own = |text: &str| text.replace("9000", &behind.to_string()).replace("7000", &local.to_string());
    let listener = TcpListener::bind(("127.0.0.1", behind)).expect("a port");
    let _server = Server::start(&own(server), port);
    let _client = Server::start(&own(client), local);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"hello\n");
        }
    });
    again_blocking(|| {
        let mut stream = TcpStream::connect(("127.0.0.1", local)).map_err(|error| error.to_string())?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map_err(|error| error.to_string())?;
        (text == "hello\n").then_some(()).ok_or(text)
    });
    stage.stop().await;
}

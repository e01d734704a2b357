//! The receivers of data through a tunnel, and how each of them interprets what arrived.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use rke_client::{Client, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The data that a receiver sends.
pub(super) const DATA: &str = "DELETE FROM users WHERE id = 7";

/// How long it may take until a receiver notices a cut.
const LIMIT: Duration = Duration::from_secs(120);

/// The program around the Go client. It replaces the file of the last test run, because a temporary folder would
/// never be removed.
static GO: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dir = tempfile::tempdir_in(target).expect("a folder");
    let (built, program) = (dir.path().join("program"), target.join("cuts-go"));
    let mut build = Command::new("go");
    // The build does not need Git's state, and querying it would disturb other work there.
    build.args(["build", "-buildvcs=false", "-o"]).arg(&built).current_dir(source("go"));
    let output = build.output().unwrap_or_else(|error| panic!("go is needed for this test: {error}"));
    assert!(output.status.success(), "go build: {}", String::from_utf8_lossy(&output.stderr));
    // Another test run may still be using the old file. Renaming does not affect it.
    std::fs::rename(built, &program).expect("moved");
    program
});

/// A file or folder next to this one.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/cuts").join(name)
}

/// What happens to the data that a receiver sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// The data ends.
    Whole,
    /// More could follow, but nothing does.
    Open,
}

/// How a receiver interprets a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is complete, and the command succeeded.
    Whole(String),
    /// It is complete, and the command failed.
    Status(i32),
    /// It is not complete.
    Cut,
    /// Nothing arrived except an error.
    Refused,
}

/// A client of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiver {
    /// Plain HTTP.
    Http,
    /// Plain HTTP with `TE: trailers`.
    HttpWithTrailers,
    /// `rke connect`.
    Connect,
    /// The Rust client.
    Rust,
    /// The JavaScript client, in Node.
    Js,
    /// The Go client.
    Go,
    /// The Python client, for blocking code.
    Python,
    /// The Python client, for asyncio.
    PythonAsyncio,
}

impl Receiver {
    pub(super) const ALL: [Self; 8] = [
        Self::Http,
        Self::HttpWithTrailers,
        Self::Connect,
        Self::Rust,
        Self::Js,
        Self::Go,
        Self::Python,
        Self::PythonAsyncio,
    ];

    /// Whether it can distinguish a failed command from a cut. `fetch` shows no trailers.
    pub(super) fn learns_status(self) -> bool {
        !matches!(self, Self::Http | Self::Js)
    }

    /// Builds what takes time, before there are sessions that can expire.
    pub(super) fn prepare() {
        LazyLock::force(&GO);
    }

    pub(super) async fn run(self, daemon: SocketAddr, id: &str, input: Input) -> Ended {
        let run = async {
            match self {
                Self::Http => http(daemon, id, "", input).await,
                Self::HttpWithTrailers => http(daemon, id, "te: trailers\r\n", input).await,
                Self::Connect => {
                    let daemon = daemon.to_string();
                    let arguments = ["connect", id, "--daemon", &daemon];
                    program(env!("CARGO_BIN_EXE_rke"), &arguments, input).await
                }
                Self::Rust => rust(daemon, id, input).await,
                Self::Js => {
                    let (script, url) = (source("tunnel.mjs"), format!("http://{daemon}"));
                    program("node", &[utf8(&script), &url, id], input).await
                }
                Self::Go => program(utf8(&GO), &[&daemon.to_string(), id], input).await,
                Self::Python => python("blocking", daemon, id, input).await,
                Self::PythonAsyncio => python("asyncio", daemon, id, input).await,
            }
        };
        timeout(LIMIT, run).await.unwrap_or_else(|_| panic!("{self:?} still waits"))
    }
}

async fn http(daemon: SocketAddr, id: &str, headers: &str, input: Input) -> Ended {
    let mut stream = TcpStream::connect(daemon).await.expect("connected");
    let head = format!(
        "POST /api/rke/session/{id}/tunnel HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}transfer-encoding: chunked\r\n\r\n"
    );
    let end = if input == Input::Whole { "0\r\n\r\n" } else { "" };
    let request = format!("{head}{:x}\r\n{DATA}\r\n{end}", DATA.len());
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut response = Vec::new();
    // A reset is a cut too.
    let _ = stream.read_to_end(&mut response).await;
    let response = String::from_utf8_lossy(&response);
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {response}"));
    match head.starts_with("HTTP/1.1 200 ") {
        true => dechunk(body).unwrap_or(Ended::Cut),
        false => Ended::Refused,
    }
}

/// The data of a chunked body, if it has its last chunk.
fn dechunk(mut body: &str) -> Option<Ended> {
    let mut data = String::new();
    loop {
        let (len, rest) = body.split_once("\r\n")?;
        let len = usize::from_str_radix(len, 16).ok()?;
        if len == 0 {
            let trailers = format!("\r\n{rest}");
            let (trailers, "") = trailers.split_once("\r\n\r\n")? else { return None };
            let status = trailers.to_lowercase();
            let status =
                status.trim().strip_prefix("rke-exit-status: ").and_then(|status| status.parse().ok());
            return Some(match status {
                None | Some(0) => Ended::Whole(data),
                Some(status) => Ended::Status(status),
            });
        }
        data += rest.get(..len)?;
        body = rest.get(len..)?.strip_prefix("\r\n")?;
    }
}

/// Runs a program that reads standard input and writes standard output. Exit code 0 means that everything arrived.
/// 255 means a cut, with a line of reason. Any other code is the command's. No command here ends with 1 or 2: those
/// are for faults of the program itself.
async fn program(name: &str, arguments: &[&str], input: Input) -> Ended {
    let mut child = tokio::process::Command::new(name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{name} is needed for this test: {error}"));
    let mut stdin = child.stdin.take().expect("an input");
    stdin.write_all(DATA.as_bytes()).await.expect("written");
    let open = (input == Input::Open).then_some(stdin);
    let output = child.wait_with_output().await.expect("an output");
    drop(open);
    let log = String::from_utf8_lossy(&output.stderr);
    match ExitStatus::code(&output.status).expect("no signal") {
        0 => Ended::Whole(String::from_utf8_lossy(&output.stdout).into_owned()),
        255 => {
            assert!(log.starts_with("rke: ") && log.lines().count() == 1, "not a line of reason: {log}");
            Ended::Cut
        }
        1 | 2 => panic!("{name}: {log}"),
        status => Ended::Status(status),
    }
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

async fn python(half: &str, daemon: SocketAddr, id: &str, input: Input) -> Ended {
    program("python3", &[utf8(&source("tunnel.py")), half, &daemon.to_string(), id], input).await
}

async fn rust(daemon: SocketAddr, id: &str, input: Input) -> Ended {
    let (mut writer, reader) = duplex(1024);
    writer.write_all(DATA.as_bytes()).await.expect("written");
    let open = (input == Input::Open).then_some(writer);
    let Ok(mut stream) = Client::new(daemon.to_string()).tunnel(id, reader).await else {
        return Ended::Refused;
    };
    let mut data = Vec::new();
    let ended = loop {
        match stream.piece().await {
            Ok(Some(piece)) => data.extend(piece),
            Ok(None) => {
                assert_eq!(stream.exit_status(), Some(0));
                break Ended::Whole(String::from_utf8_lossy(&data).into_owned());
            }
            Err(Error::CommandFailed { status }) => break Ended::Status(status),
            Err(Error::CutShort { .. }) => break Ended::Cut,
            Err(error) => panic!("{error}"),
        }
    };
    drop(open);
    ended
}

//! Asks a running daemon over HTTP.

use std::path::{Path, PathBuf};
use std::{fs, io};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::cli::DaemonOptions;

/// What is escaped in a query value: everything but what RFC 3986 leaves unreserved.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Why the daemon gave no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody listens there.
    #[error(
        "no daemon answers at {address}: {reason}; start one with `rke serve`, or name another with --daemon"
    )]
    NoDaemon {
        /// Where it was looked for.
        address: String,
        /// What the system or HTTP said.
        reason: String,
    },
    /// The token cannot be read.
    #[error("cannot read the daemon's token from {path}: {source}; name its file with --token-file")]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon refused. Its answer is kept for `--json`.
    #[error("{message}")]
    Refused {
        /// The daemon's message, with its details.
        message: String,
        /// The whole answer.
        answer: Value,
    },
}

impl ClientError {
    /// A refusal, from the daemon's answer.
    pub(crate) fn refused(answer: Value) -> Self {
        Self::Refused { message: refusal(&answer), answer }
    }
}

/// The answer to a GET, whatever its status: the text and the JSON.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) json: Value,
}

/// A GET of `path` with these query parameters.
pub(crate) async fn get(
    daemon: &DaemonOptions,
    path: &str,
    parameters: &[(&str, &str)],
) -> Result<Answer, ClientError> {
    let no_daemon = |reason: String| ClientError::NoDaemon { address: daemon.address.clone(), reason };
    let response = send(daemon, Method::GET, &target(path, parameters), Empty::<Bytes>::new()).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(|error| no_daemon(error.to_string()))?;
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let json = serde_json::from_str(&text).map_err(|_| no_daemon("its answer is not JSON".into()))?;
    Ok(Answer { status, text, json })
}

/// The answer to a POST of a body that may go on while the answer comes.
pub(crate) async fn post<B>(
    daemon: &DaemonOptions,
    path: &str,
    body: B,
) -> Result<Response<Incoming>, ClientError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    send(daemon, Method::POST, path, body).await
}

async fn send<B>(
    daemon: &DaemonOptions,
    method: Method,
    target: &str,
    body: B,
) -> Result<Response<Incoming>, ClientError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let no_daemon = |reason: String| ClientError::NoDaemon { address: daemon.address.clone(), reason };
    let (stream, host) = connect(&daemon.address).await.map_err(|error| no_daemon(error.to_string()))?;
    let handshake = hyper::client::conn::http1::handshake(stream).await;
    let (mut sender, connection) = handshake.map_err(|error| no_daemon(error.to_string()))?;
    // It ends with the answer's body.
    tokio::spawn(connection);
    let uri: Uri = target.parse().map_err(|_| no_daemon("not a valid target".into()))?;
    let mut request = Request::builder().method(method).uri(uri).header(HOST, host);
    if let Some(path) = &daemon.token_file {
        request = request.header(AUTHORIZATION, bearer(path)?);
    }
    let request = request.body(body).map_err(|error| no_daemon(error.to_string()))?;
    sender.send_request(request).await.map_err(|error| no_daemon(error.to_string()))
}

/// A connection to the daemon, and the `Host` for requests over it.
async fn connect(address: &str) -> io::Result<(TokioIo<Box<dyn Stream>>, &str)> {
    let (stream, host): (Box<dyn Stream>, &str) = match address.strip_prefix("unix:") {
        Some(path) => (Box::new(UnixStream::connect(path).await?), "localhost"),
        None => (Box::new(TcpStream::connect(address).await?), address),
    };
    Ok((TokioIo::new(stream), host))
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

fn bearer(path: &Path) -> Result<HeaderValue, ClientError> {
    let error = |source| ClientError::Token { path: path.into(), source };
    let token = fs::read_to_string(path).map_err(error)?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| error(io::Error::new(io::ErrorKind::InvalidData, "it does not hold a token")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The same where anything but success is an error.
pub(crate) async fn ask(
    daemon: &DaemonOptions,
    path: &str,
    parameters: &[(&str, &str)],
) -> Result<Answer, ClientError> {
    let answer = get(daemon, path, parameters).await?;
    if answer.status == 200 {
        return Ok(answer);
    }
    Err(ClientError::refused(answer.json))
}

/// The target of a GET.
pub(crate) fn target(path: &str, parameters: &[(&str, &str)]) -> String {
    let encoded = |value| utf8_percent_encode(value, VALUE);
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if pairs.is_empty() { path.into() } else { format!("{path}?{}", pairs.join("&")) }
}

/// A refusal in words: the message, and what each RAIDA did where the daemon says so.
fn refusal(answer: &Value) -> String {
    let mut text = answer["message"].as_str().unwrap_or("the daemon refused without a message").to_owned();
    for fault in answer["faults"].as_array().into_iter().flatten() {
        text += &format!("\n  RAIDA {}: {}", fault["raida"], fault["fault"].as_str().unwrap_or("?"));
    }
    text
}

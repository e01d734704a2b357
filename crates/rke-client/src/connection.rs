//! One request on its own connection, over TCP or a Unix socket.

use std::fs;
use std::io;
use std::path::Path;

use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::{Client, Error};

/// Without a token, a daemon accepts requests under a host name only with this header: a page of another site cannot
/// send it.
const REQUEST: &str = "x-rke-request";

/// Sends a request and waits for the head of the response.
pub(crate) async fn send<B>(
    client: &Client,
    method: Method,
    target: &str,
    headers: HeaderMap,
    body: B,
) -> Result<Response<Incoming>, Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let no_daemon = |reason: String| Error::NoDaemon { address: client.address().into(), reason };
    let (stream, host) = connect(client.address()).await.map_err(|error| no_daemon(error.to_string()))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| no_daemon(error.to_string()))?;
    // The task ends with the response's body.
    tokio::spawn(connection);
    let uri: Uri = target.parse().map_err(|_| no_daemon(format!("{target:?} is not a path")))?;
    let request = Request::builder().method(method).uri(uri).body(body);
    let mut request = request.map_err(|error| no_daemon(error.to_string()))?;
    request.headers_mut().extend(headers_of(client, host)?);
    request.headers_mut().extend(headers);
    sender.send_request(request).await.map_err(|error| no_daemon(reason(&error)))
}

/// The headers of every request.
pub(crate) fn headers_of(client: &Client, host: &str) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    let host = HeaderValue::from_str(host).map_err(|_| Error::Unsendable { header: "host" })?;
    headers.insert(HOST, host);
    headers.insert(REQUEST, HeaderValue::from_static("1"));
    if let Some(path) = client.token_path() {
        headers.insert(AUTHORIZATION, bearer(path)?);
    }
    Ok(headers)
}

/// hyper's message with its cause: alone it says little.
pub(crate) fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error} ({source})"),
        None => error.to_string(),
    }
}

/// A connection to the daemon, and the `Host` for requests over it.
pub(crate) async fn connect(address: &str) -> io::Result<(Box<dyn Transport>, &str)> {
    let (stream, host): (Box<dyn Transport>, &str) = match address.strip_prefix("unix:") {
        Some(path) => (Box::new(UnixStream::connect(path).await?), "localhost"),
        None => (Box::new(TcpStream::connect(address).await?), address),
    };
    Ok((stream, host))
}

pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Transport for S {}

fn bearer(path: &Path) -> Result<HeaderValue, Error> {
    let wrong = |error| Error::Token { path: path.into(), error };
    let invalid = |what| wrong(io::Error::new(io::ErrorKind::InvalidData, what));
    let token = fs::read_to_string(path).map_err(wrong)?;
    let token = Some(token.trim()).filter(|token| !token.is_empty()).ok_or_else(|| invalid("it is empty"))?;
    let mut value =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| invalid("it does not hold a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

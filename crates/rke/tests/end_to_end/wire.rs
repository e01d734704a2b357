//! An HTTP client for bodies. It sends them complete or piece by piece, and reports whether a response ended or was
//! aborted.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Bytes that vary with their position.
pub(crate) fn data(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251 + at / 65_521) as u8).collect()
}

/// A response.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the body is complete.
    pub(crate) is_whole: bool,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}: not JSON: {text}", self.status))
    }

    /// The bytes of a Base64 field.
    pub(crate) fn field(&self, name: &str) -> Vec<u8> {
        let json = self.json();
        STANDARD.decode(json[name].as_str().unwrap_or_else(|| panic!("{json}"))).expect("Base64")
    }

    /// The body of a response that must be successful.
    pub(crate) fn good(self) -> Vec<u8> {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(300)]).into_owned();
        assert_eq!((self.status, self.is_whole), (200, true), "{text}");
        self.body
    }

    /// The message of an error in the documented form.
    pub(crate) fn refusal(&self, status: u16) -> String {
        let json = self.json();
        assert_eq!(
            (self.status, &json["code"], &json["error"]),
            (status, &status.into(), &true.into()),
            "{json}"
        );
        json["message"].as_str().expect("a message").to_owned()
    }
}

/// Sends a request on a new connection. The response has begun when this returns.
pub(crate) async fn send<B>(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: B,
) -> hyper::Result<Response<Incoming>>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let stream = TcpStream::connect(address).await.expect("connected");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(target).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    sender.send_request(request.body(body).expect("a request")).await
}

/// Reads a response to its end.
pub(crate) async fn finish(response: Response<Incoming>) -> Reply {
    let (head, mut incoming) = response.into_parts();
    let (mut body, mut is_whole) = (Vec::new(), true);
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend(frame.into_data().unwrap_or_default()),
            Err(_) => {
                is_whole = false;
                break;
            }
        }
    }
    Reply { status: head.status.as_u16(), headers: head.headers, body, is_whole }
}

/// Posts a body with its length in the header.
pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Reply {
    let sent = send(address, "POST", &format!("/api/rke/{path}"), headers, Full::new(body.into())).await;
    finish(sent.expect("an answer")).await
}

/// Posts a body in pieces of this size, without its length in the header.
pub(crate) async fn post_pieces(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    piece: usize,
) -> Reply {
    let (mut sender, channel) = pieces();
    let parts: Vec<Bytes> = body.chunks(piece).map(Bytes::copy_from_slice).collect();
    tokio::spawn(async move {
        for part in parts {
            if sender.send_data(part).await.is_err() {
                break;
            }
        }
    });
    let sent = send(address, "POST", &format!("/api/rke/{path}"), headers, channel).await;
    finish(sent.expect("an answer")).await
}

/// Posts JSON.
pub(crate) async fn post_json(address: SocketAddr, path: &str, body: &Value) -> Reply {
    post(address, path, &[("content-type", "application/json")], body.to_string()).await
}

pub(crate) type Pieces = Sender<Bytes, std::io::Error>;

/// A body to be sent piece by piece. It ends when the sender is dropped.
pub(crate) fn pieces() -> (Pieces, Channel<Bytes, std::io::Error>) {
    Channel::new(1)
}

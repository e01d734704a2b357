//! One guardian's list, over HTTPS. Redirects are not followed: only the operator's URL decides who may say where
//! RAIDAs are.

use std::error::Error;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::CertificateError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::urls::Guardian;
use crate::contact::Dialer;
use crate::discovery::Discovery;

/// How long connecting to one address of a guardian may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// The longest list. 25 lines take a kilobyte.
const MAX_LEN: usize = 64 * 1024;

const AGENT: &str = concat!("rke/", env!("CARGO_PKG_VERSION"));

/// Why a guardian gave no list, as text that follows its URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Unreached(String),
    #[error("no response in time")]
    TimedOut,
    #[error(
        "this machine has no certificate authorities to verify it by; install them (Debian's package ca-certificates), or \
         name a file of them in SSL_CERT_FILE"
    )]
    NoAuthorities,
    #[error(
        "its certificate is signed by an authority that this machine does not know; if it is to be trusted, name a file with \
         that authority in SSL_CERT_FILE"
    )]
    UnknownAuthority,
    #[error("its certificate is for another name")]
    AnotherName,
    #[error(
        "its certificate has expired, or is not valid yet; see also whether this machine's clock is right"
    )]
    Expired,
    #[error("its certificate is not valid")]
    WrongCertificate,
    #[error("it does not speak TLS 1.2 or 1.3")]
    NoTls,
    #[error("the connection broke")]
    Broken,
    #[error("it redirects elsewhere; name the URL of the file itself")]
    Redirects,
    #[error("its response has status {0}")]
    Status(u16),
    #[error("its list is over {} KiB", MAX_LEN / 1024)]
    TooLong,
    #[error("its list names no RAIDA; see whether the URL is that of the list")]
    NoList,
}

/// The text of a guardian's list. This has no deadline of its own.
pub(super) async fn fetch(
    discovery: &Discovery,
    connector: Option<&TlsConnector>,
    guardian: &Guardian,
) -> Result<String, FetchError> {
    let mut dialer = Dialer::new(discovery.candidates_of_operator(guardian.server()), CONNECT_TIME);
    let mut failure = None;
    while let Some((_, stream)) = dialer.next().await {
        match over(stream, connector, guardian).await {
            Ok(text) => return Ok(text),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| FetchError::Unreached(dialer.into_failure().error.to_string())))
}

async fn over(
    stream: TcpStream,
    connector: Option<&TlsConnector>,
    guardian: &Guardian,
) -> Result<String, FetchError> {
    let Some(name) = guardian.tls_name() else { return ask(stream, guardian).await };
    let connector = connector.ok_or(FetchError::NoAuthorities)?;
    let stream = connector.connect(name.clone(), stream).await.map_err(|error| of_tls(&error))?;
    ask(stream, guardian).await
}

async fn ask<S>(stream: S, guardian: &Guardian) -> Result<String, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |_| FetchError::Broken;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::get(guardian.target()).header(HOST, guardian.authority());
    let request = request.header(USER_AGENT, AGENT).header(ACCEPT, "text/plain, */*;q=0.1");
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| FetchError::Broken)?;
    let work = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        match response.status() {
            StatusCode::OK => (),
            status if status.is_redirection() => return Err(FetchError::Redirects),
            status => return Err(FetchError::Status(status.as_u16())),
        }
        let body = Limited::new(response.into_body(), MAX_LEN).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => FetchError::TooLong,
            false => FetchError::Broken,
        })?;
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    };
    // The connection is driven alongside the work. If it ends first, the work can still finish.
    let mut connection = std::pin::pin!(connection);
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => done,
        _ = &mut connection => work.await,
    }
}

fn of_tls(error: &io::Error) -> FetchError {
    let tls = error.get_ref().and_then(|inner| (inner as &dyn Error).downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
            CertificateError::UnknownIssuer => FetchError::UnknownAuthority,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                FetchError::AnotherName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => FetchError::Expired,
            _ => FetchError::WrongCertificate,
        },
        Some(_) => FetchError::NoTls,
        None => FetchError::Broken,
    }
}

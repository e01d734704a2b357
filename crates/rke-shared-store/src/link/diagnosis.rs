//! Why a connection could not be made, in terms of what an operator can change.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::Outage;

/// How long a server may take to show that it responds without TLS.
const PLAIN_TIMEOUT: Duration = Duration::from_millis(300);

/// What kept a connection to this address from being made.
pub(super) async fn diagnose(error: &RedisError, info: &ConnectionInfo) -> Outage {
    let address = info.addr();
    let (store, code) = (address.to_string(), error.code().unwrap_or_default());
    match (error.kind(), tls_error(error)) {
        (_, Some(rustls::Error::InvalidCertificate(_))) => Outage::Untrusted(store),
        (ErrorKind::AuthenticationFailed, _) => Outage::WrongPassword(store),
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => Outage::NotPermitted(store),
        _ if matches!(code, "WRONGPASS" | "NOAUTH") => Outage::WrongPassword(store),
        _ if responds_without_tls(address).await => Outage::WithoutTls(store),
        _ => Outage::NotConnected(store),
    }
}

/// The error of the TLS handshake, if that is what failed.
fn tls_error(error: &RedisError) -> Option<&rustls::Error> {
    let inner = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    inner.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

/// Whether the server at an address that is to have TLS understands a command without it. A server without TLS does not respond to a
/// TLS handshake, which for it is the beginning of a command. The one that is sent holds no secret.
async fn responds_without_tls(address: &ConnectionAddr) -> bool {
    let ConnectionAddr::TcpTls { host, port, .. } = address else { return false };
    let ask = async {
        let mut stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut first = [0; 1];
        stream.read_exact(&mut first).await?;
        // A simple string, or an error such as that of a missing password. A TLS server would send an alert.
        io::Result::Ok(matches!(first, [b'+' | b'-']))
    };
    matches!(timeout(PLAIN_TIMEOUT, ask).await, Ok(Ok(true)))
}

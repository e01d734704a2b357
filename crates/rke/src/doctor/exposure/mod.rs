//! Who can reach the daemon: web pages, other machines, other users.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use procfs::net::{TcpNetEntry, TcpState, tcp, tcp6};
use rke_client::Client;
use rke_daemon::http::gate::probe;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::report::Report;

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn check(report: &mut Report, client: &Client) {
    let address = client.address();
    let rebinding = format!("Host: {}", probe::HOST);
    let foreign = format!("Host: localhost\r\nOrigin: {}", probe::ORIGIN);
    let probes = [
        (rebinding, 421, "a page that calls its own name by this address (DNS rebinding)"),
        (foreign, 403, "a page of another site"),
    ];
    // No name leads to a unix socket, so the daemon takes any there.
    let is_unix = address.starts_with("unix:");
    for (headers, status, who) in probes.into_iter().skip(usize::from(is_unix)) {
        match status_of(address, &headers).await {
            Some(answered) if answered == status => report.ok("pages", format!("{who} is refused")),
            Some(answered) => report.fail(
                "pages",
                format!("{who} is answered with status {answered} in place of {status}"),
                "see --allow-host and --allow-origin; something else than rke may listen there",
            ),
            None => report.warn("pages", format!("no answer to {who}"), "try again"),
        }
    }
    if is_unix {
        return report.ok("network", "it was asked over a unix socket: its port was not looked at");
    }
    let token = needs_token(address).await;
    network(report, address, token);
    match token {
        true => report.ok("users", "who has no token is refused"),
        false => report.ok("users", "every user of this machine may use it; --require-token changes that"),
    }
}

fn network(report: &mut Report, address: &str, token: bool) {
    match beyond_loopback(address) {
        Some(address) if token => report.warn(
            "network",
            format!("other machines reach it at {address}; they need the token"),
            "make sure of TLS (--tls-cert, --tls-key): without it the token can be read on the way",
        ),
        Some(address) => report.fail(
            "network",
            format!("other machines reach it at {address}, and it asks for no token"),
            "listen on 127.0.0.1, or use --require-token or --tls-client-ca",
        ),
        None => report.ok("network", "other machines do not reach it"),
    }
}

async fn needs_token(address: &str) -> bool {
    let headers = format!("Host: localhost\r\nAuthorization: {}", probe::AUTHORIZATION);
    status_of(address, &headers).await == Some(401)
}

/// The status of the response to a request with these headers, which no honest client sends.
async fn status_of(address: &str, headers: &str) -> Option<u16> {
    let ask = async {
        match address.strip_prefix("unix:") {
            Some(path) => exchange(UnixStream::connect(path).await.ok()?, headers).await,
            None => exchange(TcpStream::connect(address).await.ok()?, headers).await,
        }
    };
    timeout(PATIENCE, ask).await.ok().flatten()
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, headers: &str) -> Option<u16> {
    let request = format!("GET /api/rke/status HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.ok()?;
    std::str::from_utf8(&head).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

/// An address at which other machines can reach the daemon.
fn beyond_loopback(address: &str) -> Option<SocketAddr> {
    if let Ok(address) = address.parse::<SocketAddr>()
        && !address.ip().to_canonical().is_loopback()
    {
        return Some(address);
    }
    let port = address.rsplit_once(':')?.1.parse().ok()?;
    exposed([tcp(), tcp6()].into_iter().flatten().flatten(), port)
}

fn exposed(entries: impl Iterator<Item = TcpNetEntry>, port: u16) -> Option<SocketAddr> {
    let listening = entries.filter(|entry| entry.state == TcpState::Listen).map(|entry| entry.local_address);
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    listening.filter(|address| address.port() == port).find(|address| !is_loopback(address.ip()))
}

#[cfg(test)]
mod tests;

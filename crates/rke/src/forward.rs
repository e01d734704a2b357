//! `rke forward`: carries each TCP connection that arrives at an address of this machine through a tunnel of its own. A
//! tunnel that is cut resets its connection, and never ends it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use rke_client::Error;
use rke_host::abrupt::halves;
use rke_host::sandbox::raise_open_files;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::cli::ask::ForwardOptions;
use crate::settings::WrongSettings;
use crate::signals::Stop;
use crate::terminal::{BAD, clean, out, paint, say};
use crate::tunnel::{self, Supply, Tunnel, in_one_line};

/// How long to wait after no connection could be accepted, as when too many files are open.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn run(options: &ForwardOptions) -> Result<()> {
    check(options.listen, options.allow_remote)?;
    raise_open_files();
    let client = options.daemon.client();
    let supply = Arc::new(Supply::of_domain(client, &options.domain, options.wallet.as_ref())?);
    let mut stop = Stop::listen()?;
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        anyhow!("cannot listen on {}: {error}; choose another port, or 0 for any free one", options.listen)
    })?;
    let ended = tokio::select! {
        ended = serve(&listener, &supply, &options.domain) => ended,
        () = supply.keep() => Ok(()),
        () = stop.wait() => Ok(()),
    };
    drop(listener);
    supply.end().await;
    ended
}

/// Refuses addresses that other machines can connect to, unless they are allowed.
fn check(listen: SocketAddr, allow_remote: bool) -> Result<(), WrongSettings> {
    match listen.ip().to_canonical().is_loopback() || allow_remote {
        true => Ok(()),
        false => Err(WrongSettings(anyhow!(
            "other machines can connect to {listen}: each of them would use your session, and what it sends here would be in the \
             clear. Listen on 127.0.0.1 or [::1], or allow it with --allow-remote"
        ))),
    }
}

/// Accepts connections. Those that are open are reset when this is dropped.
async fn serve(listener: &TcpListener, supply: &Arc<Supply>, domain: &str) -> Result<()> {
    // What is wrong with the domain or the wallet shows now, and not at the first connection.
    supply.session().await?;
    out(&format!("Forwarding {} to {}", listener.local_addr()?, clean(domain)))?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => (),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve_one(stream, peer, Arc::clone(supply)));
                }
                Err(error) => {
                    say(&format!("{} cannot accept a connection: {error}", paint(BAD, "rke:")));
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
}

/// Carries a connection, and says so in one line if that fails.
async fn serve_one(stream: TcpStream, peer: SocketAddr, supply: Arc<Supply>) {
    if let Err(reason) = carry(stream, &supply).await {
        say(&format!("{} {peer}: {}", paint(BAD, "rke:"), clean(&reason)));
    }
}

/// Carries a connection until both of its directions have ended. Otherwise it is reset when its halves are dropped.
async fn carry(stream: TcpStream, supply: &Supply) -> Result<(), String> {
    let (incoming, mut outgoing) = halves(stream).map_err(|error| error.to_string())?;
    let opened = tunnel::open(supply, || incoming.clone()).await;
    let mut tunnel = opened.map_err(|error| in_one_line(&error))?;
    drop(incoming);
    match pass_down(&mut tunnel, &mut outgoing).await {
        // The Content Server may still take data after its own has ended.
        Ok(()) => tunnel.sent.await.map_err(|_| "the tunnel was cut before all data was sent".into()),
        Err(error) => Err(tunnel.describe(&error, supply.client()).await),
    }
}

async fn pass_down(tunnel: &mut Tunnel, outgoing: &mut (impl AsyncWriteExt + Unpin)) -> Result<(), Error> {
    while let Some(data) = tunnel.stream.piece().await? {
        outgoing.write_all(&data).await.map_err(Error::Output)?;
    }
    outgoing.shutdown().await.map_err(Error::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_let_in_only_on_request() {
        for (listen, is_local) in [
            ("127.0.0.1:1", true),
            ("127.1.2.3:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("192.0.2.1:1", false),
        ] {
            let listen = listen.parse().expect("an address");
            assert_eq!(check(listen, false).is_ok(), is_local, "{listen}");
            assert!(check(listen, true).is_ok());
        }
    }
}

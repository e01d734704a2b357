//! An attacker in the middle of the connection, who impersonates the Content Server with the shares that its own coin
//! gets.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rke_client::{Client, KeyChoice, call};
use rke_daemon::Daemon;
use rke_host::framing::{First, read_first, records};
use rke_proto::KeyContext;
use rke_proto::handshake::kem::EncapsulationSeeds;
use rke_proto::handshake::keys::attach_psk;
use rke_proto::handshake::{
    Accepted, FirstPacket, Grant, Prologue, Record, Responder, ResumptionId, SessionSecrets,
};
use rke_raida::network::LocalNetwork;
use rke_secret::Secret;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;
use crate::attacker::{ask, psk_of, read_request};
use crate::scene::{
    DOMAIN, Loot, SECRET, any_port, config, contains, dns, network, send_secret, with_node, with_port,
};
use crate::tap::{self, Datagrams};

/// Where the attacker reads the context of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knows {
    /// In the packet that it is sent in the clear.
    WhatItSees,
    /// In the request that one RAIDA got: the attacker is that RAIDA.
    OneRequest,
}

/// Has the daemon open a session with the attacker in the middle, and send it the secret.
pub(crate) async fn attack(folder: &Path, knows: Knows) -> Result<Outcome> {
    let network = Arc::new(network(folder).await?);
    let listener = TcpListener::bind(any_port()).await?;
    let port = listener.local_addr()?.port();
    let dishonest = network.node_addresses()[usize::from(crate::scene::DISHONEST)];
    let (tapped, datagrams) = tap::udp(dishonest).await?;
    let records = with_node(&with_port(network.records(), port), dishonest, tapped);
    let dns = dns(&records, any_port()).await?;
    let loot = Loot::default();
    let middle = Arc::new(Middle {
        network: Arc::clone(&network),
        datagrams,
        knows,
        loot: Arc::clone(&loot),
        session: Mutex::default(),
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let middle = Arc::clone(&middle);
            tokio::spawn(async move { middle.play_the_server(stream).await });
        }
    });
    let daemon = Daemon::start(config(&folder.join("daemon"), dns.address())).await?;
    let client = Client::new(daemon.address().to_string());
    if let Ok(created) = client.ask(&call::create(DOMAIN, network.wallet(), KeyChoice::Fresh)).await {
        // Regardless of any response.
        let _ = send_secret(&client, created.session_id.as_str()).await;
    }
    daemon.stop().await;
    let loot = loot.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome::of(contains(&loot, SECRET)))
}

struct Middle {
    network: Arc<LocalNetwork>,
    datagrams: Arc<Mutex<Datagrams>>,
    knows: Knows,
    loot: Loot,
    session: Mutex<Option<SessionSecrets>>,
}

impl Middle {
    async fn play_the_server(&self, mut stream: TcpStream) -> Result<()> {
        let Some(First::Handshake(packet)) = read_first(&mut stream).await? else { return Ok(()) };
        let FirstPacket::Handshake { prologue, raw, message } = FirstPacket::decode(&packet)? else {
            return Ok(());
        };
        let psk = match &prologue {
            Prologue::Exchange(exchange) => {
                let context = self.context(exchange.context)?;
                let shares = ask(&self.network, &self.network.other_wallet(), &context).await?;
                let psk = psk_of(exchange, &shares)?;
                Secret::fill(|own| *own = psk)?
            }
            Prologue::Attach { .. } => {
                let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
                attach_psk(&session.as_ref().context("no session")?.key)?
            }
            Prologue::Resume { .. } => return Ok(()),
        };
        let (responder, _) = Responder::receive(raw, &psk, message, &EncapsulationSeeds::random()?)?;
        let grant = Grant { resumption: Some(ResumptionId([9; 16])), lifetime: 3600 };
        let (response, Accepted { secrets, transport, .. }) = responder.accept(grant)?;
        stream.write_all(&response.to_bytes()).await?;
        if matches!(prologue, Prologue::Exchange(_)) {
            *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(secrets);
        }
        let (mut reader, mut writer) = records(stream, transport);
        loop {
            match reader.next().await? {
                Record::Data(data) => {
                    self.loot.lock().unwrap_or_else(PoisonError::into_inner).extend(&data);
                    writer.data(&data).await?;
                }
                Record::End(_) => return Ok(writer.end(None).await?),
                Record::BrokenOff { .. } => return Ok(()),
            }
        }
    }

    /// The context of the exchange, from where this attacker knows it.
    fn context(&self, seen: KeyContext) -> Result<KeyContext> {
        let datagrams = self.datagrams.lock().unwrap_or_else(PoisonError::into_inner);
        match self.knows {
            Knows::WhatItSees => Ok(seen),
            Knows::OneRequest => {
                read_request(&self.network, datagrams.requests.last().context("no request")?)
            }
        }
    }
}

//! The network's Content Server: it confirms keys that are made from the network's master secrets.
//! Every third handshake it pretends not to know, so that the client has its shares checked.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rke_host::framing::read_packet;
use rke_proto::derive::{self, ShareWidth};
use rke_proto::tunnel::share_check::ShareCheck;
use rke_proto::tunnel::{Answer, ClientKeyId, Handshake, HandshakeNonce, PacketHeader};
use rke_proto::{ContentServerId, RaidaIndex, Status};
use rke_secret::Secret;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::network::{CS_ID, State, random};

pub(crate) async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut handshakes = 0_u32;
    while let Ok((stream, _)) = listener.accept().await {
        // A client that does not like the answer hangs up.
        let _ = answer(stream, &state, &mut handshakes).await;
    }
}

async fn answer(mut stream: TcpStream, state: &Mutex<State>, handshakes: &mut u32) -> Result<()> {
    let (header, payload) = read_packet(&mut stream).await?.context("nothing was asked")?;
    let nonce = HandshakeNonce::decode(&header.nonce)?;
    let shares = true_shares(&nonce, &state.lock().unwrap_or_else(PoisonError::into_inner))?;
    let reply = reply(&header, &payload, &nonce, &shares, handshakes)?;
    Ok(stream.write_all(&reply).await?)
}

type Shares = Vec<(RaidaIndex, Secret<32>)>;

fn true_shares(nonce: &HandshakeNonce, state: &State) -> Result<Shares> {
    let context = nonce.context(ContentServerId::new(CS_ID).context("a CSID")?);
    let share = |raida: RaidaIndex| {
        let master = state.masters[raida.position()];
        Secret::fill(|share| derive::share(&master, ShareWidth::Wide, &context, share))
    };
    nonce.bitmap.iter().map(|raida| Ok((raida, share(raida)?))).collect()
}

fn reply(
    header: &PacketHeader,
    payload: &[u8],
    nonce: &HandshakeNonce,
    shares: &Shares,
    handshakes: &mut u32,
) -> Result<Vec<u8>> {
    let context = nonce.context(ContentServerId::new(CS_ID).context("a CSID")?);
    let of_all = shares.iter().map(|(_, share)| share);
    let key = derive::key_from_shares(of_all, ShareWidth::Wide, &context, nonce.bitmap)?;
    let mut answer =
        Answer { status: Status::SUCCESS, server_nonce: random()?, lifetime: 3600, bitmap: nonce.bitmap };
    if header.key_id == ClientKeyId::SHARE_CHECK {
        let true_shares = shares.iter().map(|(raida, share)| (*raida, share));
        answer.bitmap = ShareCheck::decode(payload)?.matching(nonce, true_shares);
        let random = random()?;
        return Ok(key.expose(|key| answer.in_clear_with_hmac(key, random)));
    }
    *handshakes += 1;
    if handshakes.is_multiple_of(3) || key.expose(|key| Handshake::open(key, header, payload)).is_err() {
        answer.status = Status::UNKNOWN_KEY;
        return Ok(answer.in_clear(header.key_id, random()?));
    }
    let random = random()?;
    Ok(key.expose(|key| answer.seal(key, header.key_id, random)))
}

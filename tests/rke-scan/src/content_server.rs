//! The network's Content Server: it agrees on keys from the network's master secrets, echoes data, and notes every
//! secret. In every third exchange it pretends not to know the shares, so that the client has them checked. It can
//! also relay between a client and a real Content Server, and watch.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rke_host::framing::{First, read_first, read_response, records};
use rke_proto::MIN_REQUIRED;
use rke_proto::handshake::kem::{EncapsulationSeeds, EphemeralKey};
use rke_proto::handshake::packet::Forget;
use rke_proto::handshake::share_check::ShareCheck;
use rke_proto::handshake::{
    Accepted, FirstPacket, ForgetProof, Grant, Initiator, Prologue, Reason, Record, Responder, Response,
    ResumptionId, Transport,
};
use rke_secret::Secret;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::ledger::{Entry, Gives};
use crate::network::{DOMAIN, State, lock, random};
use crate::seed;

/// Seconds that a key lives.
const LIFETIME: u32 = 3600;

/// How the Content Server treats its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    Accepts,
    /// Reads the first packet and says nothing.
    HoldsBack,
    /// Says that it is busy, also to those that wait.
    IsBusy,
    /// Leaves everything to the real one at this address, and looks on.
    Relays(SocketAddr),
    /// The same without looking on.
    PassesOn(SocketAddr),
}

/// A client's first packet, and what the scanner knows about it.
struct Opening<'a> {
    prologue: Prologue,
    raw: &'a [u8],
    message: &'a [u8],
    psk: [u8; 32],
    entry: Entry,
    seed: Option<[u8; 32]>,
}

impl Opening<'_> {
    fn gives(&self) -> Gives {
        match self.prologue {
            Prologue::Attach { .. } => Gives::Tunnel,
            Prologue::Exchange(_) | Prologue::Resume { .. } => Gives::Session,
        }
    }
}

pub(crate) async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            // A client may hang up at any time. If something else is wrong, its request fails, and this gives the
            // reason.
            if let Err(error) = answer(stream, &state).await {
                lock(&state).trouble.push(format!("{error:#}"));
            }
        });
    }
}

async fn answer(mut stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    let packet = match read_first(&mut stream).await? {
        Some(First::Handshake(packet)) => packet,
        Some(First::Narrow(..)) => bail!("not handshake 3"),
        // It was got ready for a handshake that did not come to pass.
        None => return Ok(()),
    };
    let (packet, manners) = (packet.as_slice(), lock(state).manners);
    match (FirstPacket::decode(packet)?, manners) {
        (_, Manners::PassesOn(to)) => pass_on(stream, packet, to).await,
        (FirstPacket::Handshake { prologue, raw, message }, manners) => {
            let opening = note(state, prologue, raw, message)?;
            if let Manners::Relays(to) = manners {
                return look_on(stream, packet, &opening, state, to).await;
            }
            match decide(state, &mut stream, &opening.prologue).await {
                Some(reason) => {
                    lock(state).ledger.refused(opening.entry);
                    send(&mut stream, &Response::Refused(reason)).await
                }
                None => shake_hands(stream, &opening, state).await,
            }
        }
        (_, Manners::Relays(to)) => pass_on(stream, packet, to).await,
        (FirstPacket::ShareCheck(check), _) => send(&mut stream, &check_shares(state, &check)?).await,
        (FirstPacket::Forget(forget), _) => send(&mut stream, &let_go(state, &forget)).await,
    }
}

/// Notes a handshake, with the seed of the client where that can be read.
fn note<'a>(
    state: &Mutex<State>,
    prologue: Prologue,
    raw: &'a [u8],
    message: &'a [u8],
) -> Result<Opening<'a>> {
    let seeds_of = lock(state).seeds_of;
    let public = message.first_chunk().context("no public key")?;
    let seed = seeds_of.map(|process| seed::read(process, public)).transpose()?;
    let mut state = lock(state);
    let basis = state.basis(&prologue, raw)?;
    let psk = basis.psk;
    let entry = state.ledger.begin(raw, message, basis, seed)?;
    Ok(Opening { prologue, raw, message, psk, entry, seed })
}

/// Why a handshake is refused, perhaps after a wait; `None` where it is accepted.
async fn decide(state: &Mutex<State>, stream: &mut TcpStream, prologue: &Prologue) -> Option<Reason> {
    loop {
        let manners = lock(state).manners;
        match manners {
            Manners::IsBusy => return Some(Reason::Busy),
            Manners::HoldsBack => (),
            Manners::Accepts | Manners::Relays(_) | Manners::PassesOn(_) => {
                return pretend(state, prologue);
            }
        }
        let mut next = [0];
        tokio::select! {
            // It sends nothing more before the response, so this is where it hangs up.
            _ = stream.peek(&mut next) => return Some(Reason::Busy),
            () = sleep(Duration::from_millis(2)) => (),
        }
    }
}

/// Every third exchange.
fn pretend(state: &Mutex<State>, prologue: &Prologue) -> Option<Reason> {
    let (mut state, is_exchange) = (lock(state), matches!(prologue, Prologue::Exchange(_)));
    state.exchanges += u32::from(is_exchange);
    (is_exchange && state.exchanges.is_multiple_of(3)).then_some(Reason::WrongShares)
}

async fn shake_hands(mut stream: TcpStream, opening: &Opening<'_>, state: &Mutex<State>) -> Result<()> {
    let (ml_kem, x25519) = (random()?, random()?);
    let slot = |bytes: [u8; 32]| Secret::fill(|slot| *slot = bytes);
    let seeds = EncapsulationSeeds { ml_kem: slot(ml_kem)?, x25519: slot(x25519)? };
    let received = Responder::receive(opening.raw, &slot(opening.psk)?, opening.message, &seeds);
    let (responder, message) = received.context("the client's shares are not those that it was given")?;
    ensure!(message.domain.as_deref() == Some(DOMAIN), "another domain: {:?}", message.domain);
    let id = random()?;
    let resumption = matches!(opening.prologue, Prologue::Exchange(_)).then_some(ResumptionId(id));
    let (response, accepted) = responder.accept(Grant { resumption, lifetime: LIFETIME })?;
    let Response::Accepted(second) = &response else { bail!("it accepts") };
    take_note(state, opening, second, Some((ml_kem, x25519)), &accepted)?;
    let gives = opening.gives();
    lock(state).tunnels += usize::from(gives == Gives::Tunnel);
    let served = async {
        send(&mut stream, &response).await?;
        serve_records(stream, accepted.transport, gives).await
    };
    let served = served.await;
    lock(state).tunnels -= usize::from(gives == Gives::Tunnel);
    served
}

/// Notes the result of a handshake. The program's handshake must have the same result.
fn take_note(
    state: &Mutex<State>,
    opening: &Opening<'_>,
    second: &[u8],
    seeds: Option<([u8; 32], [u8; 32])>,
    accepted: &Accepted,
) -> Result<()> {
    let mut state = lock(state);
    let session = state.ledger.accepted(opening.entry, second, seeds, opening.gives())?;
    ensure!(session.key_id == accepted.secrets.key_id.0, "the scanner's handshake is not the program's");
    if let Some(ResumptionId(id)) = accepted.grant.resumption {
        state.ledger.add_resumption(id, &session);
    }
    Ok(())
}

/// Confirms a session, or echoes the data of a tunnel until it ends.
async fn serve_records(stream: TcpStream, transport: Transport, gives: Gives) -> Result<()> {
    let (mut reader, mut writer) = records(stream, transport);
    loop {
        match (reader.next().await?, gives) {
            (Record::End(_), _) => break writer.end(None).await?,
            (Record::Data(data), Gives::Tunnel) => writer.data(&data).await?,
            (Record::BrokenOff { .. }, Gives::Tunnel) => break,
            (record, Gives::Session) => bail!("a session begins with {record:?}"),
        }
    }
    // The client closes when it has no more to do with this connection.
    writer.close().await?;
    reader.drain().await;
    Ok(())
}

fn check_shares(state: &Mutex<State>, check: &ShareCheck<'_>) -> Result<Response> {
    let shares = lock(state).shares_of(&check.prologue);
    let slots = shares.into_iter().map(|(raida, share)| Ok((raida, Secret::fill(|slot| *slot = share)?)));
    let slots = slots.collect::<Result<Vec<_>>>()?;
    Ok(check.respond(&slots, MIN_REQUIRED.into())?)
}

fn let_go(state: &Mutex<State>, forget: &Forget) -> Response {
    match lock(state).ledger.forget(&forget.id, &forget.token.0) {
        Some(proof) => Response::Forgotten { id: forget.id, proof: ForgetProof(proof) },
        None => Response::Refused(Reason::NoSuchKey),
    }
}

async fn send(stream: &mut TcpStream, response: &Response) -> Result<()> {
    // A client that has hung up does not want it.
    let _ = stream.write_all(&response.to_bytes()).await;
    Ok(())
}

/// Passes everything on. With the client's seed, everything that both ends compute can be computed.
async fn look_on(
    mut client: TcpStream,
    packet: &[u8],
    opening: &Opening<'_>,
    state: &Mutex<State>,
    to: SocketAddr,
) -> Result<()> {
    let mut server = TcpStream::connect(to).await?;
    server.write_all(packet).await?;
    let response = read_response(&mut server).await?;
    let Response::Accepted(second) = &response else { bail!("the Content Server refuses") };
    let accepted = again(opening, packet)?.receive(second).context("not the client's handshake")?;
    take_note(state, opening, second, None, &accepted)?;
    let is_tunnel = usize::from(opening.gives() == Gives::Tunnel);
    lock(state).tunnels += is_tunnel;
    let passed = async {
        client.write_all(&response.to_bytes()).await?;
        splice(&mut client, &mut server).await
    };
    let passed = passed.await;
    lock(state).tunnels -= is_tunnel;
    passed
}

/// The client's handshake, made again from its seed.
fn again(opening: &Opening<'_>, packet: &[u8]) -> Result<Initiator> {
    let slot = |bytes: [u8; 32]| Secret::fill(|slot| *slot = bytes);
    let seed = opening.seed.context("without the client's seed nothing can be looked on at")?;
    let key = EphemeralKey::of_seed(slot(seed)?)?;
    let (initiator, same) = Initiator::begin(&opening.prologue, &slot(opening.psk)?, key, DOMAIN)?;
    ensure!(same == packet, "the client's first packet is another one");
    Ok(initiator)
}

/// Passes everything on that comes with and after a packet.
async fn pass_on(mut client: TcpStream, packet: &[u8], to: SocketAddr) -> Result<()> {
    let mut server = TcpStream::connect(to).await?;
    server.write_all(packet).await?;
    splice(&mut client, &mut server).await
}

async fn splice(client: &mut TcpStream, server: &mut TcpStream) -> Result<()> {
    // Either may be cut; both ends see to that themselves.
    let _ = copy_bidirectional(client, server).await;
    Ok(())
}

use std::net::{Ipv4Addr, SocketAddr};

use rke_host::framing::records;
use rke_proto::ContentServerId;
use rke_proto::handshake::kem::{EncapsulationSeeds, EphemeralKey};
use rke_proto::handshake::{
    BreakCode, FirstPacket, Grant, Initiator, KeyId, Prologue, Responder, Response, Transport,
};
use rke_secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::contact::server::{ask_on, confirm};

const BUSY: &[u8] = b"RKE3\x82\x00\x01\x06";
/// How long to wait for something that should not happen.
const LIMIT: Duration = Duration::from_millis(300);
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// A listener that responds to each connection with these bytes and closes it.
async fn answering(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 64]).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    address
}

async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    listener.local_addr().expect("an address")
}

/// Accepts connections, but never responds, for as long as it lives.
async fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Accepts one connection, and closes it without a word once `others` says that another server has responded.
async fn silent_until(others: oneshot::Receiver<()>) -> SocketAddr {
    let (listener, address) = silent().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        drop(listener);
        let _ = others.await;
        drop(stream);
    });
    address
}

/// Responds that it is busy, and reports that it was asked.
async fn busy_and_telling(asked: oneshot::Sender<()>) -> SocketAddr {
    let (listener, address) = silent().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.read(&mut [0; 64]).await;
        let _ = stream.write_all(BUSY).await;
        let _ = asked.send(());
    });
    address
}

fn dialer(addresses: &[SocketAddr]) -> Dialer<'static> {
    let servers = addresses.iter().map(|address| ServerName { host: "h".into(), port: address.port() });
    let look_up = async |server: ServerName| Ok(vec![(Ipv4Addr::LOCALHOST, server.port).into()]);
    Dialer::new(Candidates::new(servers.collect(), look_up), LONG)
}

async fn ask(_: Candidate, mut stream: TcpStream) -> Result<&'static str, ContactError> {
    match ask_on(&mut stream, b"RKE3").await? {
        Response::Refused(reason) => Err(ContactError::Refused(reason)),
        _ => Ok("done"),
    }
}

async fn said(addresses: &[SocketAddr], each: Duration) -> String {
    let limits = TimeLimits { each, all: Instant::now() + LONG * 2 };
    let ended = with_each(dialer(addresses), None, limits, ask).await;
    let Unreached { server, error } = ended.expect_err("no Content Server is there");
    format!("{}: {error}", server.map_or(0, |server| server.port))
}

#[tokio::test]
async fn the_reason_is_that_of_the_address_that_said_most() {
    let nobody = nobody().await;
    let (busy, http) = (answering(BUSY).await, answering(b"HTTP/1.1 400 Bad").await);
    for (addresses, of, reason) in [
        (&[nobody][..], nobody.port(), "it refuses connections"),
        (&[nobody, busy, nobody], busy.port(), "it refused: it is busy"),
        (
            &[http, nobody],
            http.port(),
            "the program there is not the Content Server, or is another version of it",
        ),
        (&[], 0, "its name has no address"),
    ] {
        assert_eq!(said(addresses, LONG).await, format!("{of}: {reason}"));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_each_time_is_the_reason_when_its_time_is_over() {
    let (closing, mut each) = (answering(b"").await, LIMIT);
    let mut text = said(&[closing], each).await;
    // On a busy machine, the connection may not have broken once in that time.
    while text.ends_with("no response in time") && each < LONG {
        each *= 4;
        text = said(&[closing], each).await;
    }
    assert_eq!(text, format!("{}: the connection was closed before the response", closing.port()));
}

#[tokio::test]
async fn an_address_that_is_silent_does_not_take_the_time_of_the_next() {
    let (_listener, never) = silent().await;
    assert_eq!(said(&[never], LIMIT).await, format!("{}: no response in time", never.port()));
    // A server that is silent until the next one has been asked.
    let (asked, is_asked) = oneshot::channel();
    let (first, busy) = (silent_until(is_asked).await, busy_and_telling(asked).await);
    assert_eq!(said(&[first, busy], LONG * 30).await, format!("{}: it refused: it is busy", busy.port()));
}

#[tokio::test]
async fn all_addresses_together_have_one_deadline() {
    let (_listener, silent) = silent().await;
    let began = Instant::now();
    let long = TimeLimits { each: Duration::from_secs(600), all: began + LIMIT };
    let ended = with_each(dialer(&[silent; 8]), None, long, ask).await;
    assert_eq!(ended.expect_err("nobody").error.to_string(), "no response in time");
    assert!(began.elapsed() >= LIMIT && began.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_server_that_answers_is_found_behind_others_that_do_not() {
    let ((_listener, silent), nobody, good) = (silent().await, nobody().await, answering(b"x").await);
    let limits = TimeLimits { each: Duration::from_secs(600), all: Instant::now() + Duration::from_secs(60) };
    let work = async |candidate: Candidate, mut stream: TcpStream| {
        stream.write_all(b"RKE3").await?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        Ok(candidate.address)
    };
    let ended = with_each(dialer(&[nobody, silent, nobody, good]), None, limits, work).await;
    assert_eq!(ended.expect("an answer").1, good);
}

/// The transports of a handshake: the client's, and the server's.
fn transports() -> (Transport, Transport) {
    let psk = Secret::random().expect("secret memory");
    let cs_id = ContentServerId::new("CONTENT").expect("an ID");
    let prologue = Prologue::Attach { cs_id, id: KeyId([7; 16]) };
    let key = EphemeralKey::random().expect("secret memory");
    let (initiator, packet) =
        Initiator::begin(&prologue, &psk, key, "content.example").expect("secret memory");
    let FirstPacket::Handshake { raw, message, .. } = FirstPacket::decode(&packet).expect("a packet") else {
        panic!("not a handshake")
    };
    let seeds = EncapsulationSeeds::random().expect("secret memory");
    let (responder, _) = Responder::receive(raw, &psk, message, &seeds).expect("the same psk");
    let accepted = responder.accept(Grant { resumption: None, lifetime: 60 });
    let (response, server) = accepted.expect("secret memory");
    let Response::Accepted(message) = &response else { panic!("not accepted") };
    (initiator.receive(message).expect("the same psk").transport, server.transport)
}

#[tokio::test]
async fn a_content_server_that_breaks_off_before_both_have_the_key_is_no_other_program() {
    let (client, server) = transports();
    let (listener, address) = silent().await;
    let breaks_off = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (mut reader, mut writer) = records(stream, server);
        reader.next().await.expect("the client's end");
        writer.break_off(BreakCode::Other, "no store\x1b").await.expect("sent");
        reader.drain().await;
    });
    let stream = connect(address).await.expect("connected");
    let error = confirm(stream, client).await.expect_err("broken off").to_string();
    assert_eq!(error, "it broke off: no store\u{fffd}");
    breaks_off.await.expect("no panic");
}

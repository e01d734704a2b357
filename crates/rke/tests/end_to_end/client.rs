//! The Rust client against a real daemon: its example, and its messages when something is wrong.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use rke_client::{Client, Error, Event, KeyChoice, State, call};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::dev::Dev;
use crate::support::{DOMAIN, PATIENCE};

#[path = "../../../rke-client/examples/session.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is a program of its own, too")]
mod example;

#[tokio::test]
async fn the_example_does_all_that_it_shows() {
    let dev = Dev::start();
    let client = Client::new(&dev.daemon);
    example::run(&client, DOMAIN, &dev.wallet).await.expect("all of it");
    assert_eq!(client.sessions().await.expect("a list").total, 0, "it closes its session");
}

#[tokio::test]
async fn a_session_is_closed_whatever_comes_of_the_work() {
    let dev = Dev::start();
    let client = Client::new(&dev.daemon);
    let outcome = client.with_session(DOMAIN, &dev.wallet, async |session| {
        let encrypted = session.encrypt(b"Hi").await?;
        assert_eq!(session.decrypt(&encrypted.ciphertext, &encrypted.nonce).await?, b"Hi");
        assert_eq!(session.show().await?.row.encrypt_count, 1);
        session.decrypt(b"x", "no nonce").await
    });
    assert!(
        matches!(outcome.await.expect("it was closed"), Err(Error::Wrong(refusal)) if refusal.code == 400)
    );
    assert_eq!(client.sessions().await.expect("a list").active, 0);
    let session = client.open_session(DOMAIN, &dev.wallet, KeyChoice::Cached).await.expect("a session");
    assert!(session.created().expect("its response").from_cache);
    assert_eq!(client.keys().await.expect("keys").keys[0].domain, DOMAIN);
    let receipt = session.erase().await.expect("an end").wipe.expect("a receipt");
    assert!(receipt.hits == 0 && receipt.scanned_bytes > 0);
    assert_eq!(client.keys().await.expect("keys").total, 0);
}

#[tokio::test]
async fn each_error_says_what_helps() {
    let dev = Dev::start();
    let client = Client::new(&dev.daemon);
    let gone = client.ask(&call::show("00000000000000000000000000000000")).await;
    assert!(matches!(gone, Err(Error::SessionGone(_))));
    let gone = client.seal_stream("00000000000000000000000000000000", tokio::io::repeat(7), b"").await;
    assert!(matches!(gone, Err(Error::SessionGone(_))), "although the data goes on for ever");
    let wrong = client.open_session(DOMAIN, Path::new("relative"), KeyChoice::Cached).await;
    assert!(matches!(wrong, Err(Error::Wrong(_))));
    let elsewhere = client.open_session("nowhere.test", &dev.wallet, KeyChoice::Cached).await;
    assert!(matches!(elsewhere, Err(Error::Elsewhere(refusal)) if refusal.to_string().starts_with("DNS")));
    let token = Client::new(&dev.daemon).with_token_file("/nowhere").status().await;
    assert!(matches!(token, Err(Error::Token { .. })));
    assert!(matches!(Client::new("127.0.0.1:1").status().await, Err(Error::NoDaemon { .. })));
    assert!(matches!(Client::new("unix:/nowhere").status().await, Err(Error::NoDaemon { .. })));
}

/// A file whose disk fails while it is read.
struct Gone;

impl AsyncRead for Gone {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("the disk is gone")))
    }
}

#[tokio::test]
async fn data_that_cannot_be_read_is_no_short_data() {
    let dev = Dev::start();
    let client = Client::new(&dev.daemon);
    let session = client.open_session(DOMAIN, &dev.wallet, KeyChoice::Cached).await.expect("a session");
    let broken = tokio::io::repeat(7).take(200_000).chain(Gone);
    let outcome = match session.seal_stream(broken, b"").await {
        Ok(stream) => stream.into_vec().await.map(|data| data.len()),
        Err(error) => Err(error),
    };
    assert!(
        matches!(&outcome, Err(Error::Input(error)) if error.to_string() == "the disk is gone"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn the_steps_of_an_exchange_are_followed() {
    let dev = Dev::start();
    let client = Client::new(&dev.daemon);
    let mut events = client.events().await.expect("events");
    let session = client.open_session(DOMAIN, &dev.wallet, KeyChoice::Fresh).await.expect("a session");
    let mut answered = 0;
    while answered < 13 {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("in time");
        match event.expect("an event") {
            Some(Event::Exchange(step)) if step.state == State::Answered => {
                assert!(step.domain == DOMAIN && step.raida < 25 && step.ms.is_some());
                answered += 1;
            }
            Some(_) => (),
            None => panic!("the daemon ended"),
        }
    }
    session.close().await.expect("an end");
}

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpListener;

use super::*;

/// An application's end of a connection, and the two halves of the other end.
async fn connected() -> (TcpStream, Incoming, Outgoing) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (application, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (incoming, outgoing) = halves(accepted.expect("accepted").0).expect("halves");
    (application.expect("connected"), incoming, outgoing)
}

/// What an application reads up to the end, or the kind of the error in its place.
async fn read(application: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut data = Vec::new();
    application.read_to_end(&mut data).await.map(|_| data).map_err(|error| error.kind())
}

#[tokio::test]
async fn after_both_ends_the_connection_closes_in_order() {
    let (mut application, mut incoming, mut outgoing) = connected().await;
    // More than the buffers of the kernel hold, so some of it is still to be sent when the halves are dropped.
    let data = vec![7; 8 << 20];
    let reader = tokio::spawn(async move {
        application.write_all(b"request").await.expect("sent");
        application.shutdown().await.expect("ended");
        read(&mut application).await
    });
    let mut request = Vec::new();
    incoming.read_to_end(&mut request).await.expect("read");
    assert_eq!(request, b"request");
    outgoing.write_all(&data).await.expect("sent");
    outgoing.shutdown().await.expect("ended");
    drop((incoming, outgoing));
    assert!(reader.await.expect("no panic") == Ok(data));
}

#[tokio::test]
async fn without_both_ends_it_closes_with_a_reset() {
    // Nothing has ended.
    let (mut application, incoming, outgoing) = connected().await;
    drop((incoming, outgoing));
    assert_eq!(read(&mut application).await, Err(ErrorKind::ConnectionReset));
    // The application has ended.
    let (mut application, mut incoming, outgoing) = connected().await;
    application.shutdown().await.expect("ended");
    incoming.read_to_end(&mut Vec::new()).await.expect("read");
    drop((incoming, outgoing));
    assert_eq!(read(&mut application).await, Err(ErrorKind::ConnectionReset));
    // This end has ended.
    let (mut application, incoming, mut outgoing) = connected().await;
    outgoing.shutdown().await.expect("ended");
    assert_eq!(read(&mut application).await, Ok(Vec::new()));
    drop((incoming, outgoing));
    application.ready(Interest::ERROR).await.expect("ready");
    assert!(application.take_error().expect("known").is_some());
}

#[tokio::test]
async fn a_half_that_is_dropped_alone_closes_nothing() {
    let (mut application, incoming, mut outgoing) = connected().await;
    drop(incoming);
    outgoing.write_all(b"more").await.expect("sent");
    let mut data = [0; 4];
    application.read_exact(&mut data).await.expect("read");
    assert_eq!(&data, b"more");
}

#[tokio::test]
async fn a_reset_by_the_application_is_an_error() {
    let (application, mut incoming, _outgoing) = connected().await;
    application.set_zero_linger().expect("set");
    drop(application);
    let error = incoming.read_to_end(&mut Vec::new()).await.expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

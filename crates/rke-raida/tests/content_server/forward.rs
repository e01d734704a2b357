//! A TCP address behind the Content Server. An end is passed on as an end, and a cut as a reset or a record of type 2.

use std::io::ErrorKind;
use std::time::Duration;

use rke_proto::handshake::{BreakCode, Record};
use rke_raida::content_server::{Application, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Reader, Session, Stage, Writer, read_all, within};
use crate::cuts::{CUTS, cut_by};

/// A Content Server that forwards, and the server that it forwards to.
struct Scene {
    stage: Stage,
    session: Session,
    target: TcpListener,
}

impl Scene {
    async fn new() -> Self {
        let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = target.local_addr().expect("an address").to_string();
        let application = Application::Forward(Target::look_up(&address).expect("an address"));
        let stage = Stage::new(application, |_| ()).await;
        let session = stage.open().await;
        Self { stage, session, target }
    }

    /// A tunnel, and its connection at the target.
    async fn tunnel(&self) -> (Reader, Writer, TcpStream) {
        let (reader, mut writer) = self.session.attach().await;
        let mut connection = self.accept().await;
        // The Content Server knows by then that it is connected.
        writer.data(b"hello").await.expect("sent");
        within(connection.read_exact(&mut [0; 5])).await.expect("data");
        (reader, writer, connection)
    }

    async fn accept(&self) -> TcpStream {
        within(self.target.accept()).await.expect("a connection").0
    }
}

/// What the target reads up to the end, or the kind of the error in its place.
async fn read(connection: &mut TcpStream) -> Result<String, ErrorKind> {
    let mut data = Vec::new();
    match within(connection.read_to_end(&mut data)).await {
        Ok(_) => Ok(String::from_utf8(data).expect("UTF-8")),
        Err(error) => Err(error.kind()),
    }
}

fn reset(connection: TcpStream) {
    let linger = Some(Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(&connection, linger).expect("set");
}

#[tokio::test]
async fn each_direction_has_an_end_of_its_own() {
    let scene = Scene::new().await;
    let (mut reader, mut writer, mut connection) = scene.tunnel().await;
    writer.data(b"request").await.expect("sent");
    writer.end(None).await.expect("sent");
    assert_eq!(read(&mut connection).await.as_deref(), Ok("request"));
    connection.write_all(b"response").await.expect("sent");
    drop(connection);
    assert_eq!(read_all(&mut reader).await, ("response".into(), Some(Record::End(None))));

    let (mut reader, mut writer, mut connection) = scene.tunnel().await;
    connection.write_all(b"greeting").await.expect("sent");
    connection.shutdown().await.expect("ended");
    assert_eq!(read_all(&mut reader).await, ("greeting".into(), Some(Record::End(None))));
    writer.data(b"after that").await.expect("sent");
    writer.end(None).await.expect("sent");
    assert_eq!(read(&mut connection).await.as_deref(), Ok("after that"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_cuts_the_connection_of_the_client_is_a_reset_for_the_target() {
    let scene = Scene::new().await;
    for which in CUTS {
        let (mut stream, mut accepted) = scene.session.attach_silently().await;
        let record = accepted.transport.sealer.data(b"DELETE FROM users").expect("a record");
        stream.write_all(&record).await.expect("sent");
        let mut connection = scene.accept().await;
        let mut data = [0; 17];
        within(connection.read_exact(&mut data)).await.expect("data");
        cut_by(which, stream, accepted.transport).await;
        // What was sent before may still arrive.
        assert_eq!(read(&mut connection).await, Err(ErrorKind::ConnectionReset), "{which}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_and_a_session_that_is_deleted_reset_the_target() {
    let mut scene = Scene::new().await;
    let (_reader, _writer, mut connection) = scene.tunnel().await;
    scene.stage.peer.forget(&scene.session.forget_packet()).await;
    assert_eq!(read(&mut connection).await, Err(ErrorKind::ConnectionReset));
    scene.session = scene.stage.open().await;
    // Also where the client's data has ended: it may still expect a response.
    let (_reader, mut writer, mut connection) = scene.tunnel().await;
    writer.end(None).await.expect("sent");
    assert_eq!(read(&mut connection).await.as_deref(), Ok(""));
    scene.stage.stop().await;
    let written = async {
        while connection.write_all(b"response").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(written).await;
}

#[tokio::test]
async fn a_target_that_resets_breaks_the_tunnel_off() {
    let scene = Scene::new().await;
    let broke = |last: Option<Record>| match last {
        Some(Record::BrokenOff { code: BreakCode::Other, text }) => assert!(text.contains("broke"), "{text}"),
        last => panic!("{last:?}"),
    };
    let (mut reader, _writer, connection) = scene.tunnel().await;
    reset(connection);
    broke(read_all(&mut reader).await.1);
    // Also where data to it finds the reset first: the kernel then reports an end of the data from it.
    let (mut reader, mut writer, connection) = scene.tunnel().await;
    reset(connection);
    let _ = writer.data(b"data").await;
    broke(read_all(&mut reader).await.1);
    // Also after the end of the client's data.
    let (mut reader, mut writer, connection) = scene.tunnel().await;
    writer.end(None).await.expect("sent");
    reset(connection);
    broke(read_all(&mut reader).await.1);
}

#[tokio::test]
async fn a_target_that_refuses_is_no_application() {
    let Scene { stage, session, target } = Scene::new().await;
    let address = target.local_addr().expect("an address").to_string();
    drop(target);
    let (mut reader, _writer) = session.attach().await;
    match read_all(&mut reader).await.1 {
        Some(Record::BrokenOff { code: BreakCode::NoApplication, text }) => {
            assert!(text.contains("it refuses connections") && !text.contains(&address), "{text}");
        }
        last => panic!("{last:?}"),
    }
    // It may come back.
    let target = TcpListener::bind(&address).await.expect("the same port");
    let scene = Scene { stage, session, target };
    scene.tunnel().await;
}

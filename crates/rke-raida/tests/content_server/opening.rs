//! What opens a session, and what opens nothing.

use std::time::{Duration, Instant};

use rke_host::framing::{RecordIoError, read_response, records};
use rke_proto::handshake::{BreakCode, Reason, Record, Response};
use rke_raida::content_server::Application;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{COIN, Stage, read_all, within};

#[tokio::test]
async fn sessions_open_by_exchange_and_by_resumption_and_carry_data() {
    let mut stage = Stage::new(Application::Echo, |_| ()).await;
    let session = stage.open().await;
    let resumed = session.resume().await;
    assert_eq!(stage.keys(), 2);
    for session in [&session, &resumed, &session] {
        let (mut reader, mut writer) = session.attach().await;
        writer.data(b"hello ").await.expect("sent");
        writer.data(b"echo").await.expect("sent");
        writer.end(None).await.expect("sent");
        assert_eq!(read_all(&mut reader).await, ("hello echo".into(), Some(Record::End(None))));
        assert!(matches!(within(reader.next()).await, Err(RecordIoError::Cut)), "then it closes");
    }
    assert_eq!(stage.keys(), 2);
    stage.stop().await;
}

#[tokio::test]
async fn a_session_is_kept_when_the_servers_end_comes_and_not_before() {
    let stage = Stage::new(Application::Echo, |_| ()).await;
    let (stream, accepted) = stage.peer.shake_hands(stage.peer.exchange(COIN)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stage.keys(), 0);
    let (mut reader, mut writer) = records(stream, accepted.transport);
    writer.end(None).await.expect("sent");
    assert_eq!(within(reader.next()).await.expect("a record"), Record::End(None));
    assert_eq!(stage.keys(), 1);
}

#[tokio::test]
async fn anything_but_an_end_opens_no_session() {
    let stage = Stage::new(Application::Echo, |_| ()).await;
    for nth in 0..4 {
        let (mut stream, mut accepted) = stage.peer.shake_hands(stage.peer.exchange(COIN)).await;
        let sealer = &mut accepted.transport.sealer;
        let mut record = match nth {
            0 | 1 => sealer.data(if nth == 0 { b"" } else { b"data" }),
            2 => sealer.break_off(BreakCode::Other, ""),
            _ => sealer.end(None),
        }
        .expect("a record");
        if nth == 3 {
            record[5] ^= 1;
        }
        stream.write_all(&record).await.expect("sent");
        let (mut reader, _writer) = records(stream, accepted.transport);
        let last = within(reader.next()).await;
        match nth {
            0 | 1 => {
                assert!(matches!(last, Ok(Record::BrokenOff { code: BreakCode::Other, .. })), "{last:?}")
            }
            _ => assert!(last.is_err(), "{last:?}"),
        }
        assert_eq!(stage.keys(), 0, "case {nth}");
    }
}

#[tokio::test]
async fn a_client_that_vanishes_before_its_first_record_leaves_nothing() {
    let stage = Stage::exec("touch $DIR/started; cat", |_| ()).await;
    drop(stage.peer.shake_hands(stage.peer.exchange(COIN)).await);
    let session = stage.open().await;
    let (stream, _) = session.attach_silently().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((stage.keys(), stage.file("started")), (1, None));
    drop(stream);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((stage.keys(), stage.file("started")), (1, None));
    let (_reader, _writer) = session.attach().await;
    within(async {
        while stage.file("started").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_has_ten_seconds_up_to_its_first_record() {
    let stage = Stage::new(Application::Echo, |_| ()).await;
    let session = stage.open().await;
    let begin = Instant::now();
    let closes = async |mut stream: tokio::net::TcpStream| {
        let _ = stream.read_to_end(&mut Vec::new()).await;
        begin.elapsed()
    };
    let silent = stage.peer.connect().await;
    let mut slow = stage.peer.connect().await;
    slow.write_all(b"RKE3\x01").await.expect("sent");
    let (no_record, _) = session.attach_silently().await;
    let all = tokio::join!(closes(silent), closes(slow), closes(no_record));
    for after in [all.0, all.1, all.2] {
        assert!((Duration::from_secs(9)..Duration::from_secs(60)).contains(&after), "{after:?}");
    }
}

#[tokio::test]
async fn what_is_no_first_packet_is_closed_without_an_answer() {
    let stage = Stage::new(Application::Echo, |_| ()).await;
    let (_, good) = stage.peer.exchange(COIN);
    let altered = |at: usize, byte: u8| {
        let mut packet = good.clone();
        packet[at] = byte;
        packet
    };
    let broken = [
        b"GET / HTTP/1.1\r\nhost: example\r\n\r\n".to_vec(),
        altered(0, b'X'),
        altered(3, b'2'),
        altered(4, 0),
        altered(4, 6),
        altered(4, 0x81),
        altered(5, 0xFF),
        altered(7, 0),
        altered(23, 0),
        altered(37, 0),
        altered(37, 26),
        altered(38, 2),
    ];
    for (nth, packet) in broken.iter().enumerate() {
        let mut stream = stage.peer.connect().await;
        let _ = stream.write_all(packet).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty(), "packet {nth}");
    }
    for len in [0, 1, 4, 6, 7, 40, good.len() - 1] {
        let mut stream = stage.peer.connect().await;
        stream.write_all(&good[..len]).await.expect("sent");
        stream.shutdown().await.expect("closed");
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty(), "cut at {len}");
    }
}

#[tokio::test]
async fn a_first_packet_may_come_byte_by_byte_and_a_second_time_is_refused() {
    let stage = Stage::new(Application::Echo, |_| ()).await;
    let (initiator, packet) = stage.peer.exchange(COIN);
    let mut stream = stage.peer.connect().await;
    for part in packet.chunks(1) {
        stream.write_all(part).await.expect("sent");
    }
    let Response::Accepted(message) = within(read_response(&mut stream)).await.expect("a response") else {
        panic!("not accepted")
    };
    assert!(initiator.receive(&message).is_ok());
    let mut stream = stage.peer.connect().await;
    stream.write_all(&packet).await.expect("sent");
    let again = within(read_response(&mut stream)).await.expect("a response");
    assert!(matches!(again, Response::Refused(Reason::Replayed)));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("an orderly close");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn envelope_type_6_comes_to_the_same_port() {
    use rke_proto::tunnel::{ClientKeyId, Covered, packet};
    let stage = Stage::new(Application::Echo, |_| ()).await;
    let key = [7; 32];
    let sealed =
        packet::seal_data(&key, ClientKeyId([1; 5]), &[2; 8], [3; 24], b"data", Covered::HeaderAndPayload);
    let mut stream = stage.peer.connect().await;
    stream.write_all(&sealed.expect("a packet")).await.expect("sent");
    let (header, payload) =
        within(rke_host::framing::read_packet(&mut stream)).await.expect("a packet").expect("one");
    assert_eq!((header.key_id, payload[0]), (ClientKeyId([1; 5]), 251), "unknown, in the clear");
}

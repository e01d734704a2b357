use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use rke_proto::ContentServerId;
use rke_proto::handshake::kem::{EncapsulationSeeds, EphemeralKey};
use rke_proto::handshake::{FirstPacket, Grant, Initiator, KeyId, Prologue, Reason, Responder, ResumptionId};
use rke_secret::Secret;
use tokio::io::duplex;
use tokio::time::timeout;

use super::*;

/// A first packet, what it is answered with, and both ends' transports.
fn handshake() -> (Vec<u8>, Response, Transport, Transport) {
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
    let grant = Grant { resumption: Some(ResumptionId([9; 16])), lifetime: 60 };
    let (response, server) = responder.accept(grant).expect("secret memory");
    let Response::Accepted(message) = &response else { panic!("not accepted") };
    let client = initiator.receive(message).expect("the same psk");
    (packet, response, client.transport, server.transport)
}

/// Bytes that come one by one, and then nothing more.
async fn trickle(bytes: &[u8]) -> impl AsyncRead + Unpin {
    let (mut far, near) = duplex(1);
    let bytes = bytes.to_vec();
    tokio::spawn(async move {
        for byte in bytes.chunks(1) {
            if far.write_all(byte).await.is_err() {
                return;
            }
        }
    });
    near
}

#[tokio::test]
async fn a_first_packet_is_read_to_its_last_byte_and_no_further() {
    let (packet, ..) = handshake();
    let with_more = [packet.as_slice(), b"more"].concat();
    let mut incoming = with_more.as_slice();
    let Ok(Some(First::Handshake(read))) = read_first(&mut incoming).await else { panic!("not read") };
    assert_eq!((read, incoming), (packet.clone(), b"more".as_slice()));
    let mut slow = trickle(&packet).await;
    assert!(matches!(read_first(&mut slow).await, Ok(Some(First::Handshake(read))) if read == packet));
    assert!(matches!(read_first(&mut [].as_slice()).await, Ok(None)));
    for len in 1..packet.len() {
        let error = read_first(&mut &packet[..len]).await.expect_err("cut");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{len}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_first_packet_is_refused_before_more_is_waited_for() {
    // The other end stays open: a reader that waited for more would wait for ever.
    for begin in [b"G".as_slice(), b"RKE2\x01\0\0", b"RKE3\x06\0\0", b"RKE3\x04\0\x21", b"RKE3\x02\xFF\xFF"] {
        let (mut far, mut near) = duplex(64);
        far.write_all(begin).await.expect("sent");
        let read = timeout(Duration::from_secs(20), read_first(&mut near)).await.expect("at once");
        assert_eq!(read.expect_err("refused").kind(), io::ErrorKind::InvalidData, "{begin:?}");
    }
}

#[tokio::test]
async fn packets_of_envelope_type_6_are_told_apart_by_their_first_byte() {
    let header =
        PacketHeader { payload_len: 3, key_id: rke_proto::tunnel::ClientKeyId([1; 5]), nonce: [2; 24] };
    let packet = [header.to_bytes().as_slice(), b"abc", &TRAILER].concat();
    let Ok(Some(First::Narrow(read, payload))) = read_first(&mut packet.as_slice()).await else {
        panic!("not read")
    };
    assert_eq!((read, payload.as_slice()), (header, b"abc".as_slice()));
    let mut twice = [packet.clone(), packet.clone()].concat();
    twice.push(6);
    let mut incoming = twice.as_slice();
    for _ in 0..2 {
        assert!(matches!(read_packet(&mut incoming).await, Ok(Some((read, _))) if read == header));
    }
    assert!(read_packet(&mut incoming).await.is_err(), "cut");
    let mut wrong = packet;
    *wrong.last_mut().expect("a byte") ^= 1;
    assert!(read_packet(&mut wrong.as_slice()).await.is_err());
}

#[tokio::test]
async fn responses_are_read_whole() {
    let (_, accepted, ..) = handshake();
    let mut both = accepted.to_bytes();
    both.extend(Response::Refused(Reason::Busy).to_bytes());
    let mut incoming = both.as_slice();
    assert!(matches!(read_response(&mut incoming).await, Ok(Response::Accepted(_))));
    assert!(matches!(read_response(&mut incoming).await, Ok(Response::Refused(Reason::Busy))));
    assert_eq!(
        read_response(&mut incoming).await.err().map(|error| error.kind()),
        Some(io::ErrorKind::UnexpectedEof)
    );
    assert!(read_response(&mut b"HTTP/1.1 400 Bad Request\r\n".as_slice()).await.is_err());
}

/// A client that writes and a server that reads, over a connection that holds that many bytes.
fn one_way(len: usize) -> (RecordWriter<tokio::io::DuplexStream>, RecordReader<tokio::io::DuplexStream>) {
    let (_, _, client, server) = handshake();
    let (far, near) = duplex(len);
    (RecordWriter::new(far, client.sealer), RecordReader::new(near, server.opener))
}

#[tokio::test]
async fn data_of_any_length_comes_in_records_and_then_its_end() {
    let (mut writer, mut reader) = one_way(1 << 20);
    writer.data(b"").await.expect("sent");
    writer.data(&vec![7; 2 * MAX_DATA_LEN + 1]).await.expect("sent");
    writer.end(None).await.expect("sent");
    for len in [0, MAX_DATA_LEN, MAX_DATA_LEN, 1] {
        assert_eq!(reader.next().await.expect("a record"), Record::Data(vec![7; len]));
    }
    assert_eq!(reader.next().await.expect("a record"), Record::End(None));
    assert!(reader.is_over() && writer.is_over());
    assert!(matches!(writer.data(b"more").await, Err(RecordIoError::Record(_))));
    writer.close().await.expect("closed");
    reader.closed().await.expect("an orderly close");
    assert!(matches!(reader.next().await, Err(RecordIoError::Cut)));
}

#[tokio::test]
async fn a_direction_that_closes_anywhere_before_its_end_is_cut() {
    let (_, _, mut client, _) = handshake();
    let first = client.sealer.data(b"data").expect("a record");
    for len in 0..=first.len() {
        let (_, _, mut client, server) = handshake();
        let record = client.sealer.data(b"data").expect("a record");
        let mut reader = RecordReader::new(&record[..len], server.opener);
        if len == first.len() {
            assert_eq!(reader.next().await.expect("a record"), Record::Data(b"data".to_vec()));
        }
        assert!(matches!(reader.next().await, Err(RecordIoError::Cut)), "{len}");
    }
}

/// Whether something waits when it has got as far as it can at once. It is dropped.
fn is_waiting(work: impl Future) -> bool {
    pin!(work).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[tokio::test]
async fn a_reader_that_is_dropped_while_it_waits_loses_nothing() {
    let (_, _, mut client, server) = handshake();
    let record = client.sealer.data(b"data").expect("a record");
    let (mut far, near) = duplex(64);
    let mut reader = RecordReader::new(near, server.opener);
    for byte in record.chunks(1) {
        assert!(is_waiting(reader.next()), "not there yet");
        far.write_all(byte).await.expect("sent");
    }
    assert_eq!(reader.next().await.expect("a record"), Record::Data(b"data".to_vec()));
}

#[tokio::test]
async fn a_writer_that_is_dropped_while_it_waits_can_still_break_off() {
    let (mut writer, mut reader) = one_way(100);
    assert!(is_waiting(writer.data(&[7; 1000])), "no room");
    let break_off = writer.break_off(BreakCode::Deleted, "the session was deleted");
    let read = async { [reader.next().await.expect("a record"), reader.next().await.expect("a record")] };
    let (sent, records) = tokio::join!(break_off, read);
    sent.expect("sent");
    let text = "the session was deleted".into();
    assert_eq!(records, [Record::Data(vec![7; 1000]), Record::BrokenOff { code: BreakCode::Deleted, text }]);
}

#[tokio::test]
async fn what_follows_the_last_record_is_no_orderly_close() {
    let (mut writer, mut reader) = one_way(1000);
    writer.end(None).await.expect("sent");
    assert_eq!(reader.next().await.expect("a record"), Record::End(None));
    writer.stream.write_all(&[0]).await.expect("sent");
    assert!(matches!(reader.closed().await, Err(RecordIoError::Record(RecordError::AfterTheEnd))));
}

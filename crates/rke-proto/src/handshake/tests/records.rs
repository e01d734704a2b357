//! Records as a peer, or an attacker in the middle, may send them. Each refusal is a cut, and a cut is never an end.

use super::*;
use crate::DecodeError;
use crate::handshake::noise::{CipherState, TAG_LEN};
use crate::handshake::record::{LEN_LEN, MAX_DATA_LEN, Sender, record_len};
use crate::handshake::{BreakCode, Record, RecordError, RecordOpener, RecordSealer};

/// One direction, and a cipher with the same key to seal what an honest sender would not.
struct Line {
    sealer: RecordSealer,
    opener: RecordOpener,
    forger: CipherState,
}

fn line(sender: Sender) -> Line {
    let key = counting_from(0x40);
    let cipher = || CipherState::with_key(&key).expect("secret memory");
    Line {
        sealer: RecordSealer::new(cipher(), sender),
        opener: RecordOpener::new(cipher(), sender),
        forger: cipher(),
    }
}

impl Line {
    /// What the opener says to a record with this plaintext under the right key.
    fn take(&mut self, plaintext: &[u8]) -> Result<Record, RecordError> {
        let mut record = plaintext.to_vec();
        let tag = self.forger.encrypt(&mut record);
        record.extend(tag);
        self.opener.open(record)
    }
}

fn content(record: &[u8]) -> Vec<u8> {
    let (len, content) = record.split_first_chunk::<LEN_LEN>().expect("a length");
    assert_eq!(record_len(*len), Ok(content.len()));
    content.to_vec()
}

fn bad_type(value: u64) -> RecordError {
    DecodeError::BadValue { what: "the record's type", value }.into()
}

const WRONG_TAG: RecordError = RecordError::Malformed(DecodeError::Mismatch("the tag"));

#[test]
fn records_of_all_types_arrive_as_they_were_sent() {
    let mut line = line(Sender::Server);
    for len in [0, 1, 1000, MAX_DATA_LEN] {
        let data = vec![len as u8; len];
        let record = content(&line.sealer.data(&data).expect("a record"));
        assert_eq!(record.len(), 1 + len + TAG_LEN);
        assert!(line.opener.open(record) == Ok(Record::Data(data)));
    }
    assert_eq!(line.sealer.data(&[0; MAX_DATA_LEN + 1]), Err(RecordError::TooLong));
    let record = content(&line.sealer.end(Some(-2)).expect("an end"));
    assert_eq!(line.opener.open(record), Ok(Record::End(Some(-2))));
}

#[test]
fn each_reason_to_break_off_arrives_with_its_text_cut_to_200_bytes() {
    use BreakCode::{Deleted, Expired, Idle, NoApplication, Other, Stopping};
    for code in [Deleted, Expired, Stopping, Idle, NoApplication, Other] {
        let mut line = line(Sender::Client);
        let record = content(&line.sealer.break_off(code, &"\u{fc}\u{20ac}".repeat(50)).expect("a record"));
        let text = "\u{fc}\u{20ac}".repeat(40);
        assert_eq!(line.opener.open(record), Ok(Record::BrokenOff { code, text }));
    }
    let unknown = line(Sender::Client).take(&[2, 77]);
    assert_eq!(unknown, Ok(Record::BrokenOff { code: Other, text: String::new() }));
}

#[test]
fn nothing_is_sent_or_taken_after_the_last_record() {
    type Ender = fn(&mut RecordSealer) -> Result<Vec<u8>, RecordError>;
    for last in [[1].as_slice(), &[2, 3]] {
        let mut line = line(Sender::Client);
        assert!(line.take(last).is_ok() && line.opener.is_over());
        for plaintext in [[0].as_slice(), &[1], &[2, 1], b"\0data"] {
            assert_eq!(line.take(plaintext), Err(RecordError::AfterTheEnd));
        }
        assert!(line.opener.is_over());
    }
    let enders: [Ender; 2] = [|sealer| sealer.end(None), |sealer| sealer.break_off(BreakCode::Stopping, "")];
    for end in enders {
        let mut line = line(Sender::Server);
        assert!(end(&mut line.sealer).is_ok() && line.sealer.is_over());
        assert_eq!(line.sealer.data(b"more"), Err(RecordError::AfterTheEnd));
        assert!(enders.iter().all(|again| again(&mut line.sealer) == Err(RecordError::AfterTheEnd)));
    }
}

#[test]
fn only_a_server_has_an_exit_status() {
    assert_eq!(line(Sender::Server).take(&[1, 0, 0, 0, 3]), Ok(Record::End(Some(3))));
    assert_eq!(line(Sender::Client).take(&[1, 0, 0, 0, 3]), Err(bad_type(1)));
    let mut line_of_client = line(Sender::Client);
    let record = content(&line_of_client.sealer.end(Some(3)).expect("an end"));
    assert_eq!(line_of_client.opener.open(record), Ok(Record::End(None)), "a client's is left out");
    for len in [1, 3, 5] {
        let status = [vec![1], vec![0; len]].concat();
        let taken = line(Sender::Server).take(&status);
        assert_eq!(taken, Err(DecodeError::Mismatch("the exit status").into()), "{len} bytes");
    }
}

#[test]
fn records_without_a_form_are_refused() {
    for sender in [Sender::Client, Sender::Server] {
        for kind in 3..=u8::MAX {
            assert_eq!(line(sender).take(&[kind, 1, 2]), Err(bad_type(kind.into())));
        }
        assert_eq!(line(sender).take(&[2]), Err(bad_type(2)), "without a code");
        assert_eq!(line(sender).take(&[&[2, 1], [b'x'; 201].as_slice()].concat()), Err(bad_type(2)));
        assert_eq!(line(sender).take(&[2, 1, 0xFF]), Err(DecodeError::Mismatch("the text").into()));
        assert!(line(sender).take(&[&[2, 1], [b'x'; 200].as_slice()].concat()).is_ok());
        let lengths = [0, 1, TAG_LEN - 1, TAG_LEN, 1 + MAX_DATA_LEN + TAG_LEN + 1, 65_535];
        for len in lengths {
            let refused = line(sender).opener.open(vec![0; len]);
            assert!(matches!(refused, Err(RecordError::Malformed(DecodeError::BadValue { .. }))), "{len}");
            assert!(record_len((len as u16).to_be_bytes()).is_err(), "{len}");
        }
    }
    // An empty plaintext is sealed well, but has no type.
    assert!(line(Sender::Client).take(&[]).is_err());
    assert!(line(Sender::Server).take(&vec![0; MAX_DATA_LEN + 2]).is_err(), "one byte too many");
}

#[test]
fn a_record_opens_in_its_place_only() {
    let mut first_and_second = line(Sender::Client);
    let mut next = |data: &[u8]| content(&first_and_second.sealer.data(data).expect("a record"));
    let (first, second) = (next(b"first"), next(b"second"));
    let mut reordered = line(Sender::Client).opener;
    assert_eq!(reordered.open(second.clone()), Err(WRONG_TAG));
    let mut replayed = line(Sender::Client).opener;
    assert!(replayed.open(first.clone()).is_ok());
    assert_eq!(replayed.open(first.clone()), Err(WRONG_TAG));
    let mut of_another_key = RecordOpener::new(
        CipherState::with_key(&counting_from(0x41)).expect("secret memory"),
        Sender::Client,
    );
    assert_eq!(of_another_key.open(first), Err(WRONG_TAG));
}

#[test]
fn what_one_sends_does_not_open_as_what_comes() {
    let (mut client, mut server) = handshaken();
    let sent = content(&client.transport.sealer.data(b"mine").expect("a record"));
    assert_eq!(client.transport.opener.open(sent.clone()), Err(WRONG_TAG));
    assert_eq!(server.transport.opener.open(sent), Ok(Record::Data(b"mine".to_vec())));
    let sent = content(&server.transport.sealer.data(b"yours").expect("a record"));
    assert_eq!(server.transport.opener.open(sent), Err(WRONG_TAG));
}

#[test]
fn nothing_makes_good_for_a_record_that_did_not_open() {
    let mut line = line(Sender::Server);
    let good = content(&line.sealer.end(Some(0)).expect("an end"));
    let mut bad = good.clone();
    bad[0] ^= 1;
    assert_eq!(line.opener.open(bad), Err(WRONG_TAG));
    assert_eq!(line.opener.open(good), Err(WRONG_TAG), "the same as before");
    assert!(!line.opener.is_over(), "a cut is never an end");
}

#[test]
fn a_record_that_is_cut_prolonged_or_changed_never_opens() {
    let record = |line: &mut Line| content(&line.sealer.data(b"a record of data").expect("a record"));
    let good = record(&mut line(Sender::Client));
    let opens = |bytes: &[u8]| line(Sender::Client).opener.open(bytes.to_vec()).is_ok();
    assert!(opens(&good));
    assert!((0..good.len()).all(|len| !opens(&good[..len])));
    assert!(!opens(&[good.as_slice(), &[0]].concat()));
    for bit in 0..8 * good.len() {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!opens(&changed), "bit {bit}");
    }
}

#[test]
fn a_record_is_shown_without_its_data() {
    assert_eq!(format!("{:?}", Record::Data(b"private".to_vec())), "Data(7 bytes)");
}

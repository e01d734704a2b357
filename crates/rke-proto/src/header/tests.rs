use super::*;

#[test]
fn what_differs_in_a_constant_is_not_a_request() {
    let mut good = [0; SHORT_HEADER_LEN];
    RequestHeader::new(7, (15, 2), Envelope::Type0, 2, [0xFF; NONCE_LEN]).write(&mut good);
    assert!(RequestHeader::decode(&good).is_ok());
    for at in [0, 1, 3].into_iter().chain(6..16) {
        let mut bytes = good;
        bytes[at] ^= 1;
        assert_eq!(RequestHeader::decode(&bytes), Err(HeaderError::NotARequest), "byte {at}");
    }
}

#[test]
fn random_bytes_that_an_envelope_does_not_use_are_no_part_of_its_header() {
    let coin = CoinId { denomination: 0, serial: 42 };
    for envelope in [Envelope::Type0, Envelope::Type1(coin), Envelope::Type4(coin)] {
        let header = RequestHeader::new(7, (15, 2), envelope, 2, [0xFF; NONCE_LEN]);
        let mut bytes = [0; LONG_HEADER_LEN];
        header.write(&mut bytes);
        assert_eq!(RequestHeader::decode(&bytes), Ok(header));
    }
}

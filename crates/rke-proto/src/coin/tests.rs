use super::*;

fn raida(index: u8) -> RaidaIndex {
    RaidaIndex::new(index).unwrap_or_else(|| unreachable!())
}

#[test]
fn statuses_stand_high_nibble_first() {
    let mut bytes = FileHeader::new(1, [CoinStatus::Unusable; 25]).encode();
    bytes[16] = 0xF0; // RAIDA 0 failed, 1 unknown
    bytes[17] = 0x0A; // 2 unknown, 3 passed
    bytes[28] = 0xA5; // 24 passed, then the task id
    let header = FileHeader::decode(&bytes).unwrap_or_else(|_| unreachable!());
    let passed: Vec<u8> =
        RaidaIndex::all().filter(|r| header.status(*r) == CoinStatus::Passed).map(RaidaIndex::get).collect();
    assert_eq!(passed, [3, 24]);
    assert_eq!(
        [0, 1, 2].map(|index| header.status(raida(index))),
        [CoinStatus::Failed, CoinStatus::Unusable, CoinStatus::Unusable]
    );
}

#[test]
fn what_encodes_decodes_to_the_same() {
    let statuses =
        std::array::from_fn(|i| [CoinStatus::Passed, CoinStatus::Failed, CoinStatus::Unusable][i % 3]);
    for header in [FileHeader::new(1, statuses), FileHeader::new(3, [CoinStatus::Passed; 25])] {
        assert_eq!(FileHeader::decode(&header.encode()).as_ref(), Ok(&header));
    }
}

#[test]
fn refuses_what_is_not_a_plain_coin_file() {
    let good = FileHeader::new(1, [CoinStatus::Passed; 25]).encode();
    for (at, value) in [(0, 8), (3, 7), (5, 1), (5, 4), (5, 9), (7, 0), (15, 2)] {
        let mut bytes = good;
        bytes[at] = value;
        assert!(FileHeader::decode(&bytes).is_err(), "byte {at} = {value}");
    }
}

#[test]
fn proposed_ans_are_skipped() {
    let mut bytes = FileHeader::new(2, [CoinStatus::Passed; 25]).encode();
    bytes[15] = 1;
    let header = FileHeader::decode(&bytes).unwrap_or_else(|_| unreachable!());
    assert_eq!(header.an_position(0, raida(0)), 39);
    assert_eq!(header.coin_position(1), 32 + 807);
    assert_eq!(header.an_position(1, raida(24)), 32 + 807 + 7 + 24 * 16);
    assert!(header.check_len(32 + 2 * 807).is_ok() && header.check_len(32 + 2 * 407).is_err());
}

#[test]
fn coin_ids_have_a_signed_denomination() {
    assert_eq!("-3:7".parse(), Ok(CoinId { denomination: -3, serial: 7 }));
    let id = CoinId { denomination: -3, serial: 0x0102_0304 };
    assert_eq!(id.to_bytes(), [0xFD, 1, 2, 3, 4]);
    assert_eq!(CoinId::from_bytes(id.to_bytes()), id);
    assert!("3".parse::<CoinId>().is_err() && "300:1".parse::<CoinId>().is_err());
}

//! Coin files: header, length, and where the coins and their ANs lie.

use rke_fuzz::{corpus, memory, samples};
use rke_proto::coin::{self, AN_LEN, COIN_HEADER_LEN, CoinId, CoinStatus, FILE_HEADER_LEN, FileHeader};
use rke_proto::{RAIDA_COUNT, RaidaIndex};

rke_fuzz::target!(coin_file, check_file);
rke_fuzz::target!(coin_id, check_id);

fn check_file(file: &[u8]) -> bool {
    let Some(bytes) = file.first_chunk::<FILE_HEADER_LEN>() else { return false };
    let Ok(header) = memory::none(|| FileHeader::decode(bytes)) else { return false };
    let encoded = header.encode();
    assert_eq!(FileHeader::decode(&encoded).as_ref(), Ok(&header));
    assert_eq!(encoded, without_ignored_bytes(&header, bytes));
    assert_eq!(usize::from(header.coins()), usize::from(bytes[6]) << 8 | usize::from(bytes[7]));
    if memory::none(|| header.check_len(file.len() as u64)).is_err() {
        return false;
    }
    for at in 0..header.coins() {
        let coin = &file[header.coin_position(at) as usize..][..COIN_HEADER_LEN];
        check_coin_header(coin);
        for raida in RaidaIndex::all() {
            let an = header.an_position(at, raida);
            assert!(an >= header.coin_position(at) && an + AN_LEN as u64 <= header.coin_position(at + 1));
        }
    }
    true
}

/// A header with zeros for everything that is not read: the two bytes of any value, the password's hash, the task id,
/// every status except `p` and `f`, and the motto, which is not compared.
fn without_ignored_bytes(header: &FileHeader, bytes: &[u8; FILE_HEADER_LEN]) -> [u8; FILE_HEADER_LEN] {
    let mut known = *bytes;
    (known[1], known[4]) = (0, 0);
    known[8..15].fill(0);
    if header.coins() > 1 {
        known[16..].copy_from_slice(b"Live Free or Die");
        return known;
    }
    known[16 + RAIDA_COUNT.div_ceil(2)..].fill(0);
    for byte in &mut known[16..] {
        let known = |nibble: u8| if matches!(nibble, 0xA | 0xF) { nibble } else { 0 };
        *byte = known(*byte >> 4) << 4 | known(*byte & 0xF);
    }
    known[28] &= 0xF0;
    known
}

fn check_coin_header(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk::<COIN_HEADER_LEN>() else { unreachable!("a coin has a header") };
    let encoded = coin::encode_coin_header(coin::decode_coin_header(*bytes));
    assert_eq!((encoded[..2].as_ref(), &encoded[2..]), ([0, 0].as_slice(), &bytes[2..]));
}

/// A coin's name, in the bytes of the wire and in text.
fn check_id(bytes: &[u8]) -> bool {
    if let Some(wire) = bytes.first_chunk() {
        let id = CoinId::from_bytes(*wire);
        assert_eq!((id.to_bytes(), id.to_string().parse()), (*wire, Ok(id)));
    }
    let parsed = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<CoinId>().ok());
    parsed.inspect(|id| assert_eq!(CoinId::from_bytes(id.to_bytes()), *id)).is_some()
}

#[test]
fn the_corpus_has_files_of_one_coin_and_of_several() {
    let statuses = std::array::from_fn(|at| [CoinStatus::Passed, CoinStatus::Unusable][at % 2]);
    let file = |coins: u16, proposed: bool| {
        let mut file = FileHeader::new(coins, statuses).encode().to_vec();
        file[15] = u8::from(proposed);
        for name in ["coin_1", "coin_2"].iter().cycle().take(coins.into()) {
            file.extend(coin::encode_coin_header(samples::coin(name)));
            file.extend((0..400 * (1 + usize::from(proposed))).map(|at| at as u8));
        }
        file
    };
    let good =
        [("good_one", file(1, false)), ("good_three", file(3, false)), ("good_proposed", file(1, true))];
    corpus::holds("coin_file", good.map(|(name, file)| (name.to_owned(), file)).to_vec());
}

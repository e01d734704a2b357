use super::*;

const KEY: [u8; 32] = [7; 32];
const ID: ClientKeyId = ClientKeyId([1, 2, 3, 4, 5]);
const SESSION: SessionIdentifier = [9; 8];

const BOTH: [Covered; 2] = [Covered::HeaderAndPayload, Covered::Payload];

fn sealed(data: &[u8], covered: Covered) -> Vec<u8> {
    seal_data(&KEY, ID, &SESSION, [3; 24], data, covered).expect("a packet")
}

#[test]
fn what_is_sealed_opens_at_every_length() {
    for (len, covered) in
        [0, 1, 15, 16, 1000, MAX_DATA_LEN].into_iter().flat_map(|len| BOTH.map(|covered| (len, covered)))
    {
        let mut data: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let mut packet = sealed(&data, covered);
        let (header, payload) = split(&mut packet).expect("a packet");
        assert_eq!(header.key_id, ID);
        assert_eq!(open_data(&KEY, &header, &SESSION, payload), Ok((data.as_mut_slice(), covered)));
    }
    let too_much = vec![0; MAX_DATA_LEN + 1];
    assert!(seal_data(&KEY, ID, &SESSION, [3; 24], &too_much, Covered::Payload).is_err());
}

#[test]
fn no_altered_cut_or_prolonged_packet_opens() {
    let good = sealed(b"some data", Covered::HeaderAndPayload);
    let opens = |mut packet: Vec<u8>| {
        let Ok((header, payload)) = split(&mut packet) else { return false };
        open_data(&KEY, &header, &SESSION, payload).is_ok()
    };
    assert!(opens(good.clone()));
    for at in 0..good.len() {
        let mut altered = good.clone();
        altered[at] ^= 0x20;
        assert!(!opens(altered), "byte {at}");
        assert!(!opens(good[..at].to_vec()), "cut at {at}");
    }
    assert!(!opens([good.clone(), vec![0]].concat()));
    let mut packet = good;
    let (header, payload) = split(&mut packet).expect("a packet");
    assert!(open_data(&KEY, &header, &[8; 8], payload).is_err(), "another session");
}

use super::*;

fn piece(at: u8) -> [u8; PIECE_LEN] {
    std::array::from_fn(|byte| (byte as u8).wrapping_mul(37).wrapping_add(at ^ 0x5a))
}

fn fingerprint_of(first: u8, second: u8) -> Fingerprint {
    let mut fingerprint = Fingerprint::new().expect("a salt");
    let secret = Secret::<{ 2 * PIECE_LEN }>::fill(|bytes| {
        bytes[..PIECE_LEN].copy_from_slice(&piece(first));
        bytes[PIECE_LEN..].copy_from_slice(&piece(second));
    });
    fingerprint.add(&secret.expect("a secret"));
    fingerprint
}

#[test]
fn finds_pieces_at_any_offset_and_nothing_else() {
    let fingerprint = fingerprint_of(1, 2);
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| ((at * 7) >> 3) as u8).collect();
    assert_eq!(fingerprint.find(&bytes), None);
    // At the edges, and across the border of two stretches.
    let offsets = [0, 777, STRETCH - PIECE_LEN, STRETCH - 1, STRETCH, 100_000 - PIECE_LEN];
    for (at, which) in offsets.into_iter().zip([1, 2].into_iter().cycle()) {
        for surroundings in [&bytes, &vec![0; bytes.len()]] {
            let mut bytes = surroundings.clone();
            bytes[at..at + PIECE_LEN].copy_from_slice(&piece(which));
            assert_eq!(fingerprint.find(&bytes), Some(at));
            // The first half alone is nothing.
            bytes[at + PIECE_LEN - 1] ^= 1;
            assert_eq!(fingerprint.find(&bytes), None);
        }
    }
}

#[test]
fn finds_nothing_in_less_than_a_piece() {
    let fingerprint = fingerprint_of(1, 2);
    (0..PIECE_LEN).for_each(|len| assert_eq!(fingerprint.find(&piece(1)[..len]), None));
    assert_eq!(fingerprint.find(&piece(1)), Some(0));
}

#[test]
fn does_not_look_for_zeros() {
    let mut fingerprint = Fingerprint::new().expect("a salt");
    fingerprint.add(&Secret::<32>::zeros().expect("a secret"));
    // A stretch that is not skipped.
    let mut bytes = vec![0; 1000];
    bytes[500] = 1;
    assert_eq!(fingerprint.find(&bytes), None);
}

#[test]
fn leaves_ranges_out() {
    let mut ranges = Vec::new();
    subtract(0..100, &[10..20, 15..30, 90..200], &mut ranges);
    assert_eq!(ranges, [0..10, 30..90]);
    ranges.clear();
    subtract(5..8, &[0..6, 6..10], &mut ranges);
    assert!(ranges.is_empty());
}

use super::*;

const KEY: [u8; 32] = [7; 32];

#[test]
fn the_last_number_is_the_end_of_the_stream() {
    let binding = || Binding::new(Start::new(&[1; 32]), b"");
    let sealer = |next| Sealer { binding: binding(), next };
    let opener = |next| Opener { binding: binding(), commitment: [0; 32], is_verified: true, next };
    let last_number = u64::from(u32::MAX);
    let (mut chunk, mut last) = (vec![0; CHUNK_LEN], b"text".to_vec());
    sealer(last_number).seal_last(&KEY, &mut last).expect("the last number");
    opener(last_number).open_last(&KEY, &mut last).expect("the last number");
    assert_eq!(last, b"text");
    assert_eq!(sealer(last_number + 1).seal(&KEY, &mut chunk), Err(SealError::TooLong));
    assert_eq!(sealer(last_number + 1).seal_last(&KEY, &mut last), Err(SealError::TooLong));
    let mut sealed = vec![0; CHUNK_LEN + TAG_LEN];
    assert_eq!(opener(last_number + 1).open(&KEY, &mut sealed), Err(OpenError::TooLong));
    assert!(sealed.is_empty());
}

#[test]
fn nothing_but_a_chunk_is_sealed() {
    let sealer = |next| Sealer { binding: Binding::new(Start::new(&[1; 32]), b""), next };
    for len in [0, 1, CHUNK_LEN - 1, CHUNK_LEN + 1] {
        let sealed = sealer(0).seal(&KEY, &mut vec![0; len]);
        assert_eq!(sealed, Err(SealError::ChunkLength));
    }
    for (next, len) in [(0, CHUNK_LEN + 1), (1, 0)] {
        let sealed = sealer(next).seal_last(&KEY, &mut vec![0; len]);
        assert_eq!(sealed, Err(SealError::ChunkLength));
    }
}

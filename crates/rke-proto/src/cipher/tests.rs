use rke_secret::process::block_signals;

use super::*;

#[test]
fn within_its_stack_use_it_leaves_nothing_on_the_stack() {
    block_signals().expect("signals to be blocked");
    let secret = Secret::random().expect("a secret");
    let carried_later = (u128::from(u64::MAX) - 80).to_be_bytes();
    for len in (0..1100).step_by(37).chain([1024, 2048, 5000, 100_000]) {
        for counter in [[7; BLOCK_LEN], [0xFF; BLOCK_LEN], carried_later] {
            let mut data = vec![0; len];
            let encrypted = secret.handle().expose_with_stack(aes256_ctr_stack_use(), |key: &[u8; 32]| {
                aes256_ctr(key, &counter, &mut data);
            });
            assert!(encrypted.is_some());
        }
    }
    // Nothing to look for but stacks that are not wiped.
    let scan = Fingerprint::new().and_then(|nothing| nothing.scan_memory()).expect("a scan");
    assert_eq!(scan.hits, 0, "{scan:?}");
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    // The counter wraps around within the data.
    for nonce in [[0; BLOCK_LEN], [0xFF; BLOCK_LEN]] {
        let mut whole = [0xA5; 100];
        aes256_ctr(&[7; 32], &nonce, &mut whole);
        for cut in 0..=whole.len() {
            let mut parts = [0xA5; 100];
            let (first, second) = parts.split_at_mut(cut);
            aes256_ctr_from(&[7; 32], &nonce, 0, first);
            aes256_ctr_from(&[7; 32], &nonce, cut as u64, second);
            assert_eq!(parts, whole, "cut at {cut}");
        }
    }
    let mut far = [0; 32];
    aes256_ctr_from(&[7; 32], &[0; BLOCK_LEN], u64::MAX, &mut far);
    let mut counter = [0; BLOCK_LEN];
    counter[8] = 0x10;
    let mut near = [0; 31];
    aes256_ctr(&[7; 32], &counter, &mut near);
    assert_eq!(far[1..], near);
}

#[test]
fn the_schedule_is_that_of_fips_197_appendix_a_3() {
    let key = hex::decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    let key: [u8; 32] = key.expect("hex").try_into().expect("32 bytes");
    let mut pieces = Vec::new();
    for_each_round_key(&key, |piece| pieces.push(hex::encode(piece)));
    assert_eq!(pieces.len(), 30);
    assert_eq!(pieces[0], "603deb1015ca71be2b73aef0857d7781");
    assert_eq!(pieces[1], "10eb3d60be71ca15f0ae732b81777d85");
    assert_eq!(pieces[4], "9ba354118e6925afa51a8b5f2067fcde");
    assert_eq!(pieces[28], "fe4890d1e6188d0b046df344706c631e");
}

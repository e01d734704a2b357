use std::marker::PhantomData;

use aes::cipher::array::ArraySize;
use aes::cipher::common::{BlockSizeUser, ParBlocksSizeUser};
use aes::cipher::consts::{U1, U4, U8, U9, U30, U64, U100};
use aes::cipher::inout::InOut;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use aes::{Aes128Enc, Aes256Enc};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;

use super::*;

/// A processor that encrypts that many blocks at once.
struct AtOnce<N>(Aes256Enc, PhantomData<N>);

impl<N> BlockSizeUser for AtOnce<N> {
    type BlockSize = U16;
}

impl<N: ArraySize> ParBlocksSizeUser for AtOnce<N> {
    type ParBlocksSize = N;
}

impl<N: ArraySize> BlockCipherEncBackend for AtOnce<N> {
    fn encrypt_block(&self, block: InOut<'_, '_, Block<Self>>) {
        self.0.encrypt_block_inout(block);
    }
}

impl<N: ArraySize> BlockCipherEncrypt for AtOnce<N> {
    fn encrypt_with_backend(&self, run: impl BlockCipherEncClosure<BlockSize = U16>) {
        run.call(self);
    }
}

fn applied_with<N: ArraySize>(counter: u128, len: usize) -> Vec<u8> {
    let mut data = vec![0x5A; len];
    apply(&AtOnce::<N>(Aes256Enc::new(&[7; 32].into()), PhantomData), counter, 0, &mut data);
    data
}

#[test]
fn it_is_the_same_however_many_blocks_a_processor_encrypts_at_once() {
    let carried_later = u128::from(u64::MAX) - 70;
    for len in (0..300).chain((300..4000).step_by(37)).chain([1024, 1040, 2048]) {
        for counter in [0, carried_later, u128::MAX - 3] {
            let expected = applied_with::<U1>(counter, len);
            let all = [
                applied_with::<U4>(counter, len),
                applied_with::<U8>(counter, len),
                applied_with::<U9>(counter, len),
                applied_with::<U30>(counter, len),
                applied_with::<U64>(counter, len),
                applied_with::<U100>(counter, len),
            ];
            assert!(all.iter().all(|data| *data == expected), "{len} bytes from {counter}");
        }
    }
}

fn theirs<C: BlockCipherEncrypt<BlockSize = U16>>(cipher: C, counter: u128, data: &mut [u8]) {
    let core = CtrCore::<C, Ctr128BE>::inner_iv_init(cipher, &counter.to_be_bytes().into());
    StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
}

#[test]
fn it_is_what_the_crate_ctr_makes() {
    let counters = [0, 1, u128::from(u64::MAX) - 70, u128::from(u64::MAX), u128::MAX - 3, u128::MAX << 64];
    for len in (0..300).chain((300..2100).step_by(11)).chain([512, 1023, 1024, 1025, 5000, 8192]) {
        for counter in counters {
            let mut expected = vec![0x5A; len];
            let mut data = expected.clone();
            theirs(Aes256Enc::new(&[7; 32].into()), counter, &mut expected);
            apply(&Aes256Enc::new(&[7; 32].into()), counter, 0, &mut data);
            assert!(data == expected, "AES-256, {len} bytes from {counter}");
            theirs(Aes128Enc::new(&[9; 16].into()), counter, &mut expected);
            apply(&Aes128Enc::new(&[9; 16].into()), counter, 0, &mut data);
            assert!(data == expected, "AES-128, {len} bytes from {counter}");
        }
    }
}

#[test]
fn a_stream_goes_on_anywhere() {
    let cipher = Aes256Enc::new(&[3; 32].into());
    let mut whole = [0; 3000];
    apply(&cipher, u128::MAX, 0, &mut whole);
    for position in [1, 15, 16, 17, 100, 1023, 1024, 1500] {
        for len in [0, 1, 7, 15, 16, 40, 1100, 1500] {
            let mut part = vec![0; len];
            let counter = u128::MAX.wrapping_add((position / BLOCK_LEN) as u128);
            apply(&cipher, counter, position % BLOCK_LEN, &mut part);
            assert!(part == whole[position..position + len], "{len} bytes from {position}");
        }
    }
}

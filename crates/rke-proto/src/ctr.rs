//! Counter mode over the `aes` crate's blocks. The crate `ctr` makes one counter block at a time and takes
//! twice to four times as long (`docs/performance.md`): here as many are made at once as the processor encrypts
//! at once.

use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{Block, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, ParBlocks};

use crate::cipher::BLOCK_LEN;

/// XORs `data` with the blocks' keystream, from the byte `skip` (less than a block) of the block `counter` on.
/// The counter is the whole block, and begins anew after its last value.
pub(crate) fn apply(
    cipher: &impl BlockCipherEncrypt<BlockSize = U16>,
    counter: u128,
    skip: usize,
    data: &mut [u8],
) {
    run(cipher, Keystream { counter, skip, data });
}

/// Apart, because the code for the processor is the last that it calls: it takes the place of this function's frame,
/// most of which is there for processors without AES. What a frame takes, the scratch stack has to be wiped of.
#[inline(never)]
fn run(cipher: &impl BlockCipherEncrypt<BlockSize = U16>, keystream: Keystream<'_>) {
    cipher.encrypt_with_backend(keystream);
}

struct Keystream<'a> {
    counter: u128,
    skip: usize,
    data: &'a mut [u8],
}

impl BlockSizeUser for Keystream<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Keystream<'_> {
    // Inlined into code that the `aes` crate compiles for what the processor has.
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let Self { mut counter, skip, data } = self;
        let at_once = B::ParBlocksSize::USIZE;
        let one = |counter: u128| {
            let mut block: Block<B> = counter.to_be_bytes().into();
            backend.encrypt_block((&mut block).into());
            block
        };
        let many = |counter: u128| {
            let mut blocks = counters::<B>(counter);
            backend.encrypt_par_blocks((&mut blocks).into());
            blocks
        };
        let begun = if skip == 0 { 0 } else { (BLOCK_LEN - skip).min(data.len()) };
        let (begun, data) = data.split_at_mut(begun);
        if !begun.is_empty() {
            xor(begun, &one(counter)[skip..]);
            counter = counter.wrapping_add(1);
        }
        let mut chunks = data.chunks_exact_mut(at_once * BLOCK_LEN);
        for chunk in &mut chunks {
            xor(chunk, Array::slice_as_flattened(&many(counter)));
            counter = counter.wrapping_add(at_once as u128);
        }
        let rest = chunks.into_remainder();
        // As many as that cost more one by one.
        if rest.len() > at_once * BLOCK_LEN / 2 {
            return xor(rest, Array::slice_as_flattened(&many(counter)));
        }
        for block in rest.chunks_mut(BLOCK_LEN) {
            xor(block, &one(counter));
            counter = counter.wrapping_add(1);
        }
    }
}

/// As many counter blocks as the processor encrypts at once.
#[inline(always)]
fn counters<B: BlockCipherEncBackend<BlockSize = U16>>(first: u128) -> ParBlocks<B> {
    let mut blocks = ParBlocks::<B>::default();
    let (high, low) = ((first >> u64::BITS) as u64, first as u64);
    let is_carried = low.checked_add(B::ParBlocksSize::U64).is_none();
    for (at, block) in blocks.iter_mut().enumerate() {
        if is_carried {
            *block = first.wrapping_add(at as u128).to_be_bytes().into();
        } else {
            let (front, back) = block.split_at_mut(BLOCK_LEN / 2);
            front.copy_from_slice(&high.to_be_bytes());
            back.copy_from_slice(&(low + at as u64).to_be_bytes());
        }
    }
    blocks
}

#[inline(always)]
fn xor(data: &mut [u8], stream: &[u8]) {
    for (byte, stream) in data.iter_mut().zip(stream) {
        *byte ^= stream;
    }
}

#[cfg(test)]
mod tests {
    use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
    use aes::{Aes128Enc, Aes256Enc};
    use ctr::CtrCore;
    use ctr::flavors::Ctr128BE;

    use super::*;

    fn theirs<C: BlockCipherEncrypt<BlockSize = U16>>(cipher: C, counter: u128, data: &mut [u8]) {
        let core = CtrCore::<C, Ctr128BE>::inner_iv_init(cipher, &counter.to_be_bytes().into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
    }

    #[test]
    fn it_is_what_the_crate_ctr_makes() {
        let counters =
            [0, 1, u128::from(u64::MAX) - 70, u128::from(u64::MAX), u128::MAX - 3, u128::MAX << 64];
        for len in (0..300).chain([512, 513, 1023, 1024, 1025, 1535, 1536, 1537, 2047, 5000, 8192]) {
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
}

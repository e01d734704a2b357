//! Counter mode over the `aes` crate's blocks. The crate `ctr` makes one counter block at a time and takes
//! twice to four times as long (`docs/performance.md`): here as many are made at once as the processor encrypts
//! at once.

use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{Block, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, ParBlocks};

use super::BLOCK_LEN;

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
        let begun = if skip == 0 { 0 } else { (BLOCK_LEN - skip).min(data.len()) };
        let (begun, mut data) = data.split_at_mut(begun);
        if !begun.is_empty() {
            xor(begun, &one(counter)[skip..]);
            counter = counter.wrapping_add(1);
        }
        let many = |halves| {
            let mut blocks = counters::<B>(halves);
            backend.encrypt_par_blocks((&mut blocks).into());
            blocks
        };
        while data.len() >= at_once * BLOCK_LEN
            && let Some(halves) = halves::<B>(counter)
        {
            let (now, later) = data.split_at_mut(at_once * BLOCK_LEN);
            xor(now, Array::slice_as_flattened(&many(halves)));
            counter = counter.wrapping_add(at_once as u128);
            data = later;
        }
        // A group costs less than so many blocks one by one, where a register holds several of them.
        let (is_wide, few) = (at_once * BLOCK_LEN > 2 * PIECE, at_once * BLOCK_LEN / 4);
        match halves::<B>(counter) {
            Some(halves) if is_wide && data.len() > few => {
                let len = data.len();
                data = xor_pieces(data, Array::slice_as_flattened(&many(halves)));
                counter = counter.wrapping_add(((len - data.len()) / BLOCK_LEN) as u128);
            }
            Some(halves) if !is_wide && data.len() > 2 * few => {
                return xor(data, Array::slice_as_flattened(&many(halves)));
            }
            _ => (),
        }
        for block in data.chunks_mut(BLOCK_LEN) {
            xor(block, &one(counter));
            counter = counter.wrapping_add(1);
        }
    }
}

/// A counter's high and low half. `None` where the low one overflows within as many blocks as the processor encrypts at
/// once, or after them: that happens to one of 2^58 random counters, and all that follows is encrypted block by block.
#[inline(always)]
fn halves<B: BlockCipherEncBackend<BlockSize = U16>>(counter: u128) -> Option<(u64, u64)> {
    let (high, low) = ((counter >> u64::BITS) as u64, counter as u64);
    low.checked_add(B::ParBlocksSize::U64).map(|_| (high, low))
}

/// As many counter blocks as the processor encrypts at once.
#[inline(always)]
fn counters<B: BlockCipherEncBackend<BlockSize = U16>>((high, low): (u64, u64)) -> ParBlocks<B> {
    let mut blocks = ParBlocks::<B>::default();
    for (at, block) in blocks.iter_mut().enumerate() {
        let (front, back) = block.split_at_mut(BLOCK_LEN / 2);
        front.copy_from_slice(&high.to_be_bytes());
        back.copy_from_slice(&(low + at as u64).to_be_bytes());
    }
    blocks
}

/// Bytes that one register of the widest kind holds.
const PIECE: usize = 64;

/// XORs the whole pieces of `data`, as many as there is keystream for, up to 16, and gives back what is left. They are
/// written out one by one, because a loop would pick pieces by number, for which the keystream has to lie in memory: a
/// kilobyte of stack that would be wiped after each use of a key.
#[inline(always)]
fn xor_pieces<'a>(data: &'a mut [u8], stream: &[u8]) -> &'a mut [u8] {
    let len = data.len().min(16 * PIECE).min(stream.len()) / PIECE * PIECE;
    let (data, rest) = data.split_at_mut(len);
    let (pieces, _) = data.as_chunks_mut::<PIECE>();
    let (stream, _) = stream.as_chunks::<PIECE>();
    macro_rules! each {
        ($($at:literal)*) => {
            $(if let (Some(piece), Some(stream)) = (pieces.get_mut($at), stream.get($at)) {
                xor_piece(piece, stream);
            })*
        }
    }
    each!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    rest
}

/// By words, whose places the compiler knows sooner than those of bytes.
#[inline(always)]
fn xor_piece(piece: &mut [u8; PIECE], stream: &[u8; PIECE]) {
    let (words, _) = piece.as_chunks_mut();
    let (stream, _) = stream.as_chunks();
    for (word, stream) in words.iter_mut().zip(stream) {
        *word = (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(*stream)).to_ne_bytes();
    }
}

#[inline(always)]
fn xor(data: &mut [u8], stream: &[u8]) {
    for (byte, stream) in data.iter_mut().zip(stream) {
        *byte ^= stream;
    }
}

#[cfg(test)]
mod tests {
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

    /// A processor that encrypts so many blocks at once.
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
        let counters =
            [0, 1, u128::from(u64::MAX) - 70, u128::from(u64::MAX), u128::MAX - 3, u128::MAX << 64];
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
}

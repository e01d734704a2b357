//! Counter mode over the `aes` crate's blocks. The crate `ctr` makes one counter block at a time and takes two to
//! four times as long (`docs/performance.md`). This code makes as many at a time as the processor encrypts in
//! parallel.

use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{Block, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, ParBlocks};

use super::BLOCK_LEN;

/// XORs `data` with the blocks' keystream, from the byte `skip` (less than a block) of the block `counter` on.
/// The counter is the whole block, and wraps around after its last value.
pub(crate) fn apply(
    cipher: &impl BlockCipherEncrypt<BlockSize = U16>,
    counter: u128,
    skip: usize,
    data: &mut [u8],
) {
    run(cipher, Keystream { counter, skip, data });
}

/// A separate function, because its last call, to the code for the processor, replaces its frame, most of which is
/// for processors without AES. Every frame adds to the wiping of the scratch stack.
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
    // Inlined into code that the `aes` crate compiles for the processor's features.
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
        // A group costs less than its blocks one by one if a register holds several of them.
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

/// A counter's high and low half. `None` if the low one overflows within the blocks that the processor encrypts at
/// once, or right after them: that happens to one of 2^58 random counters, and the rest is then encrypted block by block.
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

/// XORs the whole pieces of `data`, as many as the keystream covers, up to 16, and returns the rest. The pieces are
/// unrolled by hand, because a loop would index the keystream, which would then have to be in memory: a
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

/// By words, whose offsets the compiler resolves better than those of bytes.
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
mod tests;

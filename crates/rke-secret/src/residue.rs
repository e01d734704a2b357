//! Looks through the process's own memory, and through the registers of its threads, for a secret
//! that should be gone. What to look for is kept as salted hashes, so the secret is not needed.
//!
//! All threads stand still meanwhile: the kernel has put their registers on their stacks, which are
//! memory like any other. Secret memory itself is left out, for other secrets live there: of it
//! only the idle scratch stacks are looked at, which must be zero.

use std::collections::HashSet;
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use procfs::process::{MMPermissions, Process};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::SecretError;
use crate::memory::{Memory, lock};
use crate::process::STANDSTILL_SIGNAL;
use crate::raw::{install_standstill, set_standstill, signal_thread, standing};

/// Length of the pieces that are looked for.
pub const PIECE_LEN: usize = 16;

/// How much is copied out of the process at a time, and how much of it is looked at again with the
/// next copy, because a piece may lie across.
const CHUNK: usize = 256 * 1024;
const OVERLAP: usize = PIECE_LEN - 1;

/// How much is looked at for zeros at a time.
const STRETCH: usize = 256;

/// How long to wait for the threads to stand still. One that is deep in the kernel comes later.
const STANDSTILL_WAIT: Duration = Duration::from_millis(20);

/// Pieces of a secret, as hashes under a salt of their own.
pub struct Fingerprint {
    salt: [u8; 32],
    /// One bit for each value that [`Fingerprint::bucket`] gives for a piece.
    buckets: Box<[u64; BUCKETS / 64]>,
    hashes: HashSet<[u8; 32]>,
}

const BUCKETS: usize = 1 << 16;

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Bytes that were looked at, the threads' registers among them.
    pub scanned_bytes: u64,
    /// Pieces that were found. Anything but 0 is a bug in this program.
    pub hits: u64,
    /// How many of the found pieces could be overwritten.
    pub wiped: u64,
    /// Threads that stood still, and how many did not in time: their registers were not seen.
    pub threads: u32,
    /// See `threads`.
    pub threads_missed: u32,
    /// How long it took.
    pub took: Duration,
}

impl Fingerprint {
    /// A fingerprint of nothing, under a random salt.
    ///
    /// # Errors
    /// [`SecretError::Random`].
    pub fn new() -> Result<Self, SecretError> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt)?;
        Ok(Self { salt, buckets: Box::new([0; BUCKETS / 64]), hashes: HashSet::with_capacity(64) })
    }

    /// Adds a piece to look for. To be called where the secret is exposed.
    pub fn add(&mut self, piece: &[u8; PIECE_LEN]) {
        let bucket = self.bucket(piece);
        self.buckets[bucket / 64] |= 1 << (bucket % 64);
        self.hashes.insert(self.hash(piece));
    }

    /// Sixteen bits of a keyed mix of the first half: too few to learn a piece from, enough to pass
    /// over almost everything that is not one.
    fn bucket(&self, piece: &[u8; PIECE_LEN]) -> usize {
        let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        (word(piece).wrapping_mul(word(&self.salt) | 1) >> 48) as usize
    }

    fn hash(&self, piece: &[u8; PIECE_LEN]) -> [u8; 32] {
        Sha256::new().chain_update(self.salt).chain_update(piece).finalize().into()
    }

    /// Where in `bytes` the pieces lie. Stretches of zeros, of which memory is full, are passed over
    /// whole: no piece of a key is zero.
    fn find<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let last = (bytes.len() + 1).saturating_sub(PIECE_LEN);
        (0..last).step_by(STRETCH).flat_map(move |start| {
            let stretch = &bytes[start..(start + STRETCH + OVERLAP).min(bytes.len())];
            let is_zero = stretch.iter().fold(0, |all, byte| all | byte) == 0;
            let windows = if is_zero { [].windows(PIECE_LEN) } else { stretch.windows(PIECE_LEN) };
            windows.enumerate().filter_map(move |(at, window)| {
                let window = window.first_chunk::<PIECE_LEN>()?;
                let bucket = self.bucket(window);
                let may_be = self.buckets[bucket / 64] >> (bucket % 64) & 1 == 1;
                (may_be && self.hashes.contains(&self.hash(window))).then_some(start + at)
            })
        })
    }

    /// Looks through the whole process, and overwrites what it finds. Blocks for some tens of
    /// milliseconds; one look runs at a time.
    ///
    /// # Errors
    /// [`SecretError`] when the process cannot look at itself.
    pub fn look(&self) -> Result<Look, SecretError> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _alone = lock(&ONE_AT_A_TIME);
        let started = Instant::now();
        let memory = Memory::get()?;
        let mut copy = vec![0; CHUNK];
        let copied = copy.as_ptr() as u64..copy.as_ptr() as u64 + CHUNK as u64;
        let left_out: Vec<Range<u64>> = memory.ranges().into_iter().chain([copied]).collect();
        let ranges = present_memory(&left_out)?;
        let mut look =
            Look { scanned_bytes: 0, hits: 0, wiped: 0, threads: 0, threads_missed: 0, took: Duration::ZERO };
        let standstill = Standstill::begin()?;
        // Nothing may allocate or lock from here on: a thread that stands still may be in the middle
        // of that.
        (look.threads, look.threads_missed) = (standstill.standing, standstill.missed);
        for range in ranges {
            self.look_at(range, &mut copy, &mut look);
        }
        let (dirty, bytes) = memory.look_at_stacks();
        drop(standstill);
        copy.zeroize();
        look.hits += dirty as u64;
        look.scanned_bytes += bytes;
        look.took = started.elapsed();
        Ok(look)
    }

    fn look_at(&self, range: Range<u64>, copy: &mut [u8], look: &mut Look) {
        let mut at = range.start;
        while at < range.end {
            let wanted = (range.end - at).min(CHUNK as u64) as usize;
            let remote = [RemoteIoVec { base: at as usize, len: wanted }];
            let read = process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut copy[..wanted])], &remote);
            // Gone in the meantime, or a page that nobody may read.
            let Ok(read @ 1..) = read else { return };
            look.scanned_bytes += read as u64;
            for found in self.find(&copy[..read]) {
                look.hits += 1;
                look.wiped += u64::from(overwrite(at + found as u64));
            }
            if read <= OVERLAP || read < wanted {
                return;
            }
            at += (read - if at + (read as u64) < range.end { OVERLAP } else { 0 }) as u64;
        }
    }
}

impl Drop for Fingerprint {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

/// Overwrites a piece where it lies. `false` in memory that nobody may write.
fn overwrite(at: u64) -> bool {
    let zeros = [0; PIECE_LEN];
    let remote = [RemoteIoVec { base: at as usize, len: PIECE_LEN }];
    process_vm_writev(Pid::this(), &[IoSlice::new(&zeros)], &remote) == Ok(PIECE_LEN)
}

/// The parts of the process's memory that hold anything, without the secret memory.
fn present_memory(left_out: &[Range<u64>]) -> Result<Vec<Range<u64>>, SecretError> {
    let failed =
        |error| SecretError::System { action: "list the process's memory", source: io::Error::other(error) };
    let maps = Process::myself().and_then(|process| process.smaps()).map_err(failed)?;
    let mut present = Vec::new();
    for map in maps {
        let in_memory =
            ["Rss", "Swap"].iter().any(|field| map.extension.map.get(*field).is_some_and(|n| *n > 0));
        if map.perms.contains(MMPermissions::READ) && in_memory {
            subtract(map.address.0..map.address.1, left_out, &mut present);
        }
    }
    Ok(present)
}

/// Adds `range` without the parts that are in `left_out`.
fn subtract(range: Range<u64>, left_out: &[Range<u64>], to: &mut Vec<Range<u64>>) {
    let overlapping = left_out.iter().find(|out| out.start < range.end && range.start < out.end);
    match overlapping {
        None if range.is_empty() => (),
        None => to.push(range),
        Some(out) => {
            if range.start < out.start {
                subtract(range.start..out.start, left_out, to);
            }
            if out.end < range.end {
                subtract(out.end..range.end, left_out, to);
            }
        }
    }
}

/// All other threads stand still until this is dropped.
struct Standstill {
    standing: u32,
    missed: u32,
}

impl Standstill {
    fn begin() -> Result<Self, SecretError> {
        let failed = |source| SecretError::System { action: "stop the process's threads", source };
        install_standstill(STANDSTILL_SIGNAL).map_err(failed)?;
        let tasks = Process::myself().and_then(|process| process.tasks());
        let tasks = tasks.map_err(|error| failed(io::Error::other(error)))?;
        let process = std::process::id() as i32;
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let others: Vec<i32> = tasks.flatten().map(|task| task.tid).filter(|tid| *tid != own).collect();
        set_standstill(true);
        let signalled = others.iter().filter(|tid| signal_thread(process, **tid, STANDSTILL_SIGNAL).is_ok());
        let signalled = signalled.count() as u32;
        let deadline = Instant::now() + STANDSTILL_WAIT;
        while standing() < signalled && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(20));
        }
        let standing = standing();
        Ok(Self { standing, missed: signalled.saturating_sub(standing) })
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        set_standstill(false);
        // The next standstill must not count those that have not gone on yet.
        while standing() > 0 {
            std::thread::sleep(Duration::from_micros(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(at: u8) -> [u8; PIECE_LEN] {
        std::array::from_fn(|byte| (byte as u8).wrapping_mul(37).wrapping_add(at ^ 0x5a))
    }

    #[test]
    fn finds_pieces_at_any_offset_and_nothing_else() {
        let mut fingerprint = Fingerprint::new().expect("a salt");
        fingerprint.add(&piece(1));
        fingerprint.add(&piece(2));
        let mut bytes: Vec<u8> = (0..100_000_u32).map(|at| ((at * 7) >> 3) as u8).collect();
        assert_eq!(fingerprint.find(&bytes).count(), 0);
        for (at, which) in [(0, 1), (777, 2), (100_000 - PIECE_LEN, 1)] {
            bytes[at..at + PIECE_LEN].copy_from_slice(&piece(which));
        }
        let found: Vec<usize> = fingerprint.find(&bytes).collect();
        assert_eq!(found, [0, 777, 100_000 - PIECE_LEN]);
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

    #[test]
    fn finds_what_lies_in_the_heap_and_overwrites_it() {
        // Made at run time, so that no copy lies in the program's constants.
        let mut secret = [0_u8; PIECE_LEN];
        getrandom::fill(&mut secret).expect("random bytes");
        let mut fingerprint = Fingerprint::new().expect("a salt");
        fingerprint.add(&secret);
        let residue = secret.to_vec().into_boxed_slice();
        secret.zeroize();
        let look = fingerprint.look().expect("a look");
        assert!(look.hits >= 1 && look.wiped >= 1, "{look:?}");
        assert!(look.scanned_bytes > 1_000_000, "{look:?}");
        assert_eq!(std::hint::black_box(&residue)[..], [0; PIECE_LEN], "what was found is overwritten");
        let look = fingerprint.look().expect("a look");
        assert_eq!(look.hits, 0, "{look:?}");
    }
}

//! Looks through the process's own memory, and through the registers of its threads, for a secret
//! that should be gone. What to look for is kept as salted hashes, so the secret is not needed.
//! Where one is found the process ends: to overwrite it would be to write into memory that belongs to
//! others, and to go on would be to keep it.
//!
//! All threads stand still meanwhile: the kernel has put their registers on their stacks, which are
//! memory like any other. Secret memory itself is left out, for other secrets live there: of it
//! only the idle scratch stacks are looked at, which must be zero, and are made so.

use std::collections::HashSet;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use procfs::process::{MMPermissions, Process};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::lock::lock;
use crate::memory::Memory;
use crate::process::STANDSTILL_SIGNAL;
use crate::raw::{abort, install_standstill, set_standstill, signal_thread, standing};
use crate::{Secret, SecretError};

/// Length of the pieces that are looked for.
pub const PIECE_LEN: usize = 16;

/// How much is copied out of the process at a time, and how much of it is looked at again with the
/// next copy, because a piece may lie across.
const CHUNK: usize = 256 * 1024;
const OVERLAP: usize = PIECE_LEN - 1;

/// How much is looked at for zeros at a time.
const STRETCH: usize = 256;

const FOUND: &str = "rke: a secret that should be gone still lies in this process's memory. The process ends, so that it is \
                     gone with it. This is a bug in rke: please report it.\n";

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
    /// Scratch stacks that had not been wiped, and are now. Anything but 0 is a bug in this program.
    pub hits: u64,
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

    /// Adds a secret to look for: each [`PIECE_LEN`] bytes of it, one after the other, without pieces of zeros, of which
    /// memory is full.
    ///
    /// ```
    /// # use rke_secret::{Secret, residue::Fingerprint};
    /// let mut fingerprint = Fingerprint::new()?;
    /// fingerprint.add(&Secret::<16>::random()?);
    /// # Ok::<(), rke_secret::SecretError>(())
    /// ```
    ///
    /// Bytes that are not known to be a secret may lie in memory rightly:
    ///
    /// ```compile_fail
    /// # use rke_secret::{Secret, residue::Fingerprint};
    /// let mut fingerprint = Fingerprint::new()?;
    /// fingerprint.add(&[7; 16]);
    /// # Ok::<(), rke_secret::SecretError>(())
    /// ```
    pub fn add<const N: usize>(&mut self, secret: &Secret<N>) {
        const { assert!(N > 0 && N.is_multiple_of(PIECE_LEN), "a secret is looked for in whole pieces") };
        secret.expose(|secret| {
            let (pieces, _) = secret.as_chunks::<PIECE_LEN>();
            pieces.iter().filter(|piece| **piece != [0; PIECE_LEN]).for_each(|piece| self.add_piece(piece));
        });
    }

    fn add_piece(&mut self, piece: &[u8; PIECE_LEN]) {
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

    /// Looks through the whole process. Blocks for some tens of milliseconds; one look runs at a time. Where a piece is
    /// found outside of secret memory, this says so on standard error and aborts the process.
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
        // Held to the end: what is mapped later would be taken for what lay there before.
        let secret_memory = memory.ranges();
        let left_out: Vec<Range<u64>> = secret_memory.iter().cloned().chain([copied]).collect();
        let ranges = present_memory(&left_out)?;
        let standstill = Standstill::begin()?;
        // Nothing may allocate or lock from here on: a thread that stands still may be in the middle
        // of that.
        let mut scanned_bytes = 0;
        for range in ranges {
            scanned_bytes += self.look_at(range, &mut copy);
        }
        let (hits, bytes) = memory.clear_idle_stacks();
        let (threads, threads_missed) = (standstill.standing, standstill.missed);
        drop(standstill);
        copy.zeroize();
        let scanned_bytes = scanned_bytes + bytes;
        Ok(Look { scanned_bytes, hits, threads, threads_missed, took: started.elapsed() })
    }

    /// Gives how many bytes could be looked at.
    fn look_at(&self, range: Range<u64>, copy: &mut [u8]) -> u64 {
        let (mut at, mut scanned) = (range.start, 0);
        while at < range.end {
            let wanted = (range.end - at).min(CHUNK as u64) as usize;
            let remote = [RemoteIoVec { base: at as usize, len: wanted }];
            let read = process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut copy[..wanted])], &remote);
            // Gone in the meantime, or a page that nobody may read.
            let Ok(read @ 1..) = read else { break };
            scanned += read as u64;
            if self.find(&copy[..read]).next().is_some() {
                abort(FOUND);
            }
            if read <= OVERLAP || read < wanted {
                break;
            }
            at += (read - if at + (read as u64) < range.end { OVERLAP } else { 0 }) as u64;
        }
        scanned
    }
}

impl Drop for Fingerprint {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
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
        let mut bytes: Vec<u8> = (0..100_000_u32).map(|at| ((at * 7) >> 3) as u8).collect();
        assert_eq!(fingerprint.find(&bytes).count(), 0);
        for (at, which) in [(0, 1), (777, 2), (100_000 - PIECE_LEN, 1)] {
            bytes[at..at + PIECE_LEN].copy_from_slice(&piece(which));
        }
        let found: Vec<usize> = fingerprint.find(&bytes).collect();
        assert_eq!(found, [0, 777, 100_000 - PIECE_LEN]);
    }

    #[test]
    fn does_not_look_for_zeros() {
        let mut fingerprint = Fingerprint::new().expect("a salt");
        fingerprint.add(&Secret::<32>::zeros().expect("a secret"));
        // A stretch that is not passed over whole.
        let mut bytes = vec![0; 1000];
        bytes[500] = 1;
        assert_eq!(fingerprint.find(&bytes).count(), 0);
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
}

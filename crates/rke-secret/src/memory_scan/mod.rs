//! Scans the process's own memory, and the registers of its threads, for a secret that should be gone. The
//! [`Fingerprint`] holds salted hashes, so the scan does not need the secret. If the scan finds it, the process aborts:
//! overwriting the bytes would write into memory of unknown owners, and continuing would keep the secret.
//!
//! All other threads are stopped meanwhile, by a signal: the kernel has put their registers on their stacks, which are
//! memory like any other. The scan leaves out secret memory, which holds other secrets, except for the idle scratch
//! stacks: these must be zero, and the scan wipes those that are not.

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

/// Length of the pieces that the scan searches for.
pub const PIECE_LEN: usize = 16;

/// How much is copied out of the process at a time, and how much of it is scanned again with the next copy, because a
/// piece may cross the border.
const CHUNK: usize = 256 * 1024;
const OVERLAP: usize = PIECE_LEN - 1;

/// Length of the half of a piece that is looked up first.
const HALF_LEN: usize = size_of::<u64>();

/// How much is checked for zeros at a time, with what follows because a piece may cross the border.
const STRETCH: usize = 256;
const ZEROS: [u8; STRETCH + OVERLAP] = [0; STRETCH + OVERLAP];

const FOUND: &str = "rke: a secret that should be gone still lies in this process's memory. The process ends, so that it is \
                     gone with it. This is a bug in rke: please report it.\n";

/// How long to wait for the threads to stop. A thread deep in the kernel may take longer, and is missed.
const STANDSTILL_WAIT: Duration = Duration::from_millis(20);

/// Pieces of a secret, as hashes under a salt of their own.
pub struct Fingerprint {
    salt: [u8; 32],
    /// One bit for each value that [`bucket`] gives for a piece.
    buckets: Box<[u64; BUCKETS / 64]>,
    hashes: HashSet<[u8; 32]>,
}

const BUCKETS: usize = 1 << 16;

/// What a scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryScan {
    /// Bytes that were read, including the threads' registers.
    pub scanned_bytes: u64,
    /// Scratch stacks that had not been wiped, and are now. Anything except 0 is a bug in this program.
    pub hits: u64,
    /// Threads that were stopped.
    pub threads: u32,
    /// Threads that did not stop in time, so their registers were not scanned.
    pub threads_missed: u32,
    /// How long the scan took.
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

    /// Adds a secret to search for: each [`PIECE_LEN`] bytes of it, without pieces of zeros, which are everywhere in memory.
    ///
    /// ```
    /// # use rke_secret::{Secret, memory_scan::Fingerprint};
    /// let mut fingerprint = Fingerprint::new()?;
    /// fingerprint.add(&Secret::<16>::random()?);
    /// # Ok::<(), rke_secret::SecretError>(())
    /// ```
    ///
    /// Only a [`Secret`] can be added. Other bytes may be in memory legitimately:
    ///
    /// ```compile_fail
    /// # use rke_secret::{Secret, memory_scan::Fingerprint};
    /// let mut fingerprint = Fingerprint::new()?;
    /// fingerprint.add(&[7; 16]);
    /// # Ok::<(), rke_secret::SecretError>(())
    /// ```
    pub fn add<const N: usize>(&mut self, secret: &Secret<N>) {
        const { assert!(N > 0 && N.is_multiple_of(PIECE_LEN), "a secret consists of whole pieces") };
        secret.expose(|secret| {
            let (pieces, _) = secret.as_chunks::<PIECE_LEN>();
            pieces.iter().filter(|piece| **piece != [0; PIECE_LEN]).for_each(|piece| self.add_piece(piece));
        });
    }

    fn add_piece(&mut self, piece: &[u8; PIECE_LEN]) {
        let bucket = bucket(first_half(piece), self.multiplier());
        self.buckets[bucket / 64] |= 1 << (bucket % 64);
        self.hashes.insert(self.hash(piece));
    }

    /// The key of [`bucket`].
    fn multiplier(&self) -> u64 {
        first_half(&self.salt) | 1
    }

    fn hash(&self, piece: &[u8; PIECE_LEN]) -> [u8; 32] {
        Sha256::new().chain_update(self.salt).chain_update(piece).finalize().into()
    }

    /// The offset of the first piece in `bytes`. Stretches of zeros, of which memory is full, are skipped: no piece is zero.
    fn find(&self, bytes: &[u8]) -> Option<usize> {
        (0..bytes.len()).step_by(STRETCH).find_map(|start| {
            let stretch = &bytes[start..(start + STRETCH + OVERLAP).min(bytes.len())];
            let at = if stretch == &ZEROS[..stretch.len()] { None } else { self.find_in(stretch) };
            at.map(|at| start + at)
        })
    }

    /// The same, for a stretch. All other threads wait for this, in debug builds too, where an iterator over windows takes
    /// several times as long.
    fn find_in(&self, stretch: &[u8]) -> Option<usize> {
        let (mut half, multiplier) = (0_u64, self.multiplier());
        for (last, byte) in stretch.iter().enumerate() {
            half = half >> 8 | u64::from(*byte) << 56;
            let bucket = bucket(half, multiplier);
            if self.buckets[bucket / 64] >> (bucket % 64) & 1 == 1
                && let Some(at) = (last + 1).checked_sub(HALF_LEN)
                && let Some(piece) = stretch[at..].first_chunk()
                && self.hashes.contains(&self.hash(piece))
            {
                return Some(at);
            }
        }
        None
    }

    /// Scans the whole process. Blocks for some tens of milliseconds; one scan runs at a time. Where a piece lies outside
    /// secret memory, this says so on standard error and aborts the process.
    ///
    /// # Errors
    /// [`SecretError`] when the process cannot read its own memory.
    pub fn scan_memory(&self) -> Result<MemoryScan, SecretError> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _alone = lock(&ONE_AT_A_TIME);
        let started = Instant::now();
        let memory = Memory::get()?;
        let mut copy = vec![0; CHUNK];
        let copied = copy.as_ptr() as u64..copy.as_ptr() as u64 + CHUNK as u64;
        // Held to the end: memory mapped later could reuse an address of the list.
        let secret_memory = memory.ranges();
        let left_out: Vec<Range<u64>> = secret_memory.iter().cloned().chain([copied]).collect();
        let ranges = present_memory(&left_out)?;
        let standstill = Standstill::begin()?;
        // Nothing may allocate or lock from here on: a stopped thread may hold the lock of either.
        let mut scanned_bytes = 0;
        for range in ranges {
            scanned_bytes += self.scan_range(range, &mut copy);
        }
        let (hits, bytes) = memory.clear_idle_stacks();
        let (threads, threads_missed) = (standstill.standing, standstill.missed);
        drop(standstill);
        copy.zeroize();
        let scanned_bytes = scanned_bytes + bytes;
        Ok(MemoryScan { scanned_bytes, hits, threads, threads_missed, took: started.elapsed() })
    }

    /// Returns how many bytes it could read.
    fn scan_range(&self, range: Range<u64>, copy: &mut [u8]) -> u64 {
        let (mut at, mut scanned) = (range.start, 0);
        while at < range.end {
            let wanted = (range.end - at).min(CHUNK as u64) as usize;
            let remote = [RemoteIoVec { base: at as usize, len: wanted }];
            let read = process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut copy[..wanted])], &remote);
            // Unmapped in the meantime, or an unreadable page.
            let Ok(read @ 1..) = read else { break };
            scanned += read as u64;
            if self.find(&copy[..read]).is_some() {
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

fn first_half(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |half| u64::from_le_bytes(*half))
}

/// Sixteen bits of a keyed mix of a piece's first half: too few to reveal a piece, enough to reject almost everything else.
fn bucket(half: u64, multiplier: u64) -> usize {
    (half.wrapping_mul(multiplier) >> 48) as usize
}

impl Drop for Fingerprint {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

/// The readable parts of the process's memory that are present, without `left_out`.
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

/// Keeps all other threads stopped until it is dropped.
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
        // The next standstill must not count threads that have not resumed yet.
        while standing() > 0 {
            std::thread::sleep(Duration::from_micros(20));
        }
    }
}

#[cfg(test)]
mod tests;

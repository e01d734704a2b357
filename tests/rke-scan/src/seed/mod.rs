//! The seed of a client's ephemeral key. The client draws it and tells nobody; but while it waits for the response it
//! holds it, and where its secret memory can be read the seed is there: it is the 32 bytes that give the public key.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};
use procfs::process::{Process, VmFlags};

use crate::kem::{PUBLIC_LEN, is_seed_of};

/// Possible positions of secrets.
const ALIGNMENT: usize = 8;

/// Random bytes have more different ones than this among 32.
const FEW_DIFFERENT: usize = 16;

/// Reads the seed of a public key in a process that waits for the response to it, and lets the process continue.
pub(crate) fn read(process: i32, public: &[u8; PUBLIC_LEN]) -> Result<[u8; 32]> {
    let memory =
        File::open(format!("/proc/{process}/mem")).context("cannot open the memory of the process")?;
    for range in locked_memory(process)? {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        // It lies between guard pages, all of it present.
        if memory.read_exact_at(&mut bytes, range.start).is_err() {
            continue;
        }
        if let Some(seed) = find(&bytes, public) {
            return Ok(seed);
        }
    }
    bail!("the seed of a handshake that waits is in no secret memory of the process")
}

fn locked_memory(process: i32) -> Result<Vec<Range<u64>>> {
    let maps = Process::new(process)?.smaps().context("cannot list the memory of the process")?;
    let locked = maps.iter().filter(|map| map.extension.vm_flags.contains(VmFlags::LO));
    Ok(locked.map(|map| map.address.0..map.address.1).collect())
}

fn find(bytes: &[u8], public: &[u8; PUBLIC_LEN]) -> Option<[u8; 32]> {
    let windows = bytes.windows(32).step_by(ALIGNMENT).filter_map(|window| window.as_array());
    windows.filter(|window| looks_random(window)).find(|seed| is_seed_of(seed, public)).copied()
}

fn looks_random(bytes: &[u8; 32]) -> bool {
    if bytes.as_chunks::<8>().0.contains(&[0; 8]) {
        return false;
    }
    let mut seen = [false; 256];
    bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count() > FEW_DIFFERENT
}

#[cfg(test)]
mod tests;

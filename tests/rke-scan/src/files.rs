//! The files of a data directory: every byte of each, and the plain text of the sealed ones for a thief who also has
//! the key next to them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rke_host::data_dir::{read_role, read_sealer};
use rke_host::sealed::Sealer;

use crate::needles::Needles;
use crate::process::{Scan, scan_bytes};

/// Looks through a data directory of a running program. At least this many sealed files must open.
pub(crate) fn scan_data_dir(folder: &Path, needles: &Needles, sealed: usize) -> Result<Scan> {
    let role =
        read_role(folder)?.with_context(|| format!("{} does not say whose it is", folder.display()))?;
    let sealer = read_sealer(folder, role)?;
    let (mut scan, mut opened) = (Scan::default(), 0);
    for path in files_in(folder)? {
        // One that went meanwhile holds nothing.
        let Ok(bytes) = fs::read(&path) else { continue };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        scan.add(scan_bytes(&bytes, &format!("the file {name}"), needles));
        if let Some(secret) = open(&sealer, &path) {
            opened += 1;
            scan.add(scan_bytes(&secret, &format!("the opened file {name}"), needles));
        }
    }
    ensure!(opened >= sealed, "only {opened} sealed files in {} could be opened", folder.display());
    Ok(scan)
}

/// The secret in a sealed file.
fn open(sealer: &Sealer, path: &Path) -> Option<[u8; 32]> {
    let (_, secret) = sealer.read::<32>(path).ok()?;
    Some(secret.expose(|secret| *secret))
}

/// All files in a folder and in those beneath it.
pub(crate) fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        match path.is_dir() {
            true => files.extend(files_in(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

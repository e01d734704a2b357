//! `cargo xtask screenshots`: has the browser of the tests take the pictures in `docs/console`, and makes
//! them small.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{cargo, need};

/// The largest that a picture may be, in bytes.
const MOST_BYTES: u64 = 150_000;

const TAKE: [&str; 8] = ["test", "--locked", "-p", "rke", "--test", "end_to_end", "console::pictures", "--"];

pub(crate) fn screenshots() -> Result<()> {
    for (program, package) in [("chromium", "chromium"), ("pngquant", "pngquant")] {
        need(program, package)?;
    }
    cargo(&[&TAKE[..], &["--ignored"]].concat())?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/console");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        shrink(&entry.context("cannot read the folder of the pictures")?.path())?;
    }
    Ok(())
}

fn shrink(picture: &PathBuf) -> Result<()> {
    let mut command = Command::new("pngquant");
    command.args(["--force", "--ext", ".png", "--strip", "--speed", "1", "--quality", "60-95"]).arg(picture);
    let status = command.status().context("cannot run pngquant")?;
    if !status.success() {
        bail!("pngquant failed for {}", picture.display());
    }
    let bytes = std::fs::metadata(picture).context("cannot look at a picture")?.len();
    ensure!(bytes <= MOST_BYTES, "{} has {bytes} bytes, of at most {MOST_BYTES}", picture.display());
    Ok(())
}

//! `cargo xtask screenshots`: has the browser of the tests take pictures of every state of the console. Those that a page of
//! the docs shows are in `docs/console`, and made small; all others are in `target/screenshots`, which is new each time.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{cargo, need};

/// The largest that a picture may be, in bytes.
const MOST_BYTES: u64 = 150_000;

/// The most pictures that there may be.
const MOST_PICTURES: usize = 30;

const TAKE: [&str; 8] =
    ["test", "--workspace", "--locked", "--test", "end_to_end", "console::pictures", "--", "--ignored"];

pub(crate) fn screenshots() -> Result<()> {
    for (program, package) in [("chromium", "chromium"), ("pngquant", "pngquant")] {
        need(program, package)?;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let others = root.join("target/screenshots");
    match std::fs::remove_dir_all(&others) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", others.display()));
        }
        _ => (),
    }
    cargo(&TAKE)?;
    let folder = root.join("docs/console");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut count = 0;
    for entry in entries {
        shrink(&entry.context("cannot read the folder of the pictures")?.path())?;
        count += 1;
    }
    ensure!(
        count <= MOST_PICTURES,
        "there are {count} pictures, of at most {MOST_PICTURES}: remove those that no page shows"
    );
    println!("the pictures that no page shows are in {}", others.display());
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

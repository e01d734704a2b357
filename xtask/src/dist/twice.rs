//! `cargo xtask dist --check`: builds everything twice, from two copies of the last commit in folders with different names, with
//! different time zones, languages and umasks, and compares the bytes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::steps::run;
use super::tree::Tree;
use super::{Dist, OUT};
use crate::timed;

/// A copy's folder, and what is different around it.
struct Copy {
    folder: &'static str,
    time_zone: &'static str,
    language: &'static str,
    umask: &'static str,
}

const COPIES: [Copy; 2] = [
    Copy { folder: "one", time_zone: "UTC", language: "C", umask: "022" },
    Copy { folder: "another/of-a-longer-name", time_zone: "Asia/Tokyo", language: "C.UTF-8", umask: "077" },
];

pub(super) fn check(profile: &str) -> Result<()> {
    let dist = Dist::new(profile)?;
    let twice = Tree::empty(dist.out.join("twice"))?;
    let mut sums = Vec::new();
    for copy in &COPIES {
        let folder = twice.folder().join(copy.folder);
        timed(&format!("the packages in {}", folder.display()), || make(&dist, copy, &folder))?;
        let file = folder.join(OUT).join("SHA256SUMS");
        sums.push(fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    ensure!(sums[0] == sums[1], "the two builds differ:\n{}\n{}", sums[0], sums[1]);
    print!("twice the same:\n{}", sums[0]);
    Ok(())
}

fn make(dist: &Dist, copy: &Copy, folder: &Path) -> Result<()> {
    run(Command::new("git").args(["clone", "--quiet", "--shared"]).arg(&dist.sources).arg(folder))?;
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "umask $0 && exec \"$@\"",
        copy.umask,
        env!("CARGO"),
        "xtask",
        "dist",
        "--profile",
        &dist.profile,
    ]);
    command.current_dir(folder).env("TZ", copy.time_zone).env("LC_ALL", copy.language);
    run(command.env_remove("CARGO_TARGET_DIR"))
}

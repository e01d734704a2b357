//! `cargo xtask bench`: builds the program and its benchmarks, and measures it next to its peers.
//! `docs/performance.md`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{cargo, need, target_dir};

/// The peers, and what puts a server on a core of its own.
const NEEDED: [(&str, &str); 5] = [
    ("nginx", "nginx-light"),
    ("openssl", "openssl"),
    ("redis-server", "redis-server"),
    ("taskset", "util-linux"),
    ("setpriv", "util-linux"),
];

/// Measures the rows that are named, or all. `--write` puts them into the document.
pub(crate) fn bench(arguments: &[&str]) -> Result<()> {
    for (program, package) in NEEDED {
        need(program, package)?;
    }
    cargo(&["build", "--release", "--locked", "-p", "rke", "-p", "rke-bench"])?;
    let release = target_dir().join("release");
    let mut command = Command::new(release.join("rke-bench"));
    command.arg("--program").arg(release.join("rke"));
    for argument in arguments {
        command.arg(argument);
        if *argument == "--write" {
            command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md"));
        }
    }
    let status = command.status().context("cannot run rke-bench")?;
    ensure!(status.success(), "rke-bench ended with {status}");
    Ok(())
}

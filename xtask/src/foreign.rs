//! `cargo xtask foreign`: installs other people's clients of ETSI GS QKD 014, unmodified, into a folder below `target`. The
//! end-to-end tests run them against both ends (`crates/rke/tests/end_to_end/etsi/foreign.rs`).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::schemathesis::make_environment;
use crate::{need, target_dir};

/// Rosenpass's adapter for WireGuard, from crates.io.
const DAISYWAY: &str = "0.1.3";

/// Installs what is missing, or has another version.
pub(crate) fn foreign() -> Result<()> {
    let folder = target_dir().join("foreign");
    let requirements = sources().join("requirements.txt");
    let lock = sources().join("etsi014/Cargo.lock");
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let wanted = format!("{DAISYWAY}\n{}{}", read(&requirements)?, read(&lock)?);
    let mark = folder.join("installed");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    eprintln!("cargo xtask: installing foreign clients into {}", folder.display());
    // The clients from PyPI.
    make_environment(&folder.join("python"), &requirements)?;
    let root = folder.to_string_lossy().into_owned();
    let build = folder.join("build").to_string_lossy().into_owned();
    cargo(
        &build,
        &["install", "--debug", "--quiet", "--locked", "--root", &root, "--version", DAISYWAY, "daisyway"],
    )?;
    need_library()?;
    let program = sources().join("etsi014").to_string_lossy().into_owned();
    cargo(&build, &["install", "--debug", "--quiet", "--locked", "--root", &root, "--path", &program])?;
    // Only the programs are needed.
    let _ = std::fs::remove_dir_all(&build);
    std::fs::write(mark, wanted).context("cannot note what was installed")
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/foreign")
}

/// What the library from crates.io keeps keys with.
fn need_library() -> Result<()> {
    let is_there = || {
        let look = Command::new("pkg-config").args(["--exists", "libsodium"]).status();
        look.is_ok_and(|status| status.success())
    };
    if is_there() {
        return Ok(());
    }
    need("pkg-config", "pkg-config")?;
    let install =
        "apt-get update -qq && apt-get install -y -qq --no-install-recommends libsodium-dev libssl-dev";
    let _ = Command::new("sh").args(["-c", install]).status();
    ensure!(
        is_there(),
        "etsi014-client needs libsodium; install it with: sudo apt-get install libsodium-dev libssl-dev"
    );
    Ok(())
}

/// Cargo, for programs that are not of this workspace.
fn cargo(target: &str, arguments: &[&str]) -> Result<()> {
    run(Command::new(env!("CARGO")).args(arguments).env("CARGO_TARGET_DIR", target))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed; run cargo xtask foreign again once its reason is gone");
    Ok(())
}

//! Packages that only Debian 13 has. Debian 12, on which the tests run, unpacks them into a folder and installs nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::need;

/// Unpacks a package, and those that it depends on, into a folder of their own. What the folder held before is lost.
pub(crate) fn unpack(package: &str, folder: &Path) -> Result<()> {
    need("mmdebstrap", "mmdebstrap")?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=extract", &format!("--include={package}"), "trixie"]);
    let status = command.arg(folder).status().context("cannot run mmdebstrap")?;
    ensure!(status.success(), "mmdebstrap could not unpack {package} of Debian 13: see above");
    Ok(())
}

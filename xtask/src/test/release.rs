//! The checks of release builds, in a process of their own next to the tests. Linking a release build takes minutes of one
//! processor, and the tests wait more than they compute: `nice` gives the builds what the tests leave.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::erase::{Extent, FaultInjection, Program};
use crate::instructions::{Counts, instructions};
use crate::{say_not_compared, target_dir, timed};

/// The command of `cargo xtask` that does them.
pub(crate) const COMMAND: &str = "release-checks";

/// The start of the line that says why instruction counts were not compared.
pub(crate) const NOT_COMPARED: &str = "not compared: ";

/// Memory scans, of the release build and with fault injection, and instruction counts.
pub(crate) fn release_checks(extent: &Extent) -> Result<()> {
    let release = timed("release build", Program::release)?;
    timed("scans of the release build", || release.scan(extent))?;
    let faulty = timed("build with fault injection", FaultInjection::build)?;
    timed("scans with fault injection", || faulty.scan(extent.length))?;
    timed("instruction counts", || instructions(Counts::Compare)).map(say_not_compared)
}

/// The checks while they run. Dropped before they have ended, they are stopped.
pub(super) struct ReleaseChecks {
    child: Child,
    ended: bool,
}

impl ReleaseChecks {
    /// `arguments` are those of [`Extent`].
    pub(super) fn start(arguments: &[&str]) -> Result<Self> {
        let log = File::create(log()?).context("cannot make a file for the output of the release checks")?;
        let errors = log.try_clone().context("cannot write the output of the release checks")?;
        let xtask = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(xtask).arg(COMMAND).args(arguments);
        let child = command.process_group(0).stdout(log).stderr(errors).spawn();
        Ok(Self { child: child.context("cannot run nice")?, ended: false })
    }

    /// Waits for their end, and shows what they printed. Returns why instruction counts were not compared, if they were not.
    pub(super) fn finish(mut self) -> Result<Option<String>> {
        let status = self.child.wait().context("cannot wait for the release checks")?;
        self.ended = true;
        let printed =
            std::fs::read_to_string(log()?).context("cannot read what the release checks printed")?;
        println!("{printed}");
        ensure!(status.success(), "a check of the release builds failed, see above");
        Ok(printed.lines().find_map(|line| line.strip_prefix(NOT_COMPARED)).map(str::to_owned))
    }
}

impl Drop for ReleaseChecks {
    /// With the compilers and scanners that they have started.
    fn drop(&mut self) {
        if !self.ended {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

fn log() -> Result<PathBuf> {
    let folder = target_dir().join("erase");
    std::fs::create_dir_all(&folder).context("cannot make a folder for the output of the release checks")?;
    Ok(folder.join("release-checks.log"))
}

//! The checks of optimised builds, in a process of their own next to the tests. Such a build takes minutes of one
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
pub(crate) const COMMAND: &str = "optimised-checks";

/// The start of the line that says why instruction counts were not compared.
pub(crate) const NOT_COMPARED: &str = "not compared: ";

/// Memory scans, of the program and with fault injection, and instruction counts.
pub(crate) fn optimised_checks(extent: &Extent) -> Result<()> {
    let program = timed("optimised build", || Program::optimised(extent.length))?;
    timed("scans of the optimised build", || program.scan(extent))?;
    let faulty = timed("build with fault injection", || FaultInjection::build(extent.length))?;
    timed("scans with fault injection", || faulty.scan(extent.length))?;
    timed("instruction counts", || instructions(Counts::Compare)).map(say_not_compared)
}

/// The checks while they run. Dropped before they have ended, they are stopped.
pub(super) struct OptimisedChecks {
    child: Child,
    ended: bool,
}

impl OptimisedChecks {
    /// `arguments` are those of [`Extent`].
    pub(super) fn start(arguments: &[&str]) -> Result<Self> {
        let log = File::create(log()?)
            .context("cannot make a file for the output of the checks of optimised builds")?;
        let errors = log.try_clone().context("cannot write the output of the checks of optimised builds")?;
        let xtask = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(xtask).arg(COMMAND).args(arguments);
        let child = command.process_group(0).stdout(log).stderr(errors).spawn();
        Ok(Self { child: child.context("cannot run nice")?, ended: false })
    }

    /// Waits for their end, and shows what they printed. Returns why instruction counts were not compared, if they were not.
    pub(super) fn finish(mut self) -> Result<Option<String>> {
        let status = self.child.wait().context("cannot wait for the checks of optimised builds")?;
        self.ended = true;
        let printed = std::fs::read_to_string(log()?)
            .context("cannot read what the checks of optimised builds printed")?;
        println!("{printed}");
        ensure!(status.success(), "a check of the optimised builds failed, see above");
        Ok(printed.lines().find_map(|line| line.strip_prefix(NOT_COMPARED)).map(str::to_owned))
    }
}

impl Drop for OptimisedChecks {
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
    std::fs::create_dir_all(&folder)
        .context("cannot make a folder for the output of the checks of optimised builds")?;
    Ok(folder.join("optimised-checks.log"))
}

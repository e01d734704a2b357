//! What keeps a command's input open where this process is killed: the kernel would close it, and a command that goes on
//! would take that for the end of the data.

use std::io::{self, PipeWriter, Write};
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::process::reap;

/// It has the write end of the command's input as its standard output. Where its own input ends without a word of
/// dismissal, nobody feeds the command any longer: it kills the command, and only then does the command's input end. A
/// service manager that stops the server signals the guard too, which has to be the last.
const SCRIPT: &str =
    "trap '' HUP INT QUIT TERM; read -r group || exit; read -r _ || kill -s KILL -- \"-$group\"";

/// A small process next to each command. Dropping it here dismisses it.
pub(super) struct Guard {
    orders: PipeWriter,
    child: Option<Child>,
}

impl Guard {
    /// Starts one that keeps this input open.
    pub(super) fn start(command_input: PipeWriter) -> io::Result<Self> {
        let (its_orders, orders) = io::pipe()?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT]).env_clear().process_group(0);
        shell.stdin(its_orders).stdout(command_input).stderr(Stdio::null());
        Ok(Self { orders, child: Some(shell.spawn()?) })
    }

    /// Says which process group it is for.
    pub(super) fn watch_over(&mut self, group: u32) -> io::Result<()> {
        writeln!(self.orders, "{group}")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Where it is gone there is nobody to dismiss.
        let _ = writeln!(self.orders);
        if let Some(child) = self.child.take() {
            reap(child);
        }
    }
}

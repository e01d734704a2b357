//! `rke version`, `rke completions` and `rke man`: information about the program.

use std::fs;
use std::io::{Write, stdout};

use anyhow::{Context, Result};
use clap::Command;

use crate::cli::{DescribeCommand, complete, help};
use crate::terminal::printed;
use crate::version;

pub(crate) fn run(command: DescribeCommand) -> Result<()> {
    match command {
        DescribeCommand::Version { json } => version::run(json)?,
        DescribeCommand::Completions { shell } => {
            // Into memory first, so that only the write to standard output can fail. `printed` handles a closed pipe.
            let mut text = Vec::new();
            complete::write_script(shell, &mut text)?;
            printed(stdout().write_all(&text))?;
        }
        DescribeCommand::Man { folder } => {
            let wrong = || format!("cannot write man pages into {}", folder.display());
            fs::create_dir_all(&folder).with_context(wrong)?;
            let mut command = help::command().disable_help_subcommand(true);
            command.build();
            clap_mangen::generate_to(with_usage(command), &folder).with_context(wrong)?;
        }
    }
    Ok(())
}

/// The command with the same usage as in `--help`, which includes the values of flags.
fn with_usage(mut command: Command) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    command.override_usage(usage).mut_subcommands(with_usage)
}

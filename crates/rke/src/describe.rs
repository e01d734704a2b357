//! `rke completions` and `rke man`: what is generated from the definitions of the commands.

use std::fs;
use std::io::{Write, stdout};

use anyhow::{Context, Result};

use crate::cli::{DescribeCommand, help};

pub(crate) fn run(command: DescribeCommand) -> Result<()> {
    match command {
        DescribeCommand::Completions { shell } => {
            // Into memory first: what generates them cannot fail.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut help::command(), "rke", &mut text);
            stdout().write_all(&text).context("cannot write standard output")?;
        }
        DescribeCommand::Man { folder } => {
            let wrong = || format!("cannot write man pages into {}", folder.display());
            fs::create_dir_all(&folder).with_context(wrong)?;
            clap_mangen::generate_to(help::command(), &folder).with_context(wrong)?;
        }
    }
    Ok(())
}

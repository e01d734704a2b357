//! The text of `rke help`: the commands in groups, each with the first sentence of its own help.

use std::fmt::Write;

use anstyle::Style;
use clap::{Command, CommandFactory, FromArgMatches};

use super::{Cli, mistake};
use crate::terminal::{help_width, indented};

/// The groups. A test checks that every command is in one.
const GROUPS: [(&str, &[&str]); 7] = [
    ("Sessions", &["session", "keys", "trust"]),
    ("Data", &["encrypt", "decrypt", "connect", "forward"]),
    ("What is going on", &["status", "watch", "activity", "raidas", "ping", "discover", "doctor", "audit"]),
    ("Keys for other programs", &["export", "psk", "wireguard"]),
    ("Coins", &["wallet", "coin"]),
    ("Long-running programs", &["serve", "dev", "net", "raida", "content-server", "store"]),
    ("The program", &["version", "completions", "man", "help"]),
];

const HELP: &str = "Show this, or the help of a command.";

const AFTER: &str = "\
`rke COMMAND --help` says more, with examples. Exit codes: 0 done, 1 refused, 2 usage, 3 no daemon;
`rke connect` exits as ssh does, with the command's status or 255.
Colours are left out if NO_COLOR is set or the output is not a terminal.";

/// The column at which the texts of commands begin in the list.
const INDENT: usize = 18;

/// The program's command line, with the groups.
pub(crate) fn command() -> Command {
    command_for(help_width())
}

/// The command line for a terminal with `width` columns.
fn command_for(width: usize) -> Command {
    let command = Cli::command().term_width(width);
    let (groups, after) = (groups(&command, width), indented(AFTER, 0, width));
    let template = format!("{{about}}\n\n{{usage-heading}} {{usage}}\n{groups}\n{{options}}\n\n{after}\n");
    command.help_template(template)
}

/// Parses the command line of this process. Ends the process if it requests help or is wrong.
pub(crate) fn parse() -> Cli {
    let matches = command().try_get_matches();
    let matches = matches.unwrap_or_else(|error| mistake::explain(error, command()).exit());
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn groups(command: &Command, width: usize) -> String {
    let mut text = String::new();
    let heading = Style::new().bold().underline();
    let name_style = Style::new().bold();
    for (title, names) in GROUPS {
        let _ = write!(text, "\n{heading}{title}:{heading:#}\n");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map_or_else(|| HELP.into(), ToString::to_string);
            let about = indented(about.trim_end_matches('.'), INDENT, width);
            let _ = writeln!(text, "  {name_style}{name:<16}{name_style:#}{about}");
        }
    }
    let _ = write!(text, "\n{heading}Options:{heading:#}");
    text
}

#[cfg(test)]
mod tests;

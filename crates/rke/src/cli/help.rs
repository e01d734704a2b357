//! What `rke help` shows: the commands in groups, each with the sentence that its own help begins with.

use std::fmt::Write;

use anstyle::Style;
use clap::{Command, CommandFactory, FromArgMatches};

use super::Cli;

/// The groups. A test sees to it that every command is in one.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Sessions", &["session", "keys", "trust"]),
    ("Data", &["encrypt", "decrypt", "connect"]),
    ("What is going on", &["status", "watch", "raidas", "discover", "doctor", "audit"]),
    ("Programs that go on running", &["serve", "dev", "raida", "content-server"]),
    ("Around the program", &["completions", "man", "help"]),
];

const HELP: &str = "Show this, or the help of a command.";

const AFTER: &str = "\
`rke COMMAND --help` says more, with examples. Exit codes: 0 done, 1 refused, 2 usage, 3 no daemon;
`rke connect` exits as ssh does, with the command's status or 255.
Colours are left out where NO_COLOR is set or the output is not a terminal.";

/// The program's command line, with the groups.
pub(crate) fn command() -> Command {
    let command = Cli::command();
    let template =
        format!("{{about}}\n\n{{usage-heading}} {{usage}}\n{}\n{{options}}\n\n{AFTER}\n", groups(&command));
    command.help_template(template)
}

/// What the command line of this process asks for. Ends the process where it asks for help or is wrong.
pub(crate) fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn groups(command: &Command) -> String {
    let mut text = String::new();
    let heading = Style::new().bold().underline();
    let name_style = Style::new().bold();
    for (title, names) in GROUPS {
        let _ = write!(text, "\n{heading}{title}:{heading:#}\n");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map_or_else(|| HELP.into(), ToString::to_string);
            let _ = writeln!(text, "  {name_style}{name:<16}{name_style:#}{}", about.trim_end_matches('.'));
        }
    }
    let _ = write!(text, "\n{heading}Options:{heading:#}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let command = Cli::command();
        let mut named: Vec<&str> =
            GROUPS.iter().flat_map(|(_, names)| *names).copied().filter(|name| *name != "help").collect();
        let mut all: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        named.sort_unstable();
        all.sort_unstable();
        assert_eq!(named, all);
    }

    #[test]
    fn the_definitions_do_not_contradict_each_other() {
        command().debug_assert();
    }
}

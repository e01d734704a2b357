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

/// The help of all commands and subcommands.
fn all_help(command: &mut Command, texts: &mut Vec<String>) {
    texts.push(command.render_long_help().to_string());
    command.get_subcommands_mut().for_each(|command| all_help(command, texts));
}

#[test]
fn help_fits_a_terminal_of_eighty_columns() {
    let mut texts = Vec::new();
    let mut command = command_for(80);
    command.build();
    all_help(&mut command, &mut texts);
    let is_too_long = |line: &&str| line.chars().count() > 80 && !line.starts_with("Usage:");
    let too_long: Vec<&str> = texts.iter().flat_map(|text| text.lines()).filter(is_too_long).collect();
    assert!(too_long.is_empty() && texts.len() > 30, "{too_long:#?}");
}

#[test]
fn help_is_not_broken_where_there_is_no_terminal() {
    let text = command_for(usize::MAX).render_long_help().to_string();
    assert!(text.contains("standard input goes to it, its data to standard output\n"), "{text}");
}

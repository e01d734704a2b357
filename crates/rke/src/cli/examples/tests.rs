use clap::CommandFactory;

use crate::cli::Cli;

/// All examples, as lists of words. It parses just enough shell syntax for them.
fn lines(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ").replace("$(rke", "\nrke").replace(')', " ");
    let commands = text.lines().flat_map(|line| line.split('|')).map(str::trim);
    let commands = commands.filter(|line| line.starts_with("rke ") && !line.contains('`'));
    let words = |line: &str| {
        let line = line.split(['<', '>']).next().unwrap_or_default().replace("'tr a-z A-Z'", "tr");
        let line = line.replace("$SESSION_ID", "4f2a").replace("$KEY_ID", "b1e2d3c4");
        line.split_whitespace().map(str::to_owned).collect()
    };
    commands.map(words).collect()
}

fn check(command: &clap::Command, found: &mut usize) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for words in lines(&help) {
        *found += 1;
        if let Err(error) = Cli::command().try_get_matches_from(&words) {
            panic!("{words:?}: {error}");
        }
    }
    command.get_subcommands().for_each(|command| check(command, found));
}

#[test]
fn every_example_is_a_command_that_the_program_takes() {
    let mut found = 0;
    check(&Cli::command(), &mut found);
    assert!(found > 30, "{found} examples were found");
}

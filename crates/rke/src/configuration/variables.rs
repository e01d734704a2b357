//! Every variable, and every key of a file, has the same effect as its flag. A process with several threads cannot
//! change its environment, so the test starts this program again for each variable.

use std::process::Command;

use clap::parser::ValueSource;

use super::samples::required;
use super::*;

/// The names of the command to parse in the other process.
const COMMAND: &str = "TEST_COMMAND";
/// The flag whose variable is set in that process.
const FLAG: &str = "TEST_FLAG";
/// The arguments in that process, separated by newlines.
const ARGUMENTS: &str = "TEST_ARGUMENTS";
/// Encloses the outcome in the output of the other process.
const MARK: &str = "\u{1}";

/// The flags that are useful only on the command line.
const WITHOUT_VARIABLE: [&str; 1] = ["check-config"];

/// The outcome of the command in a process in which this flag's variable is the only one set.
fn with_variable(path: &[&str], arg: &Arg, value: &str, arguments: &[String]) -> String {
    let mut other = Command::new(std::env::current_exe().expect("this program"));
    other.args(["--exact", "--nocapture", "configuration::variables::in_this_environment"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RKE_")) {
        other.env_remove(name);
    }
    other.env(COMMAND, path.join(" ")).env(FLAG, long(arg)).env(ARGUMENTS, arguments.join("\n"));
    other.env(variable(arg).expect("a variable"), value);
    let output = other.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(MARK).nth(1).unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// The body of the other process. In an ordinary test run it does nothing.
#[test]
fn in_this_environment() {
    let (Ok(path), Ok(flag), Ok(arguments)) =
        (std::env::var(COMMAND), std::env::var(FLAG), std::env::var(ARGUMENTS))
    else {
        return;
    };
    let arguments: Vec<String> = arguments.lines().map(str::to_owned).collect();
    let outcome = match WITH_FILE.contains(&path.as_str()) {
        true => settle(&path, &arguments).map_or_else(|error| error, |settled| settled.shown()),
        false => taken(&path.split(' ').collect::<Vec<_>>(), &flag, arguments),
    };
    println!("{MARK}{outcome}{MARK}");
}

/// The value that a command takes for the flag from the environment.
fn taken(path: &[&str], flag: &str, arguments: Vec<String>) -> String {
    let command = definition(path).subcommand_required(false).arg_required_else_help(false);
    let command = command.mut_args(|arg| arg.required(false)).disable_help_subcommand(true);
    let id = flags(&command).iter().find(|arg| long(arg) == flag).expect("the flag").get_id().clone();
    let words = ["rke".to_owned()].into_iter().chain(arguments);
    match command.try_get_matches_from(words) {
        Ok(matches) if matches.value_source(id.as_str()) == Some(ValueSource::EnvVariable) => {
            let raw = matches.get_raw(id.as_str()).into_iter().flatten();
            raw.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(",")
        }
        Ok(_) => "not from the environment".into(),
        Err(error) => error.to_string(),
    }
}

fn arguments(given: &[(&str, &str)]) -> Vec<String> {
    given.iter().map(|(flag, value)| format!("--{flag}={value}")).collect()
}

/// The other arguments that the command needs next to this flag.
fn base(command: &str, flag: &str, sample: &Sample) -> Vec<String> {
    let needed = required(command).iter().filter(|(name, _)| *name != flag).copied();
    arguments(&needed.chain(sample.beside.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn every_flag_has_a_variable_of_its_name() {
    for path in [
        &["serve"][..],
        &["raida"],
        &["content-server", "serve"],
        &["content-server", "preload"],
        &["content-server", "rotate"],
    ] {
        for arg in flags(&definition(path)).iter().filter(|arg| !WITHOUT_VARIABLE.contains(&long(arg))) {
            let name = if long(arg) == "timeout" { "exchange-timeout" } else { long(arg) };
            let expected = format!("RKE_{}", name.replace('-', "_").to_uppercase());
            assert_eq!(variable(arg), Some(expected), "rke {} --{}", path.join(" "), long(arg));
        }
    }
}

#[test]
fn a_variable_and_a_key_of_the_file_give_what_the_flag_gives() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("settings.toml");
    for command in WITH_FILE {
        for arg in flags(&definition(&[command])).iter().filter(|arg| variable(arg).is_some()) {
            if long(arg) == "config" {
                continue;
            }
            let (flag, sample) = (long(arg), samples::sample(arg));
            let base = base(command, flag, &sample);
            let with = |more: String| [&base[..], &[more]].concat();
            let by_flag = settle(command, &with(format!("--{flag}={}", sample.value)));
            let by_flag = by_flag.unwrap_or_else(|error| panic!("--{flag}: {error}")).shown();
            let without = settle(command, &base).map(|settled| settled.shown());
            assert_ne!(Ok(&by_flag), without.as_ref(), "--{flag} has no effect");
            let by_variable = with_variable(&[command], arg, sample.value, &base);
            assert_eq!(by_variable, by_flag, "the variable of rke {command} --{flag}");
            let by_key = forms(flag, sample.value).into_iter().find_map(|text| {
                std::fs::write(&file, text).expect("written");
                settle(command, &with(format!("--config={}", file.display()))).ok()
            });
            let by_key = by_key.map(|settled| settled.shown());
            assert_eq!(by_key, Some(by_flag), "the key of rke {command} --{flag}");
        }
    }
}

/// Lines of a file that set the key: as a list, as a text and as a number. At least one has the right type.
fn forms(key: &str, value: &str) -> [String; 3] {
    let list = value.split(',').map(|part| format!("{part:?}")).collect::<Vec<_>>().join(", ");
    [format!("{key} = [{list}]"), format!("{key} = {value:?}"), format!("{key} = {value}")]
}

#[test]
fn the_configuration_file_has_a_variable_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("settings.toml");
    std::fs::write(&file, "log = 'trace'").expect("written");
    for command in WITH_FILE {
        let config = flags(&definition(&[command])).into_iter().find(|arg| long(arg) == "config");
        let config = config.expect("--config");
        let shown = with_variable(
            &[command],
            &config,
            file.to_str().expect("UTF-8"),
            &base(command, "config", &samples::sample(&config)),
        );
        assert!(shown.contains("\"trace\""), "{shown}");
    }
}

#[test]
fn other_commands_take_their_variables_too() {
    let mut tried = 0;
    try_all(&Cli::command(), &mut Vec::new(), &mut tried);
    assert!(tried > 50, "{tried} variables were tried");
}

fn try_all(command: &clap::Command, path: &mut Vec<String>, tried: &mut usize) {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    if !WITH_FILE.contains(&names.join(" ").as_str()) {
        for arg in flags(command).iter().filter(|arg| variable(arg).is_some()) {
            let value = samples::sample(arg).value;
            let needed = if long(arg) == "lower-case-too" { &["--narrow".to_owned()][..] } else { &[] };
            let taken = with_variable(&names, arg, value, needed);
            assert_eq!(taken, value, "the variable of rke {} --{}", names.join(" "), long(arg));
            *tried += 1;
        }
    }
    for inner in command.get_subcommands() {
        path.push(inner.get_name().into());
        try_all(inner, path, tried);
        path.pop();
    }
}

#[test]
fn a_switch_takes_words_and_its_variable_goes_over_the_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("settings.toml");
    std::fs::write(&file, "wipe-on-suspend = true").expect("written");
    let file = [format!("--config={}", file.display())];
    let arg = flags(&definition(&["serve"])).into_iter().find(|arg| long(arg) == "wipe-on-suspend");
    let arg = arg.expect("the flag");
    let is_on = |value: &str, arguments: &[String]| {
        with_variable(&["serve"], &arg, value, arguments).contains("on_suspend: DropEverything")
    };
    for (on, off) in [("1", "0"), ("yes", "no"), ("On", "OFF"), ("true", "")] {
        assert!(is_on(on, &[]) && !is_on(off, &[]), "{on} {off}");
        assert!(!is_on(off, &file), "{off} in the environment, on in the file");
    }
    assert!(is_on("no", &["--wipe-on-suspend".into()]), "a flag goes over the variable");
    let wrong = with_variable(&["serve"], &arg, "maybe", &[]);
    assert!(wrong.contains("RKE_WIPE_ON_SUSPEND") && wrong.contains("yes"), "{wrong}");
}

//! Generates `docs/configuration.md` from the definitions of the commands.

use std::fmt::Write;

use rke_engine::settings::{BOUNDS, Config};

use super::samples::required;
use super::*;

/// If this variable is set, the test writes the document.
const RENEW: &str = "RENEW_CONFIGURATION";

const DOCUMENT: &str = include_str!("../../../../docs/configuration.md");

const HEAD: &str = "\
# Configuration

<!-- Written by `cargo xtask configuration`. -->

`rke serve`, `rke raida` and `rke content-server serve` take each setting from a flag, else from a variable of the environment, else from the key in their
configuration file (`--config FILE`, TOML), else from its default. `--help` says what each of them does.

- A **list** is a flag that is given several times, a variable with commas, or an array: `allow-host = [\"a.example\", \"b.example\"]`.
- A **switch** is on as `--flag`, and takes `1`, `yes`, `on`, `true` or `0`, `no`, `off`, `false` or nothing in its variable, as `--flag=no` and in the file,
  where it may also be a TOML boolean. In a file, `_` may stand for `-` in the keys of `rke serve`.
- **Reload** says whether SIGHUP (`systemctl reload rke`) changes the setting. Where it does not, the log names each setting that has
  changed in the file and takes a restart. The files for TLS are read again; whether there is TLS at all takes a restart.

`--check-config` makes each of the three read flags, environment, the file and the files that they name, without starting anything.

A variable belongs to a flag, so two commands with the same flag read the same variable. `RKE_API` is where a Content Server's interface for its application is:
`rke content-server serve` listens there, and `list`, `open` and `seal` of `rke content-server` connect to it. Start no second Content Server from a shell
that exports it: both would want the same place. A daemon has two variables: `RKE_LISTEN` for `rke serve`, and `RKE_DAEMON` for the commands that ask it.
";

/// The table row for a flag of a command with a configuration file.
fn row(command: &str, arg: &Arg) -> Option<String> {
    let (flag, variable) = (long(arg), variable(arg)?);
    let key = if flag == "config" { String::new() } else { format!("`{flag}`") };
    let reload = match flag == "config" || !is_reloadable(command, arg) {
        true => "restart",
        false => "yes",
    };
    let (default, values) = (default(arg), values(command, arg));
    Some(format!("| `--{flag}` | `{variable}` | {key} | {default} | {values} | {reload} |"))
}

/// Whether setting the flag changes only settings that a running program can reload.
fn is_reloadable(command: &str, arg: &Arg) -> bool {
    let sample = samples::sample(arg);
    let given = |list: &[(&str, &str)]| -> Vec<String> {
        list.iter().map(|(flag, value)| format!("--{flag}={value}")).collect()
    };
    let needed = required(command);
    let own = (long(arg), sample.value);
    let rest: Vec<_> = needed.iter().filter(|(flag, _)| *flag != own.0).copied().collect();
    let after = settle(command, &given(&[&rest[..], sample.beside, &[own]].concat()));
    let before = settle(command, &given(&[needed, sample.beside].concat()));
    let before = before.or_else(|_| settle(command, &given(needed)));
    match (before, after) {
        (Ok(before), Ok(after)) => before.can_become(&after),
        _ => panic!("--{} has a wrong sample", own.0),
    }
}

/// The default, from the help text or else from the definition.
fn default(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let told = help.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
    if let Some((told, _)) = told {
        return told.into();
    }
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    match (is_switch(arg), values.is_empty()) {
        (true, _) => "off".into(),
        (false, true) => String::new(),
        (false, false) => values.join(", "),
    }
}

/// The values that the flag takes, if they are few or within bounds.
fn values(command: &str, arg: &Arg) -> String {
    let bounds = BOUNDS.iter().find(|bounds| command == "serve" && bounds.setting == long(arg));
    if let Some(bounds) = bounds {
        return bounds.to_string();
    }
    if is_switch(arg) {
        return "a switch".into();
    }
    let names: Vec<_> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    match (names.is_empty(), arg.get_action()) {
        (false, _) => names.join(", "),
        (true, clap::ArgAction::Append) => "a list".into(),
        (true, _) => String::new(),
    }
}

fn document() -> String {
    let mut text = HEAD.to_owned();
    for command in WITH_FILE {
        let _ =
            write!(text, "\n## `rke {command}`\n\n| flag | variable | key | default | values | reload |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        for row in flags(&definition(&[command])).iter().filter_map(|arg| row(command, arg)) {
            let _ = writeln!(text, "{row}");
        }
    }
    for command in ["preload", "rotate"] {
        let _ =
            write!(text, "\n## `rke content-server {command}`\n\n| flag | variable | default | values |\n");
        text.push_str("|---|---|---|---|\n");
        for arg in &flags(&definition(&["content-server", command])) {
            let variable = variable(arg).unwrap_or_default();
            let (default, values) = (default(arg), values("content-server", arg));
            let _ = writeln!(text, "| `--{}` | `{variable}` | {default} | {values} |", long(arg));
        }
    }
    text
}

#[test]
fn the_document_is_that_of_the_commands() {
    let text = document();
    if std::env::var_os(RENEW).is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        return std::fs::write(file, text).expect("written");
    }
    assert!(
        text == DOCUMENT,
        "docs/configuration.md is another document; renew it with: cargo xtask configuration"
    );
}

#[test]
fn help_tells_the_defaults_that_hold() {
    let (flags, config) = (flags(&definition(&["serve"])), Config::new("/x".into()));
    for bounds in &BOUNDS {
        let arg = flags.iter().find(|arg| long(arg) == bounds.setting).expect("a flag of that name");
        let told = default(arg).split(',').next().and_then(|number| number.parse::<u64>().ok());
        assert_eq!(told, bounds.value(&config), "--{}", bounds.setting);
    }
}

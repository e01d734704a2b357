//! The configuration file as a fuzz target (`fuzz/README.md`): a file means the same as the equivalent flags, and
//! every key of it is a flag.

use std::collections::BTreeSet;

use clap::{Command, FromArgMatches};
use toml::{Table, Value};

use super::*;

rke_fuzz::target!(configuration_file, check);

/// The flags that a file cannot set.
const NOT_IN_A_FILE: [&str; 2] = ["config", "check-config"];

/// Checks a file. Returns whether a daemon could run with its settings.
fn check(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(options) = toml::from_str::<ServeOptions>(text) else { return false };
    let table: Table = text.parse().expect("what has settings is TOML");
    let keys: Vec<String> = table.keys().map(|key| key.replace('_', "-")).collect();
    let flags: BTreeSet<String> =
        command().get_arguments().filter_map(|flag| flag.get_long().map(str::to_owned)).collect();
    for key in &keys {
        assert!(flags.contains(key) && !NOT_IN_A_FILE.contains(&key.as_str()), "{key} is no setting");
    }
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a key is there in two spellings");
    let by_file = settled(options);
    if let Some(arguments) = table.iter().map(arguments).collect::<Option<Vec<_>>>() {
        let arguments = std::iter::once("serve".to_owned()).chain(arguments.into_iter().flatten());
        let matches = command().try_get_matches_from(arguments);
        let options = matches.and_then(|matches| ServeOptions::from_arg_matches(&matches));
        let by_flags = options.map_err(|error| error.to_string()).and_then(settled);
        assert_eq!(by_file.is_ok(), by_flags.is_ok(), "{by_file:?} by the file, {by_flags:?} by flags");
        assert!(by_file.is_err() || by_file == by_flags, "{by_file:?} by the file, {by_flags:?} by flags");
    }
    by_file.is_ok()
}

fn command() -> Command {
    ServeOptions::augment_args(Command::new("serve"))
}

/// The settings that the options result in, as a text, or the error.
fn settled(options: ServeOptions) -> Result<String, String> {
    let options = ServeOptions { data_dir: options.data_dir.or(Some("/x".into())), ..options };
    let settings = options.settle().map_err(|wrong| wrong.to_string())?;
    settings.daemon.check().expect("settings are within their bounds");
    Ok(format!("{:?} {:?}", settings.daemon, settings.process))
}

/// A key and its value as flags. `None` if no flags can express them: empty words are impossible, and commas
/// separate words.
fn arguments((key, value): (&String, &Value)) -> Option<Vec<String>> {
    let values = match value {
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    };
    let word = |value: &Value| match value {
        Value::String(word) => (!word.is_empty() && !word.contains(',')).then(|| word.clone()),
        other => Some(other.to_string()),
    };
    let key = key.replace('_', "-");
    values.into_iter().map(|value| Some(format!("--{key}={}", word(value)?))).collect()
}

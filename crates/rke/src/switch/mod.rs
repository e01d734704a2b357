//! Flags that are on or off: `--x`, a variable with one of several words, or a key with a boolean or one of the
//! words.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

const WORDS: &str = "it takes 1, yes, on or true, or 0, no, off, false or nothing";

/// Parses the words of a switch.
#[derive(Clone)]
pub(crate) struct Switch;

impl TypedValueParser for Switch {
    type Value = bool;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<bool, Error> {
        let text = value.to_string_lossy();
        parse(&text).ok_or_else(|| {
            let flag = arg.and_then(Arg::get_long).unwrap_or_default();
            let variable = arg.and_then(Arg::get_env).unwrap_or_default().display();
            let message = format!("--{flag} (the variable {variable}) is {text:?}, but {WORDS}");
            command.clone().error(ErrorKind::InvalidValue, message)
        })
    }
}

fn parse(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "yes" | "on" | "true" => Some(true),
        "" | "0" | "no" | "off" | "false" => Some(false),
        _ => None,
    }
}

/// Reads a switch from the configuration file.
pub(crate) fn switch_in_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Switch(bool),
        Number(i64),
        Word(String),
    }
    let text = match Given::deserialize(deserializer) {
        Ok(Given::Switch(switch)) => return Ok(Some(switch)),
        Ok(Given::Number(number)) => number.to_string(),
        Ok(Given::Word(word)) => word,
        Err(_) => return Err(D::Error::custom(format!("this is not a switch: {WORDS}"))),
    };
    match parse(&text) {
        Some(switch) => Ok(Some(switch)),
        None => Err(D::Error::custom(format!("{text:?} is not a switch: {WORDS}"))),
    }
}

#[cfg(test)]
mod tests;

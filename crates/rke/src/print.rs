//! What a person reads: tables and plain sentences; with `--json`, the daemon's answer as it came.

use anyhow::Result;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::cli::Output;
use crate::client::{Answer, ClientError, ask};

/// Prints an answer as JSON, or as text in the way of `as_text`. A refusal is printed as JSON too
/// where that was asked for, and stays an error.
pub(crate) fn answer_or_text(
    answer: Result<Answer, ClientError>,
    output: &Output,
    as_text: impl FnOnce(&Value),
) -> Result<()> {
    match answer {
        Ok(answer) if output.json => println!("{}", answer.text),
        Ok(answer) => as_text(&answer.json),
        Err(error) => {
            if let (true, ClientError::Refused { answer, .. }) = (output.json, &error) {
                println!("{answer}");
            }
            return Err(error.into());
        }
    }
    Ok(())
}

/// A table of some fields of rows.
pub(crate) fn table(titles: &[&str], rows: &[Value], fields: &[&str]) {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(titles);
    for row in rows {
        table.add_row(fields.iter().map(|field| shown(&row[*field])));
    }
    println!("{table}");
}

/// All fields of an answer, one a line.
pub(crate) fn fields(answer: &Value) {
    for (name, value) in answer.as_object().into_iter().flatten() {
        println!("{:<16}{}", name.replace('_', " "), shown(value));
    }
}

/// A part of a path that may hold anything.
pub(crate) fn path_segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

pub(crate) async fn discover(domain: &str, output: &Output) -> Result<()> {
    answer_or_text(ask(&output.daemon, "/api/rke/discover", &[("domain", domain)]).await, output, |found| {
        println!(
            "The Content Server of {} is {}:{}. At least {} RAIDAs make a key.",
            shown(&found["domain"]),
            shown(&found["target_host"]),
            found["target_port"],
            found["min_raidas_required"]
        );
        let sets = found["key_sets"].as_array().map_or(&[][..], Vec::as_slice);
        table(&["KEY SET", "CS ID", "RAIDAS"], sets, &["key_id", "cs_id", "server_count"]);
        for warning in found["warnings"].as_array().into_iter().flatten() {
            println!("Warning: {}", shown(warning));
        }
    })
}

pub(crate) async fn status(output: &Output) -> Result<()> {
    answer_or_text(ask(&output.daemon, "/api/rke/status", &[]).await, output, |status| {
        let (sessions, keys) = (&status["sessions"], &status["keystore"]);
        println!("Sessions: {} of at most {}.", sessions["active"], sessions["max"]);
        println!("Cached keys: {} valid of at most {}.", keys["valid"], keys["max"]);
        fields(&status["config"]);
    })
}

pub(crate) async fn raidas(output: &Output) -> Result<()> {
    answer_or_text(ask(&output.daemon, "/api/rke/raidas", &[]).await, output, |answer| {
        let rows = answer["raidas"].as_array().map_or(&[][..], Vec::as_slice);
        let titles =
            ["RAIDA", "ENDPOINT", "STATE", "LAST MS", "MEDIAN MS", "ASKED", "ANSWERED", "LIES", "LAST FAULT"];
        let fields =
            ["raida", "endpoint", "state", "last_ms", "median_ms", "asked", "answered", "lies", "last_fault"];
        table(&titles, rows, &fields);
        match answer["margin"].as_u64() {
            Some(margin) => println!("margin: {margin} spare (at least {} must answer)", answer["required"]),
            None => println!("margin: unknown, no exchange has been made yet"),
        }
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

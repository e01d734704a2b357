//! `rke raida status` and `rke content-server status`: asks a running node or Content Server, where its `--metrics` is,
//! for its health and its metrics, and says what they mean.

mod sheet;

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use rke_client::{Call, Client, Error, call};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use self::sheet::Sheet;
use crate::cli::status::StatusOptions;
use crate::failure::Exit;
use crate::terminal::{BAD, GOOD, clean, from_now, out, paint, say};

/// How long the program may take to respond.
const PATIENCE: Duration = Duration::from_secs(10);

/// The metric of every program that says whether it took its settings when it last read them again.
const LAST_RELOAD: &str = "rke_config_last_reload_successful";

/// What it means that a node holds no master secret.
const NO_SECRETS: &str = "It gives no shares: nobody has preloaded it, or it has lost its data folder.";

/// The program that is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Node,
    ContentServer,
}

impl Program {
    /// A metric that only this program has.
    fn own_metric(self) -> &'static str {
        match self {
            Self::Node => "rke_raida_coins",
            Self::ContentServer => "rke_content_server_keys_max",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Node => "RAIDA node",
            Self::ContentServer => "Content Server",
        }
    }
}

/// Prints the state of a program. The exit code is 1 if it is not ready.
pub(crate) fn run(program: Program, options: &StatusOptions) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(options.metrics.to_string()).with_timeout(PATIENCE);
    let (reasons, sheet) = runtime.block_on(ask(&client)).map_err(|error| of_program(program, error))?;
    if !sheet.has(program.own_metric()) {
        anyhow::bail!(
            "what responds at {} is not a {}; name another address with --metrics",
            options.metrics,
            program.name()
        );
    }
    out(&match options.json {
        true => {
            json!({"ready": reasons.is_empty(), "reasons": reasons, "metrics": sheet.in_json()}).to_string()
        }
        false => [about_both(&reasons, &sheet), about(program, &sheet)].concat().join("\n"),
    })?;
    if reasons.is_empty() { Ok(()) } else { Err(Exit(1).into()) }
}

/// Why the program is not ready, and its metrics.
async fn ask(client: &Client) -> Result<(Vec<String>, Sheet)> {
    let ready = client.raw(&call::ready()).await?;
    let ready: Value = serde_json::from_str(&ready.text).context("what responds there is not rke")?;
    let reasons = ready["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let metrics = client.raw(&Call::<Value>::new(Default::default(), "/metrics", None)).await?;
    let sheet = Sheet::read(&metrics.text).context("what responds there shows no metrics")?;
    Ok((reasons.map(clean).collect(), sheet))
}

/// Errors of the client speak of a daemon.
fn of_program(program: Program, error: anyhow::Error) -> anyhow::Error {
    let (address, reason) = match error.downcast_ref() {
        Some(Error::NoDaemon { address, reason }) => (address, reason.clone()),
        Some(Error::Silent { address, limit }) => (address, format!("no response in {} s", limit.as_secs())),
        _ => return error,
    };
    let name = program.name();
    let text = format!(
        "no {name} responds at {address}: {reason}; start it with --metrics, or name where it is with --metrics"
    );
    say(&format!("{} {}", paint(BAD, "rke:"), clean(&text)));
    Exit(3).into()
}

fn about_both(reasons: &[String], sheet: &Sheet) -> Vec<String> {
    let ready = match reasons {
        [] => format!("{}.", paint(GOOD, "Ready")),
        reasons => format!("{}: {}.", paint(BAD, "Not ready"), reasons.join("; ")),
    };
    let since = Timestamp::from_second(sheet.of("process_start_time_seconds", "") as i64).ok();
    let started = since.map(|since| format!("Started {}.", from_now(since)));
    let refused = sheet.of(LAST_RELOAD, "") == 0.0 && sheet.has(LAST_RELOAD);
    let refused = refused.then(|| {
        let text = "It refused its settings when it last read them again, and uses those before";
        format!("{}: its log names the fault.", paint(BAD, text))
    });
    [Some(ready), started, refused].into_iter().flatten().collect()
}

fn about(program: Program, sheet: &Sheet) -> Vec<String> {
    match program {
        Program::Node => about_node(sheet),
        Program::ContentServer => about_content_server(sheet),
    }
}

fn about_node(sheet: &Sheet) -> Vec<String> {
    let of = |name: &str, label: &str| sheet.of(&format!("rke_raida_{name}"), label);
    let requests = |outcome: &str| of("requests_total", &format!("outcome=\"{outcome}\""));
    let preloads = |outcome: &str| of("preloads_total", &format!("outcome=\"{outcome}\""));
    let secrets =
        format!("Master secrets: {}, of {} Content Server IDs.", of("key_sets", ""), of("owned_ids", ""));
    vec![
        format!(
            "Coins: {}. Coin files that cannot be used: {}.",
            of("coins", ""),
            of("unusable_coin_files", "")
        ),
        match of("key_sets", "") {
            0.0 => format!("{secrets} {}", paint(BAD, NO_SECRETS)),
            _ => secrets,
        },
        format!(
            "Requests: {} answered, {} refused, {} repeated. Other datagrams: {}.",
            requests("answered"),
            requests("refused"),
            requests("repeated"),
            of("malformed_datagrams_total", "")
        ),
        format!(
            "Preloads: {} stored, {} refused, {} failed.",
            preloads("stored"),
            preloads("refused"),
            preloads("failed")
        ),
        format!(
            "Remembered requests: {} of at most {}.",
            of("replay_memory_used", ""),
            of("replay_memory_size", "")
        ),
    ]
}

fn about_content_server(sheet: &Sheet) -> Vec<String> {
    let of = |name: &str, label: &str| sheet.of(&format!("rke_content_server_{name}"), label);
    let ended = |outcome: &str| of("connections_total", &format!("outcome=\"{outcome}\""));
    let sets = |state: &str| of("key_sets", &format!("state=\"{state}\""));
    vec![
        format!(
            "Key sets: {} active, {} retiring, {} retired.",
            sets("active"),
            sets("retiring"),
            sets("retired")
        ),
        format!(
            "Keys: {} of at most {}; {} prove a coin. Resumptions: {}.",
            of("keys", ""),
            of("keys_max", ""),
            of("keys", "proof=\"proven\""),
            of("resumptions", "")
        ),
        format!(
            "Open connections: {} of at most {}; {} carry data. Commands: {} of at most {}.",
            of("open_connections", ""),
            of("connections_max", ""),
            of("tunnels", ""),
            of("commands", ""),
            of("commands_max", "")
        ),
        format!(
            "Ended connections: {} done, {} refused, {} cut, {} unreadable.",
            ended("done"),
            ended("refused"),
            ended("cut"),
            ended("unreadable")
        ),
        format!(
            "Keys that made room for others: {}. Forgotten keys: {}.",
            of("evictions_total", ""),
            of("forgets_total", "")
        ),
        match of("data_dir_writable", "") {
            0.0 => {
                paint(BAD, "Its data folder cannot be written or is full: no key set can be made or retired.")
            }
            _ => "Its data folder can be written.".into(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_master_secrets_says_that_it_gives_no_shares() {
        let about = |secrets: u8| {
            let text = format!("rke_raida_key_sets {secrets}\nrke_raida_owned_ids {secrets}\n");
            about_node(&Sheet::read(&text).expect("metrics")).join("\n")
        };
        let (none, two) = (about(0), about(2));
        assert!(none.contains("Master secrets: 0, of 0 Content Server IDs. "), "{none}");
        assert!(none.contains(NO_SECRETS) && !two.contains(NO_SECRETS), "{none}");
        assert!(two.contains("Master secrets: 2, of 2 Content Server IDs.\n"), "{two}");
    }
}

//! What `rke net up` prints: where everything is, and lines to paste.

use super::files::quoted;
use super::layout::Network;
use super::part::METRICS;
use super::shared::token_file;
use crate::terminal::{BRIGHT, paint};
use crate::words::{self, counted};

/// The text for a network. Its folder is named in commands unless it is the default one.
pub(super) fn overview(network: &Network, is_elsewhere: bool) -> String {
    let (domain, dir) = (&network.about.domain, network.dir.display());
    let mut lines = vec![format!("The network of {domain} runs on this machine:")];
    lines.extend(words::places(&places(network)));
    lines.extend([String::new(), "Paste these lines to open a session:".into()]);
    lines.extend(to_paste(network).into_iter().map(|line| format!("  {line}")));
    let dir = match is_elsewhere {
        true => format!(" --dir {}", quoted(&dir.to_string())),
        false => String::new(),
    };
    lines.extend([
        String::new(),
        format!("`rke net status{dir}` shows the parts, `rke net down{dir}` stops them."),
    ]);
    lines.join("\n")
}

fn places(network: &Network) -> Vec<(&'static str, String)> {
    let addresses: Vec<_> = network.nodes().map(|node| node.address).collect();
    let mut places =
        vec![words::nodes(&addresses), ("DNS", format!("{} (UDP and TCP)", network.about.dns()))];
    places.extend(network.content_servers().iter().map(|server| {
        let api = server.folder.join("api.sock");
        ("Content Server", format!("{} (TCP), for its application unix:{}", server.address, api.display()))
    }));
    let daemons = network.daemons();
    places.extend(
        daemons.iter().map(|daemon| ("daemon", paint(BRIGHT, format!("http://{}/", daemon.address)))),
    );
    if let Some(store) = network.store() {
        let (daemons, servers) = (network.about.daemons, network.about.content_servers);
        let users = format!(
            "{} and {}",
            counted(daemons.into(), "daemon"),
            counted(servers.into(), "Content Server")
        );
        places.push(("store", format!("{} (TCP), of {users}", store.address)));
    }
    let token = daemons.first().and_then(|daemon| token_file(network, daemon));
    places.extend(token.map(|file| ("token", format!("{}, of all daemons", file.display()))));
    places.push(("metrics", metrics(network)));
    places.push(("wallet", network.wallet().display().to_string()));
    let dir = network.dir.display();
    let files = format!("{dir}: for each part a folder with its settings, its log, and `run`, which runs it");
    places.push(("files", files));
    places
}

/// Where the metrics are. Nodes and Content Servers of a network from before they had any have none.
pub(super) fn metrics(network: &Network) -> String {
    let daemons = network.daemons();
    let whose = if daemons.len() == 1 { "of the daemon" } else { "of each daemon, at its own address" };
    let of_daemons = daemons.first().map(|daemon| format!("http://{}/metrics {whose}", daemon.address));
    let of_daemons = of_daemons.unwrap_or_default();
    let dir = network.dir.display();
    let has_metrics =
        network.nodes().chain(network.content_servers()).any(|part| part.folder.join(METRICS).exists());
    match has_metrics {
        true => format!("unix:{dir}/PART/{METRICS} of each node and Content Server; {of_daemons}"),
        false => of_daemons,
    }
}

/// Lines that open a session. Where there are several daemons, they use and delete it at others.
fn to_paste(network: &Network) -> Vec<String> {
    let daemons = network.daemons();
    let [first, others @ ..] = &daemons[..] else { return Vec::new() };
    let wallet = quoted(&network.wallet().to_string_lossy());
    let token = token_file(network, first)
        .map(|file| format!(" RKE_TOKEN_FILE={}", quoted(&file.to_string_lossy())))
        .unwrap_or_default();
    let export = format!("export RKE_DAEMON={} WALLET={wallet}{token}", first.address);
    let create = format!("rke session create {} --wallet \"$WALLET\"", network.about.domain);
    match others {
        [] => vec![export, create],
        [second, ..] => vec![
            export,
            format!("SESSION_ID=$({create})"),
            format!("echo hello | rke connect \"$SESSION_ID\" --daemon {}", second.address),
            format!(
                "rke session delete \"$SESSION_ID\" --everywhere --daemon {}",
                others.last().map_or(second.address, |last| last.address)
            ),
        ],
    }
}

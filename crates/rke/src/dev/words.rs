//! The text that `rke dev` prints: which pages to open, where everything is, and lines to paste.

use std::path::Path;

use rke_client::call::target;
use rke_daemon::{Daemon, OtherEnd};
use rke_raida::content_server::DnsRecords;
use rke_raida::network::LocalNetwork;

use super::DOMAIN;
use super::daemons::Daemons;
use crate::terminal::{BRIGHT, paint};
use crate::words;

/// `Hello World!` in Base64.
const PLAINTEXT: &str = "SGVsbG8gV29ybGQh";

pub(super) fn all(
    network: &LocalNetwork,
    others: &[DnsRecords],
    (daemons, api): (&Daemons, Option<&OtherEnd>),
    behind: &str,
    dir: &Path,
) -> String {
    let console = paint(BRIGHT, format!("http://{}/", daemons.first.address()));
    let mut lines = vec![format!("The console is at {console}"), String::new()];
    lines.extend(places(network, others, (daemons, api), behind, dir));
    lines.push(String::new());
    lines.push("Paste these lines into a shell. They go through a session, from top to bottom:".into());
    let tour = tour(network, &daemons.first).into_iter().chain(shared(network, daemons));
    lines.extend(tour.map(|line| format!("  {line}")));
    lines.push(String::new());
    lines.push("The session stays open, and SESSION_ID is its id. Ctrl-C stops all of it.".into());
    lines.join("\n")
}

fn places(
    network: &LocalNetwork,
    others: &[DnsRecords],
    (daemons, api): (&Daemons, Option<&OtherEnd>),
    behind: &str,
    dir: &Path,
) -> Vec<String> {
    let daemon = &daemons.first;
    let domains: Vec<&str> =
        std::iter::once(DOMAIN).chain(others.iter().map(|other| &*other.domain)).collect();
    let mut places = vec![
        words::nodes(network.node_addresses()),
        ("DNS", format!("{} (UDP and TCP), for {}", network.dns_address(), domains.join(", "))),
        ("Content Server", format!("{} (TCP), {behind}", network.content_server_address())),
        ("wallet", network.wallet().display().to_string()),
        ("daemon", format!("http://{}", daemon.address())),
        ("reference", format!("http://{}/docs in a browser", daemon.address())),
        ("book", format!("http://{}/book/ in a browser", daemon.address())),
        ("files", dir.display().to_string()),
    ];
    places
        .extend(daemons.others.iter().map(|other| ("shares with it", format!("http://{}", other.address()))));
    places.extend(daemon.token_file().map(|file| ("token", file.display().to_string())));
    let socket = api.and_then(OtherEnd::socket);
    places.extend(
        socket.map(|path| ("other end", format!("unix:{}, for `rke content-server list`", path.display()))),
    );
    let title = "A complete key exchange network runs on this machine:".to_owned();
    std::iter::once(title).chain(words::places(&places)).collect()
}

/// Sets the variables by which `rke` finds the daemon, and by which the documents name the wallet.
fn environment(wallet: &str, daemon: &Daemon) -> String {
    let token = daemon.token_file().map(|file| format!(" RKE_TOKEN_FILE='{}'", file.display()));
    format!("export RKE_DAEMON={} WALLET='{wallet}'{}", daemon.address(), token.unwrap_or_default())
}

fn curl(daemon: &Daemon) -> String {
    match daemon.token_file() {
        Some(file) => format!("curl -s -H \"Authorization: Bearer $(cat '{}')\"", file.display()),
        None => "curl -s".into(),
    }
}

/// A line for another session, which is used through the second daemon and deleted through the first, if there is a second.
fn shared(network: &LocalNetwork, daemons: &Daemons) -> Option<String> {
    let (first, second) = (daemons.first.address(), daemons.others.first()?.address());
    let curl = curl(&daemons.first);
    let create =
        target("/session", &[("domain", DOMAIN), ("wallet_path", &network.wallet().to_string_lossy())]);
    Some(format!(
        "OTHER=$({curl} 'http://{first}/api/rke{create}' | grep -o '[0-9a-f]\\{{32\\}}'); \
         {curl} \"http://{second}/api/rke/encrypt?session_id=$OTHER&plaintext={PLAINTEXT}\"; \
         {curl} \"http://{first}/api/rke/session/delete?session_id=$OTHER\"; echo"
    ))
}

/// One line for each part of the API. Each line can use the results of those before it.
fn tour(network: &LocalNetwork, daemon: &Daemon) -> Vec<String> {
    let api = format!("http://{}/api/rke", daemon.address());
    let curl = curl(daemon);
    let wallet = network.wallet().to_string_lossy();
    let discover = target("/discover", &[("domain", DOMAIN)]);
    let create = target("/session", &[("domain", DOMAIN), ("wallet_path", &wallet)]);
    // Extracts a field from the JSON in a shell variable.
    let field = |of: &str, name| format!("$(echo ${of} | sed 's/.*\"{name}\":\"\\([^\"]*\\).*/\\1/')");
    let (ciphertext, nonce) = (field("ENCRYPTED", "ciphertext"), field("ENCRYPTED", "nonce"));
    let (json, sealed) = ("-H 'Content-Type: application/json' -d", field("SEALED", "sealed"));
    let body = |name, value: &str| {
        format!("\"{{\\\"session_id\\\":\\\"$SESSION_ID\\\",\\\"{name}\\\":\\\"{value}\\\"}}\"")
    };
    vec![
        environment(&wallet, daemon),
        format!("{curl} '{api}{discover}'; echo"),
        format!("SESSION_ID=$({curl} '{api}{create}' | grep -o '[0-9a-f]\\{{32\\}}'); echo $SESSION_ID"),
        format!("{curl} '{api}/sessions'; echo"),
        format!("{curl} \"{api}/session/$SESSION_ID\"; echo"),
        format!(
            "ENCRYPTED=$({curl} \"{api}/encrypt?session_id=$SESSION_ID&plaintext={PLAINTEXT}\"); echo $ENCRYPTED"
        ),
        format!(
            "{curl} \"{api}/decrypt?session_id=$SESSION_ID&ciphertext={ciphertext}&nonce={nonce}\"; echo"
        ),
        format!("SEALED=$({curl} {json} {} '{api}/seal'); echo $SEALED", body("plaintext", PLAINTEXT)),
        format!("{curl} {json} {} '{api}/open'; echo", body("sealed", &sealed)),
        format!("echo hello | {curl} -N -X POST --data-binary @- \"{api}/session/$SESSION_ID/tunnel\""),
        format!("{curl} -X POST \"{api}/session/$SESSION_ID/renew\"; echo"),
        format!("{curl} '{api}/keys'; echo"),
        format!("{curl} '{api}/raidas'; echo"),
        format!("{curl} '{api}/status'; echo"),
    ]
}

//! The keys of a Content Server's sessions: `serve --api`, which lets the application behind it use them, and the
//! commands that do.

use std::path::Path;

use anyhow::Result;
use rke_client::response::{SessionSummary, Sessions};
use rke_client::{Error, call};
use rke_daemon::{LocalListen, OtherEnd, OtherEndListener};
use rke_host::data_dir::{DataDir, Role, Sharing};
use tokio::runtime::Builder;

use crate::cli::ask::{DecryptOptions, EncryptOptions, Output};
use crate::cli::listing::Listing;
use crate::crypt;
use crate::failure::Exit;
use crate::reply::answer;
use crate::session::{Details, learn};
use crate::terminal::Narrow::{Cut, LeftOut, Wraps};
use crate::terminal::{BAD, Cell, Narrow, clean, fitted, from_now, out, paint, say};
use crate::which;

const COLUMNS: [(&str, Narrow); 7] = [
    ("KEY ID", Cut(which::SHORT)),
    ("COIN", Wraps),
    ("DOMAIN", Wraps),
    ("SINCE", LeftOut(3)),
    ("EXPIRES", LeftOut(4)),
    ("ENCRYPTED", LeftOut(2)),
    ("DECRYPTED", LeftOut(1)),
];

/// Listens for the application.
pub(super) async fn listen(listen: &LocalListen, data_dir: &Path) -> Result<OtherEndListener> {
    let data_dir = DataDir::open(data_dir, Role::ContentServer, Sharing::Shared)?;
    Ok(OtherEndListener::bind(listen, &data_dir).await?)
}

/// Tells people where the application is served.
pub(super) fn tell_where(api: &OtherEnd) {
    if let Some(path) = api.socket() {
        say(&format!("Its application can use the keys at unix:{}", path.display()));
    }
    if let (Some(address), Some(token)) = (api.address(), api.token_file()) {
        say(&format!("Its application can use the keys at {address}, with the token in {}", token.display()));
    }
}

pub(super) fn list(listing: &Listing, output: Output) -> Result<()> {
    run(async { list_sessions(listing, &output).await })
}

pub(super) fn seal(options: EncryptOptions) -> Result<()> {
    run(async { crypt::encrypt(&options).await })
}

pub(super) fn open(options: DecryptOptions) -> Result<()> {
    run(async { crypt::decrypt(&options).await })
}

fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A thread may still be waiting for standard input, which may never end.
    runtime.shutdown_background();
    result.map_err(of_content_server)
}

/// Errors of the client speak of a daemon. What to do about these is another thing at a Content Server.
fn of_content_server(error: anyhow::Error) -> anyhow::Error {
    let (text, exit) = match error.downcast_ref() {
        Some(Error::NoDaemon { address, reason }) => {
            let remedy = "start `rke content-server serve` with --api, or name where it is with --api";
            (format!("no Content Server responds at {address}: {reason}; {remedy}"), 3)
        }
        Some(Error::SessionGone(refusal)) => {
            (format!("{refusal}; `rke content-server list` shows the sessions"), 1)
        }
        Some(Error::Token { path, error }) => {
            let remedy = "name the file `token` of the Content Server's data folder with --token-file";
            (format!("cannot read the token from {}: {error}; {remedy}", path.display()), 1)
        }
        Some(Error::TokenRejected { address, path, .. }) => {
            let remedy = "name the file `token` of its data folder with --token-file";
            let path = path.display();
            (format!("the Content Server at {address} does not accept the token in {path}; {remedy}"), 1)
        }
        _ => return error,
    };
    say(&format!("{} {}", paint(BAD, "rke:"), clean(&text)));
    Exit(exit).into()
}

async fn list_sessions(listing: &Listing, output: &Output) -> Result<()> {
    if output.json {
        return answer(output, &call::list(), |_| String::new()).await.map(drop);
    }
    let client = output.daemon.client();
    let listed = client.reply(&call::list()).await?;
    match listing.template("session_id") {
        Some(template) => template.print(&listed.text, "sessions", |_, _| ()),
        None => {
            let details = learn(&client, &listed.value.sessions).await?;
            out(&in_table(&listed.value, &details))
        }
    }
}

fn in_table(listed: &Sessions, details: &Details) -> String {
    let row = |row: &SessionSummary| {
        let shown = details.get(row.session_id.as_str());
        let coin = shown.and_then(|shown| shown.coin.as_deref()).map_or("none".into(), clean);
        vec![
            Cell::new(row.session_id.as_str()),
            Cell::new(coin),
            Cell::new(clean(&row.domain)),
            Cell::new(from_now(row.created_at)),
            Cell::new(from_now(row.expires_at)),
            Cell::new(row.encrypt_count),
            Cell::new(row.decrypt_count),
        ]
    };
    match listed.sessions.as_slice() {
        [] => "No sessions.".into(),
        sessions => fitted(&COLUMNS, sessions.iter().map(row)),
    }
}

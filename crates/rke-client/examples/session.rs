//! A session from beginning to end. With a daemon that runs:
//! `cargo run -p rke-client --example session -- 127.0.0.1:8080 content.rke.test /path/to/wallet`

use std::path::Path;
use std::process::ExitCode;

use rke_client::{Client, Error, KeyChoice};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, domain, wallet] = arguments.as_slice() else {
        eprintln!("usage: session HOST:PORT|unix:PATH DOMAIN WALLET");
        return ExitCode::from(2);
    };
    match run(&Client::new(address), domain, Path::new(wallet)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}: {}", error.remedy());
            ExitCode::FAILURE
        }
    }
}

/// Opens a session, uses it in every way, and ends it.
///
/// # Errors
/// Whatever the daemon refuses.
pub async fn run(client: &Client, domain: &str, wallet: &Path) -> Result<(), Error> {
    let mut session = client.open_session(domain, wallet, KeyChoice::Cached).await?;
    if let Some(created) = session.created() {
        println!("open until {}", created.expires_at);
    }

    // A little data, sealed: what was altered does not open.
    let mut sealed = session.seal(b"Hello World!", b"greeting").await?;
    println!("opened: {}", String::from_utf8_lossy(&session.open(&sealed, b"greeting").await?));
    if let Some(last) = sealed.last_mut() {
        *last ^= 1;
    }
    match session.open(&sealed, b"greeting").await {
        Err(Error::Altered(refusal)) => println!("altered: {refusal}"),
        other => println!("altered, and not noticed: {other:?}"),
    }

    // Data of any size goes through in pieces.
    let data = vec![7; 1_000_000];
    let sealed = session.seal_stream(std::io::Cursor::new(data.clone()), b"").await?.into_vec().await?;
    let opened = session.open_stream(std::io::Cursor::new(sealed), b"").await?.into_vec().await?;
    println!("streamed: {} bytes, {}", opened.len(), if opened == data { "the same" } else { "others" });

    session.renew().await?;
    let ended = session.close().await?;
    println!("ended: {}…", ended.session_id.short());
    Ok(())
}

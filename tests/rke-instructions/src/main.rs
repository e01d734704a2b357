//! Test only, never shipped. Does one thing as often as it is told, for valgrind to count its instructions: those
//! inside of [`measured`], without the start. `cargo xtask instructions` runs it.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_engine::keys::{Keystore, Limits};
use rke_engine::model::key_origin::{KeyOrigin, MADE_UP_HOST};
use rke_engine::model::server_name::ServerName;
use rke_engine::model::viewer::Viewer;
use rke_engine::sessions::made_up;
use rke_engine::settings::Config;
use rke_fuzz::samples::{self, Request};
use rke_host::data_dir::{DataDir, Role, Sharing};
use rke_proto::Form;
use rke_proto::header::RequestHeader;
use rke_proto::{ContentServerId, EnvelopeKey, Status, command, envelope};
use rke_secret::process::block_signals;
use rke_secret::scoped;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DOMAIN: &str = "content.rke.test";
/// Sessions that are opened in any case; that many can be deleted.
const SESSIONS: usize = 2000;
/// As many as one web page may open at once.
const SESSIONS_OF_A_PAGE: usize = 200;
/// Room for a response.
const ANSWER_LEN: usize = 8192;
const FIRST_PORT: usize = 10_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => names().iter().for_each(|name| println!("{name}")),
        [name, times] => work(name, times.parse().context("how often?")?)?,
        _ => bail!("usage: rke-instructions list | NAME TIMES"),
    }
    Ok(())
}

/// All that there is to do.
fn names() -> Vec<String> {
    let packets = samples::REQUESTS
        .iter()
        .flat_map(|packet| [format!("open request {}", packet.name), format!("open answer {}", packet.name)]);
    ["delete", "encrypt 1 KiB"].into_iter().map(str::to_owned).chain(packets).collect()
}

fn work(name: &str, times: usize) -> Result<()> {
    // As the daemon does, which wipes more where it has to reckon with signals.
    block_signals()?;
    if let Some(name) = name.strip_prefix("open request ") {
        let packet = packet(name)?;
        let key = samples::key(packet.header.envelope).context("the packet has no key")?;
        return open_many(times, &packet.datagram, |datagram| open_request(key, datagram));
    }
    if let Some(name) = name.strip_prefix("open answer ") {
        let packet = packet(name)?;
        let answer = samples::answer(packet, Status::SUCCESS, &packet.answer);
        let key = samples::key(packet.header.envelope).context("the packet has no key")?;
        return open_many(times, &answer, |datagram| open_answer(packet, key, datagram));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let mut asking = runtime.block_on(Asking::begin(folder.path()))?;
    measured(&mut || runtime.block_on(asking.ask(name, times)))?;
    runtime.block_on(asking.daemon.stop());
    Ok(())
}

fn packet(name: &str) -> Result<&'static Request> {
    samples::REQUESTS.iter().find(|packet| packet.name == name).context("there is no such packet")
}

/// The counted function. valgrind receives its name.
#[inline(never)]
fn measured(work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    black_box(work())
}

/// Opens the same datagram repeatedly, where secrets may lie.
fn open_many(times: usize, datagram: &[u8], open: impl Fn(&mut [u8]) -> Option<()>) -> Result<()> {
    let mut copy = datagram.to_vec();
    measured(&mut || {
        let opened = scoped(|| {
            (0..times).all(|_| {
                copy.copy_from_slice(datagram);
                open(black_box(&mut copy)).is_some()
            })
        })?;
        ensure!(opened, "an honest packet does not open");
        Ok(())
    })?;
    Ok(())
}

/// A node's work, up to the challenge.
fn open_request(key: &EnvelopeKey, datagram: &mut [u8]) -> Option<()> {
    let header = RequestHeader::decode(datagram).ok()?;
    envelope::check_request_frame(&header, datagram).ok()?;
    let body = envelope::open_request(&header, key, datagram).ok()?;
    command::split_challenge(body).ok().map(drop)
}

/// A client's work.
fn open_answer(to: &Request, key: &EnvelopeKey, datagram: &mut [u8]) -> Option<()> {
    envelope::open_response(&to.header, &samples::challenge(), key, datagram).ok().map(drop)
}

/// A daemon in this process, on this thread, and what asks it over one connection.
struct Asking {
    daemon: Daemon,
    connection: TcpStream,
    ids: Vec<String>,
}

impl Asking {
    /// Starts it and opens the sessions.
    async fn begin(folder: &Path) -> Result<Self> {
        let data_dir = folder.join("daemon");
        cache_a_key(&data_dir)?;
        let mut config = Config::new(data_dir);
        config.fixed.listen = vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()];
        config.reloadable.max_sessions = SESSIONS;
        config.reloadable.session_ttl = Duration::from_secs(24 * 3600);
        let daemon = Daemon::start(config).await?;
        let mut connection = TcpStream::connect(daemon.address()).await?;
        let mut ids = Vec::with_capacity(SESSIONS);
        for at in 0..SESSIONS {
            ids.push(open_session(&mut connection, folder, at).await?);
        }
        Ok(Self { daemon, connection, ids })
    }

    async fn ask(&mut self, name: &str, times: usize) -> Result<()> {
        let plaintext = "QUJD".repeat(341) + "QQ==";
        let mut answer = vec![0; ANSWER_LEN];
        for id in self.ids.iter().cycle().take(times) {
            let target = match name {
                "delete" => format!("session/delete?session_id={id}"),
                "encrypt 1 KiB" => format!("encrypt?session_id={id}&plaintext={plaintext}"),
                _ => bail!("there is nothing named {name}"),
            };
            get(&mut self.connection, &target, "", &mut answer).await?;
        }
        Ok(())
    }
}

fn cache_a_key(data_dir: &Path) -> Result<()> {
    let data_dir = DataDir::open(data_dir, Role::Daemon, Sharing::Alone)?;
    let keystore = Keystore::open(Arc::new(data_dir), Limits { ttl_hours: 24, max: 1 })?;
    let origin = KeyOrigin {
        domain: Domain::new(DOMAIN).context("not a domain")?,
        cs_id: ContentServerId::new("CS").context("not a Content Server ID")?,
        form: Form::Wide,
        envelopes: vec![5],
        raidas: (0..25).collect(),
        liars: Vec::new(),
        coins: Vec::new(),
        proven: None,
        server: ServerName { host: MADE_UP_HOST.into(), port: 443 },
        tunnel: None,
    };
    Ok(keystore.put(&made_up::kept(origin)?, &Viewer::Program)?)
}

async fn open_session(connection: &mut TcpStream, wallet: &Path, at: usize) -> Result<String> {
    let target = format!("session?domain={DOMAIN}&wallet_path={}", wallet.display());
    let page = FIRST_PORT + at / SESSIONS_OF_A_PAGE;
    let (origin, mut answer) = (format!("Origin: http://localhost:{page}\r\n"), vec![0; ANSWER_LEN]);
    let len = get(connection, &target, &origin, &mut answer).await?;
    let answer = String::from_utf8_lossy(&answer[..len]);
    let (_, rest) = answer.split_once("\"session_id\":\"").context("an answer without a session")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// Requests a target. Every response here fits in one read, whose length this returns. It does as little as a client
/// can, because its own instructions are counted too.
async fn get(connection: &mut TcpStream, target: &str, headers: &str, answer: &mut [u8]) -> Result<usize> {
    let request = format!("GET /api/rke/{target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).await?;
    let len = connection.read(answer).await?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..len]));
    Ok(len)
}

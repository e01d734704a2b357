//! The other programs that hold secrets: a RAIDA node and a Content Server.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use rke_proto::command::{self, Command, SHARE_REQUEST_LEN};
use rke_proto::envelope::{self, RequestParts};
use rke_proto::{Challenge, ClientSn, ContentServerId, Envelope, KeyContext, KeySetId, RaidaIndex, Status};
use rke_secret::Secret;

use crate::client::Client;
use crate::daemon::{Api, Program};
use crate::exports::{LABEL, export};
use crate::ledger::Keeps;
use crate::needles::{Needles, Secret as Kind, Source};
use crate::network::{CS_ID, DOMAIN, Network, random};
use crate::process::{Scan, scan, scan_at_exit};
use crate::report::{Expected, Report};
use crate::stream::use_streams;
use crate::subject::{Memory, Plan, use_session};

/// Runs both, a quarter as often as the daemon: each run is a process of its own.
pub(crate) fn run_all(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    for _ in 0..plan.repetitions.div_ceil(4) {
        node(plan, report).context("node")?;
        content_server(plan, report).context("Content Server")?;
    }
    Ok(())
}

/// A node is preloaded, gives a share, and is ended.
fn node(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let mut network = plan.runtime.block_on(Network::start())?;
    let wallet = network.renew()?;
    let coins = network.coins();
    let fixed = format!("raida --index 7 --listen 127.0.0.1:0 --secret-memory {}", plan.memory.name());
    let mut arguments: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    let coins_folder = wallet.to_string_lossy().into_owned();
    let data_dir = network.folder().join("node").to_string_lossy().into_owned();
    arguments.extend(["--coins".into(), coins_folder, "--data-dir".into(), data_dir]);
    arguments.extend(["--preloader".into(), coins[0].to_string()]);
    let mut program = Program::start(plan.program, &arguments, plan.fault, network.folder())?;
    let address: SocketAddr = program.wait_for_line(|line| {
        let rest = line.strip_prefix("RAIDA 7 listens on ")?;
        rest.split(' ').next()?.parse().ok()
    })?;
    let raida = RaidaIndex::new(7).context("RAIDA 7")?;
    let envelope = Envelope::Type5(coins[0], coins[1]);
    let cs_id = ContentServerId::new(CS_ID).context("a CSID")?;
    let key_set = KeySetId::new(1).context("a key set")?;
    let asker = Asker { network: &network, address, raida, envelope };
    let master = network.master(raida);
    let master = Secret::fill(|slot| *slot = master)?;
    asker.ask(Command::PreloadKeySet, command::key_set_preload_len(1), |challenge, body| {
        command::write_key_set_preload(challenge, &cs_id, now(), &[(key_set, &master)], body);
    })?;
    let context = new_context()?;
    asker.ask(Command::GetWideKeyShare, SHARE_REQUEST_LEN, |challenge, body| {
        command::write_share_request(challenge, &context, body);
    })?;
    network.note_asked(raida, context, envelope.coin_pair().context("coins")?);
    let mut needles = plan.needles();
    let ans = network.add_needles(&mut needles)?.ans;
    let masters = network.add_masters(&mut needles);
    let living = [ans.as_slice(), &masters[7..8]].concat();
    report.add(plan, "node", "alive", plan.memory.alive(), &scan_living(plan, &program, &needles, &living)?);
    let scan = scan_at_exit(program.process(), || Ok(needles), || program.terminate())?;
    report.add(plan, "node", "gone", Expected::Nothing, &scan);
    ensure!(program.wait()?.success(), "the node did not end well");
    plan.runtime.block_on(network.stop());
    Ok(())
}

/// Asks one node, as a client and as a Content Server does.
struct Asker<'a> {
    network: &'a Network,
    address: SocketAddr,
    raida: RaidaIndex,
    envelope: Envelope,
}

impl Asker<'_> {
    fn ask(&self, command: Command, len: usize, write: impl FnOnce(&Challenge, &mut [u8])) -> Result<()> {
        let key = self.network.envelope_key(self.raida, self.envelope)?;
        let challenge = Challenge::new(random()?);
        let (command, random) = (command.to_wire(), random()?);
        let parts = RequestParts { raida: self.raida, command, envelope: self.envelope, random };
        let (header, mut datagram) = envelope::unsealed_request(&parts, len);
        envelope::seal_request(&header, &key, &mut datagram, |body| write(&challenge, body))?;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.send_to(&datagram, self.address)?;
        let mut answer = [0; 512];
        let (len, _) = socket.recv_from(&mut answer).context("the node does not answer")?;
        match envelope::open_response(&header, &challenge, &key, &mut answer[..len]) {
            Ok(response) if response.status == Status::SUCCESS => Ok(()),
            Ok(response) => bail!("the node refuses: {}", response.status),
            Err(error) => bail!("the node's answer is wrong: {error}"),
        }
    }
}

/// Scans a process while these secrets are in use.
pub(crate) fn scan_living(
    plan: &Plan<'_>,
    program: &Program,
    needles: &Needles,
    living: &[Source],
) -> Result<Scan> {
    let mut scan = scan(program.process(), needles)?;
    if plan.memory == Memory::Locked {
        scan.miss(needles, living);
    }
    Ok(scan)
}

/// Seconds that a client's key lives: time enough for all that is done with it, on a machine that has other work too.
const KEY_LIFETIME: u64 = 8;

/// A Content Server makes 25 master secrets, preloads them and ends; then it serves a client.
fn content_server(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let mut network = plan.runtime.block_on(Network::start())?;
    let (program, data_dir) = start_preloading(plan, &mut network)?;
    let needles = || {
        let mut needles = plan.needles();
        network.add_needles(&mut needles)?;
        network.add_masters(&mut needles);
        Ok(needles)
    };
    let before = network.master(RaidaIndex::new(24).context("RAIDA 24")?);
    let scan = scan_at_exit(program.process(), needles, || Ok(()))?;
    report.add(plan, "preloading", "gone", Expected::Nothing, &scan);
    finish_preloading(program, &network, before)?;
    serve(plan, report, &network, &data_dir).context("serving")?;
    plan.runtime.block_on(network.stop());
    Ok(())
}

/// Starts the program that makes a Content Server's master secrets. Returns its data directory.
pub(crate) fn start_preloading(plan: &Plan<'_>, network: &mut Network) -> Result<(Program, PathBuf)> {
    let wallet = network.renew()?;
    let data_dir = network.folder().join("content-server");
    let fixed = format!(
        "content-server preload --cs-id {CS_ID} --domain {DOMAIN} --host cs.{DOMAIN} --secret-memory {}",
        plan.memory.name()
    );
    let mut arguments: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    for (flag, path) in
        [("--raida-directory", network.directory()?), ("--wallet", wallet), ("--data-dir", data_dir.clone())]
    {
        arguments.extend([flag.to_owned(), path.to_string_lossy().into_owned()]);
    }
    Ok((Program::start(plan.program, &arguments, plan.fault, network.folder())?, data_dir))
}

/// Waits for its end: then the nodes have other master secrets than before.
pub(crate) fn finish_preloading(program: Program, network: &Network, before: [u8; 32]) -> Result<()> {
    let (status, lines) = program.wait_with_lines()?;
    ensure!(status.success(), "preloading failed: {lines}");
    ensure!(
        before != network.master(RaidaIndex::new(24).context("RAIDA 24")?),
        "the nodes were not preloaded"
    );
    Ok(())
}

/// Starts a Content Server with further flags.
pub(crate) fn start_serving(
    plan: &Plan<'_>,
    network: &Network,
    data_dir: &Path,
    flags: &[&str],
) -> Result<(Program, SocketAddr)> {
    let fixed = format!(
        "content-server serve --cs-id {CS_ID} --domain {DOMAIN} --listen 127.0.0.1:0 --secret-memory {} --data-dir",
        plan.memory.name()
    );
    let mut arguments: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    arguments.push(data_dir.to_string_lossy().into_owned());
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let mut program = Program::start(plan.program, &arguments, plan.fault, network.folder())?;
    let begin = format!("Content Server {CS_ID} listens on ");
    let address = program.wait_for_line(|line| line.strip_prefix(&begin)?.split(' ').next()?.parse().ok())?;
    Ok((program, address))
}

/// A client opens sessions in every way, has one forgotten and lets one expire; then the server ends.
fn serve(plan: &Plan<'_>, report: &mut Report, network: &Network, data_dir: &Path) -> Result<()> {
    let lifetime = KEY_LIFETIME.to_string();
    let flags = ["--key-lifetime", &lifetime, "--api", "127.0.0.1:0", "--allow-export", LABEL];
    let (mut program, address) = start_serving(plan, network, data_dir, &flags)?;
    let client = Client { network, address };
    let application = application_of(&mut program, data_dir)?;
    let mut needles =
        plan.runtime.block_on(use_and_forget(plan, report, &client, (&program, application)))?;
    // All its life, and up to a second more until it is swept.
    thread::sleep(Duration::from_millis(1000 * KEY_LIFETIME + 1200));
    report.add(plan, "its clients' keys", "gone", Expected::Nothing, &scan(program.process(), &needles)?);
    network.add_masters(&mut needles);
    let scan = scan_at_exit(program.process(), || Ok(needles), || program.terminate())?;
    report.add(plan, "Content Server", "gone", Expected::Nothing, &scan);
    ensure!(program.wait()?.success(), "the Content Server did not end well");
    Ok(())
}

/// The interface by which the application of a Content Server uses the keys of its sessions.
pub(crate) fn application_of(program: &mut Program, data_dir: &Path) -> Result<Api> {
    let address = program.wait_for_line(|line| {
        let rest = line.strip_prefix("Its application can use the keys at ")?;
        rest.split(',').next()?.parse().ok()
    })?;
    Api::with_token(address, &data_dir.join("token"))
}

/// One session is forgotten while data flows in it and its application encrypts with its key, one goes on, and the client
/// of one never proves that it has the key. Returns the secrets of all.
async fn use_and_forget(
    plan: &Plan<'_>,
    report: &mut Report,
    client: &Client<'_>,
    (program, application): (&Program, Api),
) -> Result<Needles> {
    let (network, context) = (client.network, new_context()?);
    let [mut first, mut all, mut alive] = [(); 3].map(|()| plan.needles());
    network.turn_page();
    let forgotten = client.exchange(context).await?.confirm().await?;
    client.check_shares(context).await?;
    let tunnel = client.attach(&forgotten).await?;
    let unconfirmed = client.exchange(new_context()?).await?;
    let key_id = hex::encode(forgotten.session.key_id);
    use_session(application, &key_id, 30_000)?;
    let streams = [use_streams(application, &key_id, 100_000)?];
    let exported = export(application, &key_id)?;
    for needles in [&mut first, &mut all, &mut alive] {
        needles.add(Kind::ExportedKey, &exported);
    }
    network.add_needles_with(&mut first, &streams, Keeps::Nothing)?;
    network.add_needles_with(&mut all, &streams, Keeps::Nothing)?;
    let in_use = network.add_needles_with(&mut alive, &streams, Keeps::Nothing)?;
    network.turn_page();
    client.resume(&forgotten).await?.confirm().await?;
    network.add_needles(&mut all)?;
    let resumed = network.add_needles(&mut alive)?.roots;
    let masters = network.add_masters(&mut alive);
    let living = [in_use.roots, in_use.resumptions, in_use.transports, resumed, masters].concat();
    let scan_alive = scan_living(plan, program, &alive, &living)?;
    report.add(plan, "Content Server", "alive", plan.memory.alive(), &scan_alive);

    drop(unconfirmed);
    let used = Arc::new(AtomicUsize::new(0));
    let load = thread::spawn({
        let used = Arc::clone(&used);
        move || {
            while use_session(application, &key_id, 30_000).is_ok()
                && use_streams(application, &key_id, 300_000).is_ok()
            {
                used.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    while used.load(Ordering::Relaxed) == 0 && !load.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    ensure!(used.load(Ordering::Relaxed) > 0, "the application could not use the key");
    tokio::try_join!(client.forget(&forgotten), tunnel.broken_off())?;
    ensure!(load.join().is_ok(), "the application panicked");
    // It takes notice of the client that hung up.
    tokio::time::sleep(Duration::from_millis(100)).await;
    report.add(plan, "forgotten key", "gone", Expected::Nothing, &scan(program.process(), &first)?);
    Ok(all)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

fn new_context() -> Result<KeyContext> {
    Ok(KeyContext {
        cs_id: ContentServerId::new(CS_ID).context("a CSID")?,
        key_set: KeySetId::new(1).context("a key set")?,
        client_sn: ClientSn(random()?),
        timestamp: now(),
    })
}

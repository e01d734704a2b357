//! The other programs that hold secrets: a RAIDA node and a Content Server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Error, Result, bail, ensure};
use rke_proto::command::{self, Command, SHARE_REQUEST_LEN};
use rke_proto::derive::{self, ShareWidth};
use rke_proto::envelope::{self, RequestParts};
use rke_proto::tunnel::{Answer, ClientKeyId, Handshake, HandshakeNonce, PacketHeader, packet, share_check};
use rke_proto::{
    Bitmap, Challenge, ClientSn, ContentServerId, Envelope, KeyContext, KeyId, RaidaIndex, Status,
};
use rke_secret::Secret;

use crate::daemon::Program;
use crate::needles::Needles;
use crate::network::{Network, random};
use crate::process::{scan, scan_at_exit};
use crate::report::{Expected, Report};
use crate::scenario::Plan;

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
    let mut program = Program::start(plan.program, &arguments, None, network.folder())?;
    let address: SocketAddr = program.wait_for_line(|line| {
        let rest = line.strip_prefix("RAIDA 7 listens on ")?;
        rest.split(' ').next()?.parse().ok()
    })?;
    let raida = RaidaIndex::new(7).context("RAIDA 7")?;
    let envelope = Envelope::Type5(coins[0], coins[1]);
    let cs_id = ContentServerId::new("SCANNED-SERVER").context("a CSID")?;
    let key_id = KeyId::new(1).context("a key id")?;
    let asker = Asker { network: &network, address, raida, envelope };
    let master = network.master(raida);
    let master = Secret::fill(|slot| *slot = master)?;
    asker.ask(Command::PreloadMasterKey, command::preload_len(&cs_id, 1), |challenge, body| {
        command::write_preload(challenge, &cs_id, &[(key_id, &master)], body);
    })?;
    let context = new_context()?;
    asker.ask(Command::GetWideKeyShare, SHARE_REQUEST_LEN, |challenge, body| {
        command::write_share_request(challenge, &context, body);
    })?;
    network.note_asked(raida, context);
    let mut needles = Needles::new();
    network.add_needles(&mut needles);
    network.add_masters(&mut needles);
    report.add(plan, "node", "alive", plan.memory.alive(), &scan(program.process(), &needles)?);
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
        let (header, datagram) = envelope::seal_request(&parts, &key, len, |body| write(&challenge, body))?;
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

/// Seconds that a client's key lives: time enough for the client to agree on it and to use it, on a machine
/// that has other work too.
const KEY_LIFETIME: u64 = 3;

/// A Content Server makes 25 master secrets, preloads them and ends; then it serves a client.
fn content_server(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let mut network = plan.runtime.block_on(Network::start())?;
    let wallet = network.renew()?;
    let data_dir = network.folder().join("content-server");
    let fixed = format!(
        "content-server preload --cs-id SCANNED-SERVER --domain scan.test --host cs.scan.test --secret-memory {}",
        plan.memory.name()
    );
    let mut arguments: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    for (flag, path) in
        [("--raida-directory", network.directory()?), ("--wallet", wallet), ("--data-dir", data_dir.clone())]
    {
        arguments.extend([flag.to_owned(), path.to_string_lossy().into_owned()]);
    }
    let raida = RaidaIndex::new(24).context("RAIDA 24")?;
    let before = network.master(raida);
    let program = Program::start(plan.program, &arguments, None, network.folder())?;
    let needles = || {
        let mut needles = Needles::new();
        network.add_needles(&mut needles);
        network.add_masters(&mut needles);
        Ok(needles)
    };
    let scan = scan_at_exit(program.process(), needles, || Ok(()))?;
    report.add(plan, "preloading", "gone", Expected::Nothing, &scan);
    let lines = program.lines().join("\n");
    ensure!(program.wait()?.success(), "preloading failed: {lines}");
    ensure!(before != network.master(raida), "the nodes were not preloaded");
    serve(plan, report, &network, &data_dir).context("serving")?;
    plan.runtime.block_on(network.stop());
    Ok(())
}

/// A client agrees on a key and uses it; the key expires; the server ends.
fn serve(plan: &Plan<'_>, report: &mut Report, network: &Network, data_dir: &Path) -> Result<()> {
    let fixed = format!(
        "content-server serve --cs-id SCANNED-SERVER --listen 127.0.0.1:0 --key-lifetime {KEY_LIFETIME} --secret-memory {} --data-dir",
        plan.memory.name()
    );
    let mut arguments: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    arguments.push(data_dir.to_string_lossy().into_owned());
    let mut program = Program::start(plan.program, &arguments, None, network.folder())?;
    let address: SocketAddr = program.wait_for_line(|line| {
        let rest = line.strip_prefix("Content Server SCANNED-SERVER listens on ")?;
        rest.split(' ').next()?.parse().ok()
    })?;
    let context = new_context()?;
    RaidaIndex::all().for_each(|raida| network.note_asked(raida, context));
    agree(network, address, &context)?;
    let mut key_needles = Needles::new();
    network.add_needles(&mut key_needles);
    let mut needles = Needles::new();
    network.add_needles(&mut needles);
    network.add_masters(&mut needles);
    report.add(plan, "Content Server", "alive", plan.memory.alive(), &scan(program.process(), &needles)?);
    // All its life, and up to a second more until it is swept.
    thread::sleep(Duration::from_millis(1000 * KEY_LIFETIME + 1200));
    report.add(plan, "its client's key", "gone", Expected::Nothing, &scan(program.process(), &key_needles)?);
    let scan = scan_at_exit(program.process(), || Ok(needles), || program.terminate())?;
    report.add(plan, "Content Server", "gone", Expected::Nothing, &scan);
    ensure!(program.wait()?.success(), "the Content Server did not end well");
    Ok(())
}

/// Shakes hands, has the shares checked, sends data and takes it back from the echo.
fn agree(network: &Network, address: SocketAddr, context: &KeyContext) -> Result<()> {
    let bitmap: Bitmap = RaidaIndex::all().collect();
    let share = |raida: RaidaIndex| {
        let master = network.master(raida);
        Secret::fill(|share| derive::share(&master, ShareWidth::Wide, context, share))
    };
    let shares = RaidaIndex::all().map(|raida| Ok((raida, share(raida)?))).collect::<Result<Vec<_>>>()?;
    let of_all = shares.iter().map(|(_, share)| share);
    let key = derive::key_from_shares(of_all, ShareWidth::Wide, context, bitmap)?;
    let (key_id, session, nonce) = (ClientKeyId(random()?), random()?, HandshakeNonce::new(context, bitmap));
    let handshake = Handshake { coin: network.coins()[0], session };
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&key.expose(|key| handshake.seal(key, key_id, &nonce)))?;
    let (header, mut payload) = read_packet(&mut stream)?;
    let answer = key.expose(|key| Answer::open(key, &header, &mut payload))?;
    ensure!(answer.status == Status::SUCCESS, "the Content Server refuses: {}", answer.status);
    stream.write_all(&share_check::ask(&nonce, shares.iter().map(|(raida, share)| (*raida, share))))?;
    let (_, payload) = read_packet(&mut stream)?;
    ensure!(payload[0] == Status::SUCCESS.0, "the share check was refused");
    let sealed = key
        .expose(|key| packet::seal_data(key, key_id, &session, random()?, b"some data").map_err(Error::from));
    stream.write_all(&sealed?)?;
    let (header, mut payload) = read_packet(&mut stream)?;
    let echoed =
        key.expose(|key| packet::open_data(key, &header, &session, &mut payload).map(|data| data.to_vec()))?;
    ensure!(echoed == b"some data", "the echo is garbled");
    Ok(())
}

fn read_packet(stream: &mut TcpStream) -> Result<(PacketHeader, Vec<u8>)> {
    let mut header = [0; packet::HEADER_LEN];
    stream.read_exact(&mut header).context("the Content Server does not answer")?;
    let header = PacketHeader::decode(&header)?;
    let mut payload = vec![0; header.rest_len()];
    stream.read_exact(&mut payload)?;
    payload.truncate(header.payload_len.into());
    Ok((header, payload))
}

fn new_context() -> Result<KeyContext> {
    Ok(KeyContext {
        cs_id: ContentServerId::new("SCANNED-SERVER").context("a CSID")?,
        key_id: KeyId::new(1).context("a key id")?,
        client_sn: ClientSn(random()?),
        timestamp: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    })
}

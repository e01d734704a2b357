//! No receiver mistakes a cut tunnel for one that has ended. The tests try every cause of a cut, at every record
//! boundary and within records, with every receiver of data. Add new receivers in `receivers.rs`.

mod receivers;
mod relay;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rke_daemon::Daemon;
use rke_engine::settings::Config;
use rke_raida::content_server::ServerConfig;
use rke_raida::dns::DnsServer;
use rke_raida::network::LocalNetwork;
use rustix::process::{Pid, Signal, kill_process};

use self::receivers::{Ended, Input, Receiver};
use self::relay::{Cut, Direction, How, Relay};
use crate::support::{DOMAIN, again, config, get, network_with, request, running};

/// A network with a command behind its Content Server, a relay in front of that, and a daemon.
struct Scene {
    dir: tempfile::TempDir,
    network: LocalNetwork,
    relay: Relay,
    dns: DnsServer,
    daemon: Daemon,
}

/// The traces of the commands in a folder: a file for each that has begun, and for each that has seen the end of
/// its input.
struct Traces(PathBuf);

impl Traces {
    fn count(&self, what: &str) -> usize {
        let files = std::fs::read_dir(&self.0).expect("a folder");
        files
            .filter(|file| {
                file.as_ref().is_ok_and(|file| file.file_name().to_string_lossy().starts_with(what))
            })
            .count()
    }

    /// Waits until this many commands are running.
    async fn have_begun(&self, count: usize) {
        again(async || match self.count("begun.") {
            running if running < count => Err(format!("only {running} commands run")),
            _ => Ok(()),
        })
        .await;
    }

    /// Waits until no command runs: then none can see an end any longer.
    async fn have_gone(&self) {
        let folder = self.0.to_str().expect("UTF-8");
        again(async || match shells_with(folder) {
            0 => Ok(()),
            count => Err(format!("{count} commands still run")),
        })
        .await;
    }

    fn clear(&self) {
        for file in std::fs::read_dir(&self.0).expect("a folder") {
            std::fs::remove_file(file.expect("a file").path()).expect("removed");
        }
    }
}

/// How many shells run with this text in their command line. A program that has ended has no command line.
fn shells_with(text: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let is_one = |line: &Vec<u8>| {
        let line = String::from_utf8_lossy(line);
        line.split('\0').next().is_some_and(|program| program.ends_with("sh")) && line.contains(text)
    };
    lines.filter(is_one).count()
}

/// A command that writes, reads to the end of its input, and writes again.
fn command(traces: &Path) -> String {
    let traces = traces.display();
    format!(
        "printf 'begin '; sleep 0.05; printf 'middle '; : > {traces}/begun.$$; \
         cat > {traces}/got.$$; : > {traces}/ended.$$; printf 'end'"
    )
}

/// The complete output of the command. Its exit status follows.
const SAID: &str = "begin middle end";

impl Scene {
    /// A scene with [`command`].
    async fn new() -> Self {
        Self::with(|_| (), |_| ()).await
    }

    async fn with(server: impl FnOnce(&mut ServerConfig), daemon: impl FnOnce(&mut Config)) -> Self {
        tokio::task::block_in_place(Receiver::prepare);
        let dir = tempfile::tempdir().expect("a folder");
        let traces = dir.path().join("traces");
        std::fs::create_dir(&traces).expect("a folder");
        let mut server_config = ServerConfig::new(running(&command(&traces)));
        server(&mut server_config);
        let network = network_with(&dir, server_config).await;
        let relay = Relay::start(network.content_server_address()).await;
        let mut records = network.records().clone();
        records.port = relay.address.port();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let dns = DnsServer::start(loopback, [&records], loopback.ip()).await.expect("a DNS server");
        let mut daemon_config = config(&dir, dns.address());
        daemon(&mut daemon_config);
        let daemon = Daemon::start(daemon_config).await.expect("a daemon");
        Self { dir, network, relay, dns, daemon }
    }

    fn traces(&self) -> Traces {
        Traces(self.dir.path().join("traces"))
    }

    async fn session(&self) -> String {
        let wallet = self.network.wallet().display();
        let created =
            get(self.daemon.address(), &format!("/api/rke/session?domain={DOMAIN}&wallet_path={wallet}"))
                .await;
        assert_eq!(created.status, 200, "{created:?}");
        created.json()["session_id"].as_str().expect("an id").to_owned()
    }

    /// Runs all receivers in one session, at the same time.
    fn receive(&self, id: &str, input: Input) -> impl Future<Output = Vec<(Receiver, Ended)>> + use<> {
        let (address, id) = (self.daemon.address(), id.to_owned());
        let tasks: Vec<_> = Receiver::ALL
            .into_iter()
            .map(|receiver| {
                let id = id.clone();
                tokio::spawn(async move { (receiver, receiver.run(address, &id, input).await) })
            })
            .collect();
        async move {
            let mut ended = Vec::new();
            for task in tasks {
                ended.push(task.await.expect("no panic"));
            }
            ended
        }
    }

    async fn stop(self) {
        self.daemon.stop().await;
        self.dns.stop().await;
        self.network.stop().await;
    }
}

/// Lets all receivers wait in a session, cuts it, and checks that none of them takes that for the end.
async fn cut_by(cause: &str, scene: &mut Scene, deed: impl AsyncFnOnce(&mut Scene, &str)) {
    let id = scene.session().await;
    let received = scene.receive(&id, Input::Open);
    scene.traces().have_begun(Receiver::ALL.len()).await;
    deed(scene, &id).await;
    for (receiver, ended) in received.await {
        assert_eq!(ended, Ended::Cut, "{cause}: {receiver:?}");
    }
    scene.traces().have_gone().await;
    assert_eq!(scene.traces().count("ended."), 0, "{cause}: a command took it for the end");
    scene.traces().clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_that_has_ended_is_whole_for_every_receiver() {
    let scene = Scene::new().await;
    let id = scene.session().await;
    for (receiver, ended) in scene.receive(&id, Input::Whole).await {
        assert_eq!(ended, Ended::Whole(SAID.into()), "{receiver:?}");
    }
    assert_eq!(scene.traces().count("ended."), Receiver::ALL.len());
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_or_is_killed_is_no_whole_response() {
    for (command, status) in [("cat; exit 3", 3), ("cat; kill -9 $$", 137), ("cat; kill -TERM $$", 143)] {
        let exec = |server: &mut ServerConfig| server.application = running(command);
        let scene = Scene::with(exec, |_| ()).await;
        let id = scene.session().await;
        for (receiver, ended) in scene.receive(&id, Input::Whole).await {
            let expected = if receiver.learns_status() { Ended::Status(status) } else { Ended::Cut };
            assert_eq!(ended, expected, "{command}: {receiver:?}");
        }
        scene.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_deleted_cuts_its_tunnels() {
    let mut scene = Scene::with(|server| server.rules.keys_per_coin = 1, |_| ()).await;
    cut_by("deleted here", &mut scene, async |scene, id| {
        let deleted = request(scene.daemon.address(), "DELETE", &format!("/api/rke/session/{id}")).await;
        assert_eq!(deleted.status, 200, "{deleted:?}");
    })
    .await;
    cut_by("given up there for another session", &mut scene, async |scene, id| {
        scene.session().await;
        let shown = get(scene.daemon.address(), &format!("/api/rke/session/{id}")).await;
        assert_eq!(shown.status, 200, "it lives on here: {shown:?}");
    })
    .await;
    scene.stop().await;
}

/// A session's lifetime and idle time in the tests that wait for them: enough for all receivers to start on a busy
/// machine.
const LIFETIME: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_expires_cuts_its_tunnels() {
    let mut scene = Scene::with(|_| (), |daemon| daemon.reloadable.session_ttl = LIFETIME).await;
    cut_by("expired here", &mut scene, async |_, _| ()).await;
    scene.stop().await;
    let seconds = LIFETIME.as_secs() as u32;
    let mut scene = Scene::with(|server| server.rules.lifetime_seconds = seconds, |_| ()).await;
    cut_by("expired there", &mut scene, async |_, _| ()).await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_in_which_nothing_moves_is_cut() {
    let mut scene = Scene::with(|_| (), |daemon| daemon.reloadable.session_idle = Some(IDLE)).await;
    cut_by("idle here", &mut scene, async |_, _| ()).await;
    scene.stop().await;
    let mut scene = Scene::with(|server| server.idle_timeout = IDLE, |_| ()).await;
    cut_by("idle there", &mut scene, async |_, _| ()).await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_stops_cuts_its_tunnels() {
    let mut scene = Scene::new().await;
    cut_by("the Content Server stops", &mut scene, async |scene, _| {
        scene.network.stop_content_server().await;
    })
    .await;
    scene.network.restart_content_server().await.expect("a Content Server");
    let id = scene.session().await;
    let received = scene.receive(&id, Input::Open);
    scene.traces().have_begun(Receiver::ALL.len()).await;
    let traces = scene.traces();
    let Scene { dir, network, dns, daemon, relay: _relay } = scene;
    daemon.stop().await;
    for (receiver, ended) in received.await {
        assert_eq!(ended, Ended::Cut, "the daemon stops: {receiver:?}");
    }
    traces.have_gone().await;
    assert_eq!(traces.count("ended."), 0, "the daemon stops: a command took it for the end");
    dns.stop().await;
    network.stop().await;
    drop(dir);
}

/// `rke content-server serve` in place of the network's own Content Server.
async fn serve_by_program(scene: &mut Scene) -> Child {
    let address = scene.network.content_server_address();
    scene.network.stop_content_server().await;
    let serve = Command::new(env!("CARGO_BIN_EXE_rke"))
        .args(["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--domain", DOMAIN])
        .args(["--listen", &address.to_string(), "--exec", &command(&scene.traces().0)])
        .arg("--data-dir")
        .arg(scene.dir.path().join("content-server/data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("rke runs");
    again(async || match tokio::net::TcpStream::connect(address).await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the Content Server does not listen: {error}")),
    })
    .await;
    serve
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_server_that_is_killed_cuts_its_tunnels() {
    let mut scene = Scene::new().await;
    let mut server = serve_by_program(&mut scene).await;
    cut_by("the Content Server is killed", &mut scene, async |_, _| {
        kill_process(Pid::from_child(&server), Signal::KILL).expect("killed");
    })
    .await;
    server.wait().expect("it is gone");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_is_no_end_for_the_command() {
    let scene = Scene::new().await;
    let id = scene.session().await;
    let connect = |input: Stdio| {
        let mut connect = Command::new(env!("CARGO_BIN_EXE_rke"));
        connect.args(["connect", &id, "--daemon", &scene.daemon.address().to_string()]).stdin(input);
        connect.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("rke runs")
    };
    let mut killed = connect(Stdio::piped());
    scene.traces().have_begun(1).await;
    // First, while its input is still open.
    killed.kill().expect("killed");
    killed.wait().expect("it is gone");
    // If reading the input fails, the input has no end.
    let folder = std::fs::File::open(scene.dir.path()).expect("a folder");
    let failed =
        tokio::task::block_in_place(|| connect(folder.into()).wait_with_output()).expect("an output");
    let log = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(255), "{log}");
    assert!(log.starts_with("rke: cannot read the data to send") && log.lines().count() == 1, "{log}");
    scene.traces().have_gone().await;
    assert_eq!(scene.traces().count("ended."), 0, "a command took it for the end");
    scene.stop().await;
}

/// Cuts the connections of tunnels after `records` records of one direction and `bytes` bytes of the next record.
async fn cut_at(scene: &Scene, id: &str, cut: Cut) {
    scene.relay.cut(Some(cut));
    let received = scene.receive(id, Input::Whole).await;
    for (receiver, ended) in received {
        // A reset can overtake data that was sent before it, even the response to the handshake.
        let may_be_refused = cut.records == 0 && cut.how == How::Reset;
        assert!(
            ended == Ended::Cut || ended == Ended::Refused && may_be_refused,
            "{cut:?}: {receiver:?} {ended:?}"
        );
    }
}

/// How many bytes of the next record still arrive: none, half a length field, some of the data.
const PIECES: [usize; 3] = [0, 1, 12];

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_on_the_way_from_the_content_server_is_no_end_of_the_response() {
    let scene = Scene::new().await;
    let id = scene.session().await;
    // The cuts come before each of three texts, and before the end.
    for records in 0..4 {
        for (bytes, how) in PIECES.into_iter().flat_map(|bytes| How::ALL.map(|how| (bytes, how))) {
            cut_at(&scene, &id, Cut { direction: Direction::Down, records, bytes, how }).await;
        }
    }
    // If the relay lets everything through, it does no harm.
    scene.relay.cut(None);
    for (receiver, ended) in scene.receive(&id, Input::Whole).await {
        assert_eq!(ended, Ended::Whole(SAID.into()), "{receiver:?}");
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_on_the_way_to_the_content_server_is_no_end_for_the_command() {
    let scene = Scene::new().await;
    let id = scene.session().await;
    // The records are the one that attaches, the data, and the end of the data.
    for records in 0..3 {
        for (bytes, how) in PIECES.into_iter().flat_map(|bytes| How::ALL.map(|how| (bytes, how))) {
            let cut = Cut { direction: Direction::Up, records, bytes, how };
            cut_at(&scene, &id, cut).await;
            scene.traces().have_gone().await;
            assert_eq!(scene.traces().count("ended."), 0, "{cut:?}: a command took it for the end");
        }
    }
    scene.stop().await;
}

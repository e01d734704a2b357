//! A Content Server in this process, and a client of it.

use rke_proto::coin::Group;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rke_host::framing::{RecordReader, RecordWriter, read_response, records};
use rke_proto::coin::{CoinId, CoinPair};
use rke_proto::derive::{ShareKind, ShareWidth};
use rke_proto::handshake::kem::EphemeralKey;
use rke_proto::handshake::keys::{attach_psk, forget_proof, forget_token};
use rke_proto::handshake::packet::Forget;
use rke_proto::handshake::{
    Accepted, ExchangePrologue, Grant, Initiator, Prologue, Record, Response, SessionSecrets, psk,
};
use rke_proto::{ClientSn, ContentServerId, Form, KeyContext, KeySetId, RaidaIndex};
use rke_raida::content_server::{
    Application, ContentServer, KeyRing, Launcher, MasterSecrets, ServerConfig, launch_commands,
};
use rke_secret::Secret;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

pub(crate) const DOMAIN: &str = "content.example";
pub(crate) const COIN: CoinId = CoinId { denomination: 0, serial: 42 };

/// Nothing here takes that long.
const LONG: Duration = Duration::from_secs(60);

pub(crate) type Reader = RecordReader<OwnedReadHalf>;
pub(crate) type Writer = RecordWriter<OwnedWriteHalf>;

pub(crate) fn cs_id() -> ContentServerId {
    ContentServerId::new("CONTENT-SERVER01").expect("an ID")
}

/// A Content Server and its master secrets.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) server: Option<ContentServer>,
    pub(crate) peer: Peer,
}

/// What a client has of a Content Server: what the RAIDAs would give it.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    secrets: Arc<MasterSecrets>,
}

/// A session at the client.
pub(crate) struct Session {
    pub(crate) peer: Peer,
    pub(crate) secrets: SessionSecrets,
    pub(crate) grant: Grant,
}

/// The key ring in a folder, with k1 in it. What another test starts at that moment is, until it is a program of its
/// own, a copy of this process that holds the locks of all folders.
pub(crate) fn key_ring(dir: &std::path::Path) -> (KeyRing, Arc<MasterSecrets>) {
    let keys = (0..100).find_map(|_| {
        let opened = KeyRing::open(cs_id(), dir).ok();
        if opened.is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        opened
    });
    let mut keys = keys.expect("a key ring");
    let secrets = keys.open_or_make(KeySetId::new(1).expect("k1"), Form::Wide).expect("a key set");
    (keys, secrets)
}

const COMMAND: &str = "RKE_TEST_COMMAND";

/// This command behind a Content Server. What starts it is a process of its own: this program again.
pub(crate) fn running(command: &str) -> Application {
    running_after("true", command)
}

/// The same, where a shell does something before that.
pub(crate) fn running_after(first: &str, command: &str) -> Application {
    let mut launcher = Command::new("sh");
    let then = format!("{first}; exec \"$0\" --exact client::launches_commands --ignored");
    launcher.args(["-c", &then]).arg(std::env::current_exe().expect("this program")).env(COMMAND, command);
    Application::Exec(Launcher::start(launcher).expect("a launcher"))
}

/// Not a test: what the other process does.
#[test]
#[ignore = "the process that starts the commands of other tests"]
fn launches_commands() {
    let Ok(command) = std::env::var(COMMAND) else { return };
    launch_commands(&command).expect("it goes on to its end");
}

impl Stage {
    pub(crate) async fn new(application: Application, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = ServerConfig::new(application);
        change(&mut config);
        Self::in_folder(dir, config).await
    }

    /// With a command, to which `$DIR` is a folder of its own.
    pub(crate) async fn exec(command: &str, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let command = command.replace("$DIR", dir.path().to_str().expect("UTF-8"));
        let mut config = ServerConfig::new(running(&command));
        change(&mut config);
        Self::in_folder(dir, config).await
    }

    async fn in_folder(dir: tempfile::TempDir, config: ServerConfig) -> Self {
        let (keys, secrets) = key_ring(&dir.path().join("keys"));
        let server = ContentServer::start(config, keys).await.expect("a Content Server");
        let peer = Peer { address: server.address(), secrets };
        Self { dir, server: Some(server), peer }
    }

    pub(crate) fn keys(&self) -> usize {
        self.server.as_ref().map_or(0, ContentServer::keys)
    }

    pub(crate) async fn open(&self) -> Session {
        self.peer.open().await
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// What a file of the command's folder has. `None` where it is not there.
    pub(crate) fn file(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.dir.path().join(name)).ok()
    }

    /// The number of a process that a command wrote to a file of its folder.
    pub(crate) async fn process(&self, name: &str) -> rustix::process::Pid {
        let number = within(async {
            loop {
                match self.file(name).and_then(|text| text.trim().parse().ok()) {
                    Some(number) => break number,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        });
        rustix::process::Pid::from_raw(number.await).expect("a process")
    }
}

/// Waits for what must happen soon.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(LONG, what).await.expect("soon")
}

/// Whether a process runs. One that nobody has reaped yet does not.
pub(crate) fn runs(process: rustix::process::Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits until a process is gone.
pub(crate) async fn gone(process: rustix::process::Pid) {
    within(async {
        while runs(process) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs()
}

impl Peer {
    pub(crate) fn new(address: SocketAddr, secrets: Arc<MasterSecrets>) -> Self {
        Self { address, secrets }
    }

    /// An exchange of its own, with one coin at 15 RAIDAs.
    pub(crate) fn exchange(&self, coin: CoinId) -> (Initiator, Vec<u8>) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let [a, b, c, d] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let (client_sn, timestamp) = (ClientSn([std::process::id() as u8, a, b, c, d]), now());
        let key_set = KeySetId::new(1).expect("k1");
        let context = KeyContext { cs_id: cs_id(), key_set, client_sn, timestamp };
        let (raidas, coins) = (RaidaIndex::all().take(15).collect(), CoinPair { first: coin, second: None });
        let exchange = ExchangePrologue::new(context, vec![Group { raidas, coins }]).expect("a prologue");
        let shares = self.secrets.shares(&context, ShareKind::Wide(coins), raidas).expect("secret memory");
        let shares = shares.iter().map(|(_, share)| share);
        let psk = psk::from_shares(shares, ShareWidth::Wide, &exchange.to_bytes()).expect("secret memory");
        begin(&Prologue::Exchange(exchange), &psk)
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.expect("connected");
        stream.set_nodelay(true).expect("set");
        stream
    }

    /// A handshake up to the server's response.
    pub(crate) async fn shake_hands(
        &self,
        (initiator, packet): (Initiator, Vec<u8>),
    ) -> (TcpStream, Accepted) {
        let mut stream = self.connect().await;
        stream.write_all(&packet).await.expect("sent");
        match within(read_response(&mut stream)).await.expect("a response") {
            Response::Accepted(message) => (stream, initiator.receive(&message).expect("the server's half")),
            Response::Refused(reason) => panic!("refused: {reason}"),
            _ => panic!("another response"),
        }
    }

    /// A whole handshake that opens a session.
    async fn open_by(&self, begun: (Initiator, Vec<u8>)) -> Session {
        let (stream, accepted) = self.shake_hands(begun).await;
        let Accepted { secrets, grant, transport } = accepted;
        let (mut reader, mut writer) = records(stream, transport);
        writer.end(None).await.expect("sent");
        assert_eq!(within(reader.next()).await.expect("the server's end"), Record::End(None));
        Session { peer: self.clone(), secrets, grant }
    }

    pub(crate) async fn open(&self) -> Session {
        self.open_with(COIN).await
    }

    pub(crate) async fn open_with(&self, coin: CoinId) -> Session {
        self.open_by(self.exchange(coin)).await
    }

    pub(crate) async fn forget(&self, forget: &Forget) -> Response {
        let mut stream = self.connect().await;
        stream.write_all(&forget.to_bytes()).await.expect("sent");
        within(read_response(&mut stream)).await.expect("a response")
    }
}

impl Session {
    pub(crate) async fn resume(&self) -> Session {
        let id = self.grant.resumption.expect("a resumption");
        let begun = begin(&Prologue::Resume { cs_id: cs_id(), id }, &self.secrets.resumption);
        self.peer.open_by(begun).await
    }

    /// The first packet that attaches to it.
    pub(crate) fn attach_packet(&self) -> (Initiator, Vec<u8>) {
        let psk = attach_psk(&self.secrets.key).expect("secret memory");
        begin(&Prologue::Attach { cs_id: cs_id(), id: self.secrets.key_id }, &psk)
    }

    /// Attaches, without a first record.
    pub(crate) async fn attach_silently(&self) -> (TcpStream, Accepted) {
        self.peer.shake_hands(self.attach_packet()).await
    }

    /// Attaches, with an empty first record.
    pub(crate) async fn attach(&self) -> (Reader, Writer) {
        let (stream, accepted) = self.attach_silently().await;
        let (reader, mut writer) = records(stream, accepted.transport);
        writer.data(&[]).await.expect("sent");
        (reader, writer)
    }

    pub(crate) fn forget_packet(&self) -> Forget {
        Forget { id: self.secrets.key_id.0, token: self.secrets.key.expose(forget_token) }
    }

    pub(crate) fn proof(&self) -> [u8; 16] {
        self.secrets.key.expose(forget_proof).0
    }
}

/// The data up to the record that is not data, and that record.
pub(crate) async fn read_all(reader: &mut Reader) -> (String, Option<Record>) {
    let mut data = Vec::new();
    loop {
        match within(reader.next()).await {
            Ok(Record::Data(more)) => data.extend(more),
            last => return (String::from_utf8(data).expect("UTF-8"), last.ok()),
        }
    }
}

pub(crate) fn begin(prologue: &Prologue, psk: &Secret<32>) -> (Initiator, Vec<u8>) {
    let key = EphemeralKey::random().expect("secret memory");
    Initiator::begin(prologue, psk, key, DOMAIN).expect("secret memory")
}

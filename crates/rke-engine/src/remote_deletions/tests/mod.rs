//! Deletions against Content Servers that respond as scripted, and the file against everything that can happen to it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::poll;
use rke_host::data_dir::{DataDir, Role, Sharing};
use rke_proto::directory::Directory;
use rke_proto::handshake::keys::{ctr_key, export_key, seal_key};
use rke_proto::handshake::packet::HEADER_LEN;
use rke_proto::handshake::{FirstPacket, ForgetProof, ForgetToken, KeyId, Reason, Response, SessionSecrets};
use rke_proto::reach::Reach;
use rke_secret::Secret;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;

use super::queue::{MAX_RUNNING, MAX_RUNNING_PER_SERVER, Pauses};
use super::*;
use crate::audit::Audit;
use crate::discovery::{Discovery, Validation};
use crate::exchange::ExchangeConfig;
use crate::guardians::AgreedDirectory;
use crate::model::clock::unix_seconds;
use crate::model::server_name::ServerName;
use crate::model::session_key::SessionKey;
use crate::settings::Reloadable;
use crate::trust::KnownServers;

mod file;
mod queue;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// How long to wait for something that should not happen.
const SHORT: Duration = Duration::from_millis(300);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn timing() -> Timing {
    let ms = Duration::from_millis;
    let pauses = Pauses { first: ms(10), longest: ms(40) };
    Timing { pauses, sync_after: ms(10), retry_file_after: ms(50), ..Timing::default() }
}

/// The deletions of a data directory, with servers that have this long to respond.
fn open(folder: &TempDir, confirm_timeout: Duration) -> RemoteDeletions {
    open_with(folder, confirm_timeout, timing(), Arc::default())
}

fn open_with(
    folder: &TempDir,
    confirm_timeout: Duration,
    timing: Timing,
    journal: Arc<Journal>,
) -> RemoteDeletions {
    let nowhere = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
    let discovery = Discovery::new(nowhere, Validation::off(), Directory::default(), Reach::Everywhere);
    let known = KnownServers::open(folder.path(), Vec::new()).expect("known servers");
    let rules = ExchangeConfig { confirm_timeout, ..ExchangeConfig::of(&Reloadable::default()) };
    let exchange = Arc::new(Exchange::new(discovery, AgreedDirectory::none(), known, rules));
    RemoteDeletions::open_with(folder.path(), exchange, journal, timing).expect("a file of this user's own")
}

fn deletion(of: u8, server: &ServerName) -> RemoteDeletion {
    RemoteDeletion {
        id: [of; 16],
        token: ForgetToken([of ^ 1; 16]),
        proof: ForgetProof([of ^ 2; 16]),
        server: server.clone(),
        lives_until: u32::try_from(unix_seconds()).expect("this century") + 3600,
    }
}

fn counts(pending: usize, confirmed: u64) -> RemoteCounts {
    RemoteCounts { pending, confirmed }
}

fn text(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("pending-deletions")).expect("a file")
}

async fn until(what: &str, is: impl Fn() -> bool) {
    let wait = async {
        while !is() {
            yield_now().await;
        }
    };
    timeout(LONG, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[derive(Debug, Clone, Copy)]
enum Reply {
    Proof,
    WrongProof,
    ProofOfAnother,
    Refused(Reason),
    Garbage,
    Cut,
    Hang,
}

/// A Content Server that sends these replies, one for each connection, and the last one for all others.
struct Fake {
    name: ServerName,
    seen: Arc<Observed>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Observed {
    asked: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Fake {
    async fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (seen, replies) = (Arc::<Observed>::default(), replies.to_vec());
        let mut task = JoinSet::new();
        let shared = Arc::clone(&seen);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let asked = shared.asked.fetch_add(1, Ordering::SeqCst);
                let reply = replies[asked.min(replies.len() - 1)];
                connections.spawn(answer(stream, reply, Arc::clone(&shared)));
            }
        });
        let name = ServerName { host: "127.0.0.1".into(), port };
        Self { name, seen, _task: task }
    }

    fn asked(&self) -> usize {
        self.seen.asked.load(Ordering::SeqCst)
    }

    fn most(&self) -> usize {
        self.seen.most.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, reply: Reply, seen: Arc<Observed>) {
    seen.most.fetch_max(seen.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    let mut packet = [0; HEADER_LEN + 2 * ID_LEN];
    stream.read_exact(&mut packet).await.expect("a packet");
    let Ok(FirstPacket::Forget(forget)) = FirstPacket::decode(&packet) else { panic!("no forget") };
    let is_right = forget.token.matches(&ForgetToken(forget.id.map(|byte| byte ^ 1)));
    let proof = |change| ForgetProof(forget.id.map(|byte| byte ^ change));
    let response = match reply {
        Reply::Hang => std::future::pending().await,
        Reply::Cut => None,
        Reply::Garbage => Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Reply::Refused(reason) => Some(Response::Refused(reason).to_bytes()),
        _ if !is_right => Some(Response::Refused(Reason::NoSuchKey).to_bytes()),
        Reply::Proof => Some(Response::Forgotten { id: forget.id, proof: proof(2) }.to_bytes()),
        Reply::WrongProof => Some(Response::Forgotten { id: forget.id, proof: proof(3) }.to_bytes()),
        Reply::ProofOfAnother => Some(Response::Forgotten { id: [0xEE; 16], proof: proof(2) }.to_bytes()),
    };
    if let Some(response) = response {
        let _ = stream.write_all(&response).await;
    }
    seen.now.fetch_sub(1, Ordering::SeqCst);
}

const WRONG: [Reply; 7] = [
    Reply::Refused(Reason::NoSuchKey),
    Reply::WrongProof,
    Reply::ProofOfAnother,
    Reply::Garbage,
    Reply::Refused(Reason::Busy),
    Reply::Cut,
    Reply::Hang,
];

#[tokio::test]
async fn nothing_but_the_proof_confirms_a_deletion() {
    for reply in WRONG {
        let (folder, server) = (folder(), Fake::start(&[reply]).await);
        let remote = open(&folder, Duration::from_millis(50));
        let deletion = deletion(7, &server.name);
        remote.submit([deletion.clone()]);
        until("it is asked again", || server.asked() > 2).await;
        assert_eq!(remote.settled(deletion.id, Duration::ZERO).await, Remote::Pending, "{reply:?}");
        assert_eq!(remote.counts(), counts(1, 0), "{reply:?}");
    }
}

#[tokio::test]
async fn it_is_asked_for_until_the_proof_comes() {
    // A server that hangs takes all of the time that a server has.
    let [says_something @ .., Reply::Hang] = &WRONG else { panic!("one that hangs is the last") };
    let replies = [&says_something[..], &[Reply::Proof]].concat();
    let (folder, server) = (folder(), Fake::start(&replies).await);
    let remote = open(&folder, LONG);
    let deletion = deletion(7, &server.name);
    remote.submit(Some(deletion.clone()));
    assert_eq!(remote.settled(deletion.id, LONG).await, Remote::Forgotten);
    assert_eq!((remote.counts(), server.asked()), (counts(0, 1), replies.len()));
    // Also for a later caller.
    assert_eq!(remote.settled(deletion.id, LONG).await, Remote::Forgotten);
}

#[tokio::test]
async fn a_server_that_has_hung_is_asked_again() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Hang, Reply::Proof]).await);
    let remote = open(&folder, SHORT);
    remote.submit([deletion(7, &server.name)]);
    assert_eq!(remote.settled([7; 16], LONG).await, Remote::Forgotten);
    assert!(server.asked() > 1);
}

#[tokio::test]
async fn the_first_try_comes_at_once_also_where_earlier_ones_wait() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Refused(Reason::NoSuchKey), Reply::Proof]).await);
    let pauses = Pauses { first: LONG * 10, longest: LONG * 10 };
    let remote = open_with(&folder, LONG, Timing { pauses, ..timing() }, Arc::default());
    let [first, second] = [7, 8].map(|of| deletion(of, &server.name));
    remote.submit([first.clone()]);
    until("it is refused", || server.asked() == 1).await;
    remote.submit([second.clone()]);
    assert_eq!(remote.settled(second.id, LONG).await, Remote::Forgotten);
    assert_eq!(remote.settled(first.id, Duration::ZERO).await, Remote::Pending);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_server_that_hangs_holds_up_no_other() {
    let (folder, hangs, well) =
        (folder(), Fake::start(&[Reply::Hang]).await, Fake::start(&[Reply::Proof]).await);
    let remote = open(&folder, LONG);
    remote.submit((1..50).map(|of| deletion(of, &hangs.name)));
    until("it is asked", || hangs.asked() == MAX_RUNNING_PER_SERVER).await;
    let others: Vec<RemoteDeletion> = (50..90).map(|of| deletion(of, &well.name)).collect();
    remote.submit(others.clone());
    for other in others {
        assert_eq!(remote.settled(other.id, LONG / 2).await, Remote::Forgotten);
    }
    assert_eq!((remote.counts(), hangs.asked()), (counts(49, 40), MAX_RUNNING_PER_SERVER));
    assert!(well.most() <= MAX_RUNNING_PER_SERVER, "{}", well.most());
}

#[tokio::test]
async fn there_are_few_connections_at_one_time() {
    let folder = folder();
    let mut servers = Vec::new();
    for _ in 0..6 {
        servers.push(Fake::start(&[Reply::Hang]).await);
    }
    let remote = open(&folder, LONG);
    for (server, first) in servers.iter().zip((1..).step_by(10)) {
        remote.submit((first..first + 5).map(|of| deletion(of, &server.name)));
    }
    let asked = || servers.iter().map(Fake::asked).sum::<usize>();
    until("some are asked", || asked() >= MAX_RUNNING).await;
    assert!(
        remote.shared.lock().queue.next(Instant::now()).is_none(),
        "nobody has a turn before another one ends"
    );
    assert_eq!((asked(), remote.counts()), (MAX_RUNNING, counts(30, 0)));
}

#[tokio::test]
async fn what_is_pending_goes_on_after_the_daemon_was_killed() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Hang, Reply::Hang, Reply::Proof]).await);
    let deletions = [7, 8, 9].map(|of| deletion(of, &server.name));
    let remote = open(&folder, LONG);
    for deletion in &deletions {
        remote.submit([deletion.clone()]);
        // The daemon could be killed now.
        assert!(text(&folder).ends_with('\n') && text(&folder).contains(&hex::encode(deletion.id)));
    }
    until("two are asked", || server.asked() == 2).await;
    drop(remote);
    let remote = open(&folder, LONG);
    for deletion in &deletions {
        assert_eq!(remote.settled(deletion.id, LONG).await, Remote::Forgotten);
    }
    drop(remote);
    assert_eq!(open(&folder, LONG).counts(), counts(0, 0), "nothing is left of them");
    assert_eq!(server.asked(), 2 + 3);
}

#[tokio::test]
async fn it_is_given_up_when_the_lifetime_is_over() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Refused(Reason::NoSuchKey)]).await);
    let (log, data_dir) = (folder.path().join("audit.log"), folder.path().join("data"));
    let data_dir =
        Arc::new(DataDir::open(&data_dir, Role::Daemon, Sharing::Alone).expect("a data directory"));
    let journal = Arc::new(Journal::new(Audit::open(&log, data_dir).expect("an audit log")));
    static NOW: AtomicU64 = AtomicU64::new(1_000_000);
    let timing = Timing { unix_seconds: || NOW.load(Ordering::SeqCst), ..timing() };
    let remote = open_with(&folder, LONG, timing, Arc::clone(&journal));
    let (over, short) = (
        RemoteDeletion { lives_until: 1_000_000, ..deletion(7, &server.name) },
        RemoteDeletion { lives_until: 1_000_060, ..deletion(8, &server.name) },
    );
    remote.submit([over, short.clone()]);
    assert_eq!(remote.counts(), counts(1, 0), "one that is over is not begun");
    NOW.store(1_000_059, Ordering::SeqCst);
    until("it is asked again", || server.asked() > 2).await;
    assert_eq!(remote.counts(), counts(1, 0), "it is not over yet");
    let before = remote.changes();
    NOW.store(1_000_060, Ordering::SeqCst);
    assert_eq!(remote.settled(short.id, LONG).await, Remote::Pending, "it is not called forgotten");
    assert!(remote.changes() > before);
    assert_eq!(remote.counts(), counts(0, 0));
    drop(remote);
    journal.audit().close();
    let log = fs::read_to_string(&log).expect("a log");
    let event =
        r#""event":"remote_deletion_given_up","id":"08080808080808080808080808080808","server":"127.0.0.1:"#;
    let counts = r#""remote_deletions":{"pending":0,"confirmed":0}"#;
    assert!(log.lines().any(|line| line.contains(event) && line.contains(counts)), "{log}");
    assert!(text(&folder).contains(&format!("done {}", hex::encode(short.id))), "{}", text(&folder));
}

#[tokio::test]
async fn one_that_is_there_is_not_added_again() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Hang]).await);
    let remote = open(&folder, LONG);
    remote.submit([deletion(7, &server.name), deletion(7, &server.name)]);
    remote.submit([deletion(7, &server.name)]);
    remote.submit(None);
    assert_eq!((remote.counts(), remote.changes()), (counts(1, 0), 1));
}

#[tokio::test]
async fn a_stop_asks_once_for_each_and_leaves_the_rest_in_the_file() {
    let (folder, hangs, well, refuses) = (
        folder(),
        Fake::start(&[Reply::Hang]).await,
        Fake::start(&[Reply::Proof]).await,
        Fake::start(&[Reply::Refused(Reason::NoSuchKey)]).await,
    );
    let remote = open(&folder, LONG);
    remote.submit((1..20).map(|of| deletion(of, &well.name)));
    remote.submit([deletion(90, &refuses.name)]);
    remote.stop(Instant::now() + LONG).await;
    assert_eq!(remote.counts(), counts(1, 19), "it does not wait for one that is refused");
    let remote = open(&folder, LONG);
    remote.submit([deletion(91, &hangs.name)]);
    let began = Instant::now();
    remote.stop(began + SHORT).await;
    assert!(began.elapsed() >= SHORT && began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    assert_eq!(open(&folder, LONG).counts().pending, 2);
}

#[tokio::test]
async fn a_request_that_waits_is_let_go_when_the_daemon_stops() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Hang]).await);
    let remote = open(&folder, LONG);
    remote.submit([deletion(7, &server.name)]);
    let mut settled = pin!(remote.settled([7; 16], LONG * 10));
    assert!(poll!(&mut settled).is_pending());
    remote.close();
    assert_eq!(timeout(LONG, settled).await.expect("let go"), Remote::Pending);
    assert_eq!(remote.settled([7; 16], LONG).await, Remote::Pending, "nor does one wait that comes later");
}

/// All keys derived from a session's key, and the secret of a cached key.
fn secrets_of(byte: u8) -> Vec<Vec<u8>> {
    let key = [byte; 32];
    let mut secrets = vec![key.to_vec(), [byte ^ 0xFF; 32].to_vec()];
    for derive in [ctr_key, seal_key, export_key] {
        let mut derived = [0; 32];
        derive(&key, &mut derived);
        secrets.push(derived.to_vec());
    }
    secrets
}

#[tokio::test]
async fn nothing_from_which_a_key_follows_is_in_the_file() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Hang]).await);
    let remote = open(&folder, LONG);
    let secret = |byte: u8| Secret::fill(|key| *key = [byte; 32]).expect("a secret");
    let secrets = SessionSecrets { key: secret(0x5A), resumption: secret(0xA5), key_id: KeyId([9; 16]) };
    let (key, resumption) = SessionKey::of_handshake(secrets, unix_seconds() + 60).expect("keys");
    let farewell = key.farewell().expect("a farewell");
    remote.submit([RemoteDeletion::of_key(farewell, server.name.clone())]);
    drop((key, resumption));
    let bytes = fs::read(folder.path().join("pending-deletions")).expect("a file");
    let hex_digits = String::from_utf8_lossy(&bytes).to_lowercase();
    assert!(hex_digits.contains(&hex::encode(farewell.token.0)), "it is the file");
    for secret in secrets_of(0x5A) {
        for part in secret.chunks(8) {
            let is_there = bytes.windows(8).any(|window| window == part);
            assert!(!is_there && !hex_digits.contains(&hex::encode(part)), "{part:02x?}");
        }
    }
    let line = hex_digits.lines().find(|line| !line.starts_with('#')).expect("a line");
    assert_eq!(line.split(' ').count(), 6, "{line}");
}

#[test]
fn a_file_that_is_a_link_or_open_to_others_is_refused_and_left_as_it_is() {
    let folder = folder();
    let file = folder.path().join("pending-deletions");
    std::fs::write(&file, "# a comment\n").expect("written");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("a mode");
    let refused = || PendingFile::open(folder.path()).err().expect("refused").to_string();
    assert!(refused().contains("chmod go-w"), "{}", refused());
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&file, &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, &file).expect("a link");
    assert!(refused().contains("symbolic link"), "{}", refused());
    assert!(file.is_symlink() && elsewhere.is_file());
}

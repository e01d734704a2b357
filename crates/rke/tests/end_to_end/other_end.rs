//! The application behind a Content Server uses the keys of its sessions: what one end has sealed, the other opens.

use std::io::Cursor;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use rke_client::{Client, Error, call};
use rke_daemon::{LocalListen, OtherEnd, OtherEndError, OtherEndListener};
use rke_engine::settings::access::UnixSocket;
use rke_host::data_dir::{DataDir, Role, Sharing};
use rke_host::usage::UsageLimits;
use rke_raida::content_server::{Application, ServerConfig};
use serde_json::{Value, json};

use crate::dev::Dev;
use crate::support::{Answer, DOMAIN, Stage, raw};
use crate::wire::{Pieces, Reply, data, finish, pieces, send};

/// More than a few chunks of 64 KiB, and not a whole number of them.
const LONG: usize = 300_001;

/// Both ends of a session: the daemon's, and that of the application behind the Content Server.
pub(crate) struct Ends {
    pub(crate) stage: Stage,
    other_end: OtherEnd,
    daemon: Client,
    application: Client,
    session: String,
    pub(crate) key_id: String,
    /// The token, if the application comes over TCP.
    pub(crate) token: String,
}

/// Lets the application use the keys of the stage's Content Server.
async fn serve(stage: &Stage, listen: LocalListen) -> Result<OtherEnd, OtherEndError> {
    let folder = stage.network.server_data_dir();
    let folder = DataDir::open(&folder, Role::ContentServer, Sharing::Shared).expect("its data folder");
    let keys = stage.network.session_keys().expect("a Content Server");
    let listener = OtherEndListener::bind(&listen, &folder).await?;
    Ok(OtherEnd::start(listener, &keys))
}

fn at(path: &Path, group: Option<u32>) -> LocalListen {
    LocalListen::Unix(UnixSocket { path: path.into(), group })
}

async fn key_id(client: &Client, session: &str) -> String {
    client.ask(&call::show(session)).await.expect("a session").key_id.expect("a key id")
}

impl Ends {
    async fn new() -> Self {
        Self::on(Stage::new().await).await
    }

    async fn on(stage: Stage) -> Self {
        let socket = stage.dir.path().join("api.sock");
        let other_end = serve(&stage, at(&socket, None)).await.expect("a socket");
        let application = Client::new(format!("unix:{}", socket.display()));
        Self::with(stage, other_end, application, String::new()).await
    }

    /// The same, with an application that comes over TCP.
    pub(crate) async fn over_tcp() -> Self {
        let stage = Stage::exporting().await;
        let (other_end, address, bearer) = over_tcp(&stage).await;
        let application = Client::new(address.to_string());
        let application = application.with_token_file(other_end.token_file().expect("a token"));
        let token = bearer.trim_start_matches("Bearer ").to_owned();
        Self::with(stage, other_end, application, token).await
    }

    async fn with(stage: Stage, other_end: OtherEnd, application: Client, token: String) -> Self {
        let daemon = Client::new(stage.daemon.address().to_string());
        let session = stage.create_id().await;
        let key_id = key_id(&daemon, &session).await;
        Self { stage, other_end, daemon, application, session, key_id, token }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.other_end.address().expect("an address")
    }

    /// The file with the token.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.other_end.token_file().expect("a token").into()
    }

    pub(crate) async fn stop(self) {
        self.other_end.stop().await;
        self.stage.stop().await;
    }
}

/// An interface over TCP, and the header with its token.
async fn over_tcp(stage: &Stage) -> (OtherEnd, SocketAddr, String) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let other_end = serve(stage, LocalListen::Tcp(any)).await.expect("a port");
    let file = other_end.token_file().expect("a token").to_owned();
    assert_eq!(std::fs::metadata(&file).expect("metadata").permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(file).expect("a token");
    let address = other_end.address().expect("an address");
    (other_end, address, format!("Bearer {}", token.trim()))
}

async fn ask(address: SocketAddr, token: &str, method: &str, target: &str, body: Value) -> Reply {
    let headers = [("authorization", token), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let sent = send(address, method, target, &headers, Full::<Bytes>::from(body)).await;
    finish(sent.expect("an answer")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_end_has_sealed_the_other_opens() {
    let ends = Ends::new().await;
    let (from, to) = ((&ends.daemon, &*ends.session), (&ends.application, &*ends.key_id));
    for ((sealer, sealing), (opener, opening)) in [(from, to), (to, from)] {
        let sealed = sealer.ask(&call::seal(sealing, b"a letter", b"no. 17")).await.expect("sealed").sealed;
        let opened = opener.ask(&call::open(opening, &sealed, b"no. 17")).await.expect("opened").plaintext;
        assert_eq!(opened, b"a letter");
        let other = opener.ask(&call::open(opening, &sealed, b"no. 18")).await;
        assert!(matches!(other, Err(Error::Altered(_))), "another associated data");
        let encrypted = sealer.ask(&call::encrypt(sealing, b"more")).await.expect("encrypted");
        let call = call::decrypt(opening, &encrypted.ciphertext, &encrypted.nonce);
        assert_eq!(opener.ask(&call).await.expect("decrypted").plaintext, b"more");
    }
    let shown = ends.application.ask(&call::show(&ends.key_id)).await.expect("the session");
    assert_eq!((shown.row.encrypt_count, shown.row.decrypt_count), (2, 3));
    ends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_go_from_either_end_to_the_other() {
    let ends = Ends::new().await;
    let (from, to) = ((&ends.daemon, &*ends.session), (&ends.application, &*ends.key_id));
    for ((sealer, sealing), (opener, opening)) in [(from, to), (to, from)] {
        let sealed = sealer.seal_stream(sealing, Cursor::new(data(LONG)), b"photos").await.expect("a stream");
        let sealed = Cursor::new(sealed.into_vec().await.expect("whole"));
        let opened = opener.open_stream(opening, sealed, b"photos").await.expect("a stream");
        assert!(opened.into_vec().await.expect("whole") == data(LONG));
        let encrypting = sealer.encrypt_stream(sealing, Cursor::new(data(LONG))).await;
        let (nonce, encrypted) = encrypting.expect("a stream");
        let encrypted = Cursor::new(encrypted.into_vec().await.expect("whole"));
        let decrypted = opener.decrypt_stream(opening, &nonce, encrypted).await.expect("a stream");
        assert!(decrypted.into_vec().await.expect("whole") == data(LONG));
    }
    ends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_lists_the_sessions_with_their_coins() {
    let ends = Ends::new().await;
    let second = ends.stage.create_id().await;
    let listed = ends.application.reply(&call::list()).await.expect("a list");
    let listed: Value = serde_json::from_str(&listed.text).expect("JSON");
    let first = ends.daemon.ask(&call::show(&ends.session)).await.expect("a session");
    assert_eq!((&listed["total"], &listed["active"]), (&2.into(), &2.into()), "{listed}");
    let rows = listed["sessions"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["session_id"] == *ends.key_id).expect("the first session");
    assert_eq!(row["coin"].as_str(), first.coin.as_deref());
    assert!(first.coin.is_some());
    assert_eq!((&row["domain"], &row["authenticated"]), (&DOMAIN.into(), &"strong".into()));
    assert_eq!((&row["cs_id"], &row["encrypt_count"]), (&"CONTENT-SERVER01".into(), &0.into()));
    let at_the_other = ends.application.ask(&call::show(&ends.key_id)).await.expect("the session");
    assert_eq!(at_the_other.key_id, first.key_id);
    assert_eq!((at_the_other.raidas, at_the_other.coin), (first.raidas, first.coin));
    assert!(!at_the_other.from_cache, "it is the first");
    let second = key_id(&ends.daemon, &second).await;
    let second = ends.application.ask(&call::show(&second)).await.expect("the session");
    assert!(second.from_cache, "opened by a resumption");
    ends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_its_client_deletes_is_gone_at_once() {
    let ends = Ends::new().await;
    let (id, key) = (&ends.session, &ends.key_id);
    let sealed = ends.daemon.ask(&call::seal(id, b"a letter", b"")).await.expect("sealed").sealed;
    let delete = call::delete(id, call::CachedKey::Keep, call::Receipt::None, call::OtherEnd::Wait);
    let deleted = ends.daemon.ask(&delete).await.expect("deleted");
    assert_eq!(deleted.remote.map(|remote| format!("{remote:?}")).as_deref(), Some("Forgotten"));
    let gone = |error| matches!(error, Error::SessionGone(_));
    assert!(ends.application.ask(&call::open(key, &sealed, b"")).await.is_err_and(gone));
    assert!(ends.application.ask(&call::seal(key, b"x", b"")).await.is_err_and(gone));
    assert!(ends.application.ask(&call::encrypt(key, b"x")).await.is_err_and(gone));
    assert!(ends.application.ask(&call::show(key)).await.is_err_and(gone));
    assert_eq!(ends.application.sessions().await.expect("a list").total, 0);
    ends.stop().await;
}

/// A stream that has begun, with its first piece.
async fn begin(address: SocketAddr, token: &str, target: &str, key: &str) -> (Pieces, Response<Incoming>) {
    let (mut sender, body) = pieces();
    sender.send_data(data(64 * 1024).into()).await.expect("the first piece");
    let headers = [("authorization", token), ("x-rke-session", key)];
    let answer = send(address, "POST", target, &headers, body).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    (sender, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_streams_of_a_key_that_is_forgotten_break_off() {
    let ends = Ends::new().await;
    let (tcp, address, token) = over_tcp(&ends.stage).await;
    for target in ["/api/rke/encrypt", "/api/rke/seal"] {
        let session = ends.stage.create_id().await;
        let key = key_id(&ends.daemon, &session).await;
        let (mut sender, mut answer) = begin(address, &token, target, &key).await;
        answer.frame().await.expect("more").expect("whole");
        let delete = call::delete(&session, call::CachedKey::Keep, call::Receipt::None, call::OtherEnd::Wait);
        ends.daemon.ask(&delete).await.expect("deleted");
        // The connection may end before all of it is taken.
        let _ = sender.send_data(data(256 * 1024).into()).await;
        drop(sender);
        assert!(!finish(answer).await.is_whole, "{target}");
    }
    tcp.stop().await;
    ends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_is_gone() {
    let stage = Stage::new().await;
    let dir = stage.dir.path().join("api.sock");
    let mut ends = Ends::on(stage).await;
    ends.other_end.stop().await;
    let mut server = ServerConfig::new(Application::Echo);
    server.rules.lifetime_seconds = 2;
    ends.stage.network.restart_content_server_with(server).await.expect("restarted");
    ends.other_end = serve(&ends.stage, at(&dir, None)).await.expect("a socket");
    let session = ends.stage.create_id().await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = false;
    while let Ok(listed) = ends.application.sessions().await {
        seen |= listed.total == 1;
        if seen && listed.total == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "the key of {session} stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(seen);
    ends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_encrypts_no_more_at_this_end_than_it_may() {
    let mut stage = Stage::new().await;
    let mut server = ServerConfig::new(Application::Echo);
    server.rules.usage = UsageLimits { messages: 2, bytes: 1000 };
    stage.network.restart_content_server_with(server).await.expect("restarted");
    let ends = Ends::on(stage).await;
    let key = &*ends.key_id;
    let sealed = ends.application.ask(&call::seal(key, b"one", b"")).await.expect("sealed").sealed;
    let too_long = ends.application.ask(&call::encrypt(key, &[0; 1001])).await;
    assert!(matches!(too_long, Err(Error::FreshKeyNeeded(_))), "more bytes than it may");
    ends.application.ask(&call::encrypt(key, b"two")).await.expect("encrypted");
    let third = ends.application.ask(&call::seal(key, b"three", b"")).await;
    assert!(matches!(third, Err(Error::FreshKeyNeeded(_))), "the third message");
    let opened = ends.application.ask(&call::open(key, &sealed, b"")).await.expect("opened").plaintext;
    assert_eq!(opened, b"one", "opening is no encryption");
    ends.daemon.ask(&call::encrypt(&ends.session, b"x")).await.expect("the other end counts for itself");
    ends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_for_its_user_or_for_a_group() {
    let stage = Stage::new().await;
    let path = stage.dir.path().join("api.sock");
    let group = rustix::process::getgid().as_raw();
    for (wanted, mode) in [(None, 0o600), (Some(group), 0o660)] {
        let other_end = serve(&stage, at(&path, wanted)).await.expect("a socket");
        let found = std::fs::symlink_metadata(&path).expect("metadata");
        assert_eq!((found.mode() & 0o777, found.gid()), (mode, group));
        let second = serve(&stage, at(&path, None)).await.err().expect("it is in use").to_string();
        assert!(second.contains("another program listens") && second.contains("--api"), "{second}");
        let listed = Client::new(format!("unix:{}", path.display())).sessions().await.expect("a list");
        assert_eq!(listed.total, 0);
        other_end.stop().await;
        assert!(!path.exists(), "the socket goes with the server");
    }
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    serve(&stage, at(&path, None)).await.expect("in place of a dead one").stop().await;
    let file = stage.dir.path().join("a file");
    std::fs::write(&file, "").expect("written");
    assert!(serve(&stage, at(&file, None)).await.is_err() && file.exists());
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_programs_of_this_machine_need_the_token_and_no_page_gets_in() {
    let ends = Ends::new().await;
    let (tcp, address, token) = over_tcp(&ends.stage).await;
    let file = tcp.token_file().expect("a token").to_owned();
    let list = async |headers: &str| -> Answer {
        let request = format!("GET /api/rke/sessions HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
        raw(address, request).await
    };
    let right = format!("host: localhost\r\nauthorization: {token}\r\n");
    assert_eq!(list(&right).await.status, 200);
    for (headers, status) in [
        ("host: localhost\r\n".to_owned(), 401),
        ("host: localhost\r\nauthorization: Bearer 00\r\n".into(), 401),
        (format!("{right}origin: http://localhost:3000\r\n"), 403),
        (format!("{right}origin: null\r\n"), 403),
        (format!("{right}referer: http://evil.example/\r\n"), 403),
        (format!("{right}sec-fetch-site: cross-site\r\n"), 403),
        (format!("host: evil.example\r\nauthorization: {token}\r\n"), 421),
        (format!("authorization: {token}\r\n"), 400),
    ] {
        let refused = list(&headers).await;
        assert_eq!(
            (refused.status, refused.json()["code"].as_u64()),
            (status, Some(status.into())),
            "{headers}"
        );
        assert!(!refused.body.contains("--allow"), "no such option: {}", refused.body);
        assert!(!refused.body.contains("daemon"), "this is a Content Server: {}", refused.body);
        let names_itself = refused.body.to_lowercase().contains("this content server");
        assert_eq!(names_itself, status == 401, "{}", refused.body);
        assert_eq!(refused.header("access-control-allow-origin"), None);
    }
    let exposed = LocalListen::Tcp(SocketAddr::from(([0, 0, 0, 0], 0)));
    let exposed = serve(&ends.stage, exposed).await.err().expect("other machines reach it").to_string();
    assert!(exposed.contains("--api") && exposed.contains("127.0.0.1"), "{exposed}");
    tcp.stop().await;
    assert!(!file.exists(), "the token ends with the server");
    ends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_end_has_not_is_refused_in_the_form_of_the_daemon() {
    let ends = Ends::new().await;
    let (tcp, address, token) = over_tcp(&ends.stage).await;
    let key = &ends.key_id;
    let ask = async |method: &str, target: &str, body: Value| -> Reply {
        ask(address, &token, method, target, body).await
    };
    let one = format!("/api/rke/session/{key}");
    let delete = ask("DELETE", &one, Value::Null).await;
    assert_eq!(delete.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert!(delete.refusal(405).starts_with("Method not allowed"));
    for target in [format!("{one}/tunnel"), format!("{one}/renew")] {
        assert!(ask("POST", &target, Value::Null).await.refusal(404).starts_with("No such path"), "{target}");
    }
    let by_get = ask("GET", &format!("/api/rke/session/delete?session_id={key}"), Value::Null).await;
    assert_eq!(by_get.refusal(404), "Session not found");
    for target in ["/api/rke/status", "/api/rke/keys", "/api/rke/raidas", "/metrics", "/", "/book/"] {
        ask("GET", target, Value::Null).await.refusal(404);
    }
    assert_eq!(ask("GET", "/health/live", Value::Null).await.status, 200);
    for id in [&"0".repeat(32), "nonsense"] {
        let body = json!({"session_id": id, "plaintext": ""});
        let unknown = ask("POST", "/api/rke/seal", body).await;
        assert_eq!(unknown.json()["session_id"], *id);
        assert_eq!(unknown.refusal(404), "Session not found or expired");
    }
    let upper = json!({"session_id": key.to_uppercase(), "plaintext": "eA=="});
    assert_eq!(ask("POST", "/api/rke/encrypt", upper).await.status, 200, "in either case");
    let no_base64 = json!({"session_id": key, "plaintext": "?"});
    assert_eq!(ask("POST", "/api/rke/encrypt", no_base64).await.refusal(400), "Invalid base64 encoding");
    let encrypted =
        ask("GET", &format!("/api/rke/encrypt?session_id={key}&plaintext=eA=="), Value::Null).await;
    assert_eq!(encrypted.json()["command"], "rke_encrypt", "by GET too");
    assert_eq!(ends.application.sessions().await.expect("a list").total, 1, "nothing was deleted");
    tcp.stop().await;
    ends.stop().await;
}

/// `rke content-server serve` in place of the stage's Content Server. Dropping it kills it.
struct Served(Child);

impl Served {
    async fn start(stage: &mut Stage, socket: &Path, more: &[&str]) -> Self {
        let address = stage.network.content_server_address();
        stage.network.stop_content_server().await;
        let serve = Command::new(env!("CARGO_BIN_EXE_rke"))
            .args(["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--domain", DOMAIN])
            .args(["--listen", &address.to_string(), "--api", &format!("unix:{}", socket.display())])
            .args(more)
            .arg("--data-dir")
            .arg(stage.network.server_data_dir())
            .stdin(Stdio::null())
            .spawn()
            .expect("rke runs");
        let deadline = Instant::now() + Duration::from_secs(60);
        while tokio::net::UnixStream::connect(socket).await.is_err()
            || tokio::net::TcpStream::connect(address).await.is_err()
        {
            assert!(Instant::now() < deadline, "the Content Server does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self(serve)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_serves_its_application_in_its_sandbox() {
    let mut stage = Stage::new().await;
    let socket = stage.dir.path().join("api.sock");
    let mut served = Served::start(&mut stage, &socket, &[]).await;
    assert_eq!(std::fs::symlink_metadata(&socket).expect("metadata").mode() & 0o777, 0o600);
    let daemon = Client::new(stage.daemon.address().to_string());
    let application = Client::new(format!("unix:{}", socket.display()));
    let session = stage.create_id().await;
    let key = key_id(&daemon, &session).await;
    let sealed = application.ask(&call::seal(&key, b"an answer", b"")).await.expect("sealed").sealed;
    let opened = daemon.ask(&call::open(&session, &sealed, b"")).await.expect("opened").plaintext;
    assert_eq!(opened, b"an answer");
    rustix::process::kill_process(rustix::process::Pid::from_child(&served.0), rustix::process::Signal::TERM)
        .expect("a signal");
    assert!(served.0.wait().expect("an exit status").success());
    assert!(!socket.exists(), "the socket goes with the server");
    drop(served);
    stage.stop().await;
}

#[test]
fn the_commands_list_open_and_seal_at_the_other_end() {
    let dev = Dev::start();
    let place = format!("unix:{}", dev.path("dev/content-server/api.sock").display());
    let session = dev.create_id();
    let shown = dev.rke(&["session", "show", &session, "--json"]).text();
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let key = shown["key_id"].as_str().expect("a key id");
    let listed = dev.rke(&["content-server", "list", "--api", &place]);
    assert_eq!(listed.code, Some(0), "{}", listed.err);
    let coin = shown["coin"].as_str().expect("a coin");
    let table = listed.text();
    assert!(table.contains("KEY ID") && table.contains(key) && table.contains(coin), "{table}");
    assert_eq!(dev.rke(&["content-server", "list", "--quiet", "--api", &place]).text().trim(), key);
    let template = ["content-server", "list", "--format", "{coin} {domain}", "--api", &place];
    assert_eq!(dev.rke(&template).text().trim(), format!("{coin} {DOMAIN}"));
    let json = dev.rke(&["content-server", "list", "--json", "--api", &place]).text();
    assert!(json.starts_with("{\"command\":\"rke_sessions\""), "{json}");
    // From the client to the Content Server.
    let sealed = dev.pipe(&["encrypt", &session, "--aad", "no. 1"], b"a letter\n");
    let open = ["content-server", "open", &key[..8], "--aad", "no. 1", "--api", &place];
    assert_eq!(dev.pipe(&open, &sealed.out).out, b"a letter\n");
    // And back.
    let sealed = dev.pipe(&["content-server", "seal", key, "--api", &place], &data(LONG));
    assert_eq!(sealed.code, Some(0), "{}", sealed.err);
    assert!(dev.pipe(&["decrypt", &session], &sealed.out).out == data(LONG));
    assert_eq!(dev.rke(&["session", "delete", &session, "--everywhere"]).code, Some(0));
    let gone = dev.pipe(&["content-server", "open", key, "--api", &place], &sealed.out);
    assert_eq!(gone.code, Some(1));
    assert!(gone.out.is_empty() && gone.err.contains("rke content-server list"), "{}", gone.err);
    assert_eq!(dev.rke(&["content-server", "list", "--api", &place]).text().trim(), "No sessions.");
    let nobody = dev.rke(&["content-server", "list", "--api", "unix:/nowhere/api.sock"]);
    assert_eq!(nobody.code, Some(3));
    assert!(nobody.err.contains("--api") && !nobody.err.contains("daemon"), "{}", nobody.err);
}

/// The database of groups is closed to the sandbox.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_gives_its_socket_to_a_group_that_is_named() {
    let mut stage = Stage::new().await;
    let socket = stage.dir.path().join("api.sock");
    let group = nix::unistd::Group::from_gid(nix::unistd::getgid()).expect("groups").expect("a group");
    let served = Served::start(&mut stage, &socket, &["--api-group", &group.name]).await;
    let found = std::fs::symlink_metadata(&socket).expect("metadata");
    assert_eq!((found.mode() & 0o777, found.gid()), (0o660, group.gid.as_raw()));
    drop(served);
    stage.stop().await;
}

#[test]
fn wrong_flags_are_named() {
    let dev = Dev::start();
    let usual = ["content-server", "serve", "--cs-id", "X", "--data-dir", "keys"];
    for (more, text) in [
        (&["--api", "unix:"][..], "the path of a socket"),
        (&["--api", "somewhere"], "unix:PATH"),
        (&["--api-group", "0"], "--api-group has no effect without --api unix:PATH"),
        (&["--api", "127.0.0.1:0", "--api-group", "0"], "--api-group has no effect without --api unix:PATH"),
        (&["--api", "unix:x", "--api-group", "no such group"], "--api-group takes the name or the number"),
        (&["--key-max-messages", "0"], "0 is not in 1..=4294967296"),
        (&["--api", "0.0.0.0:0"], "will not listen on 0.0.0.0:0 for the application"),
        (&["--metrics", "0.0.0.0:0"], "will not listen on 0.0.0.0:0 for metrics"),
        (&["--api", "0.0.0.0:0", "--check-config"], "will not listen on 0.0.0.0:0 for the application"),
    ] {
        let refused = dev.rke(&[&usual[..], more].concat());
        assert!(refused.code != Some(0) && refused.err.contains(text), "{more:?}: {}", refused.err);
        assert!(!refused.err.contains("listens"), "{more:?}: {}", refused.err);
    }
}

//! A real browser: pages of other sites and of other local programs attack the API with every means that a page
//! has, and honest pages use it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use rke_daemon::http::gate::Rule;
use rke_engine::settings::access::LoopbackOrigins;

use crate::support::Stage;

/// The statuses of the responses to a page's requests, by the name in their `via` parameter.
type StatusesByVia = BTreeMap<String, Vec<u16>>;

/// Sits in front of the daemon and records the requests that pass, without their `via`: with an unknown parameter no request
/// would do any harm.
struct Relay {
    port: u16,
    seen: Arc<Mutex<StatusesByVia>>,
}

impl Relay {
    fn start(daemon: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::<Mutex<StatusesByVia>>::default();
        let notes = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let notes = Arc::clone(&notes);
                thread::spawn(move || relay(client, daemon, &notes));
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> StatusesByVia {
        self.seen.lock().expect("unpoisoned").clone()
    }
}

fn relay(client: TcpStream, daemon: SocketAddr, notes: &Mutex<StatusesByVia>) {
    let server = TcpStream::connect(daemon).expect("connected");
    let asked = Arc::new(Mutex::new(String::new()));
    let (from_client, to_server) =
        (client.try_clone().expect("the same"), server.try_clone().expect("the same"));
    let ask = Arc::clone(&asked);
    thread::spawn(move || {
        pass(from_client, to_server, |bytes| {
            let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap_or_default();
            let line = String::from_utf8_lossy(&bytes[..end]);
            let is_head = line.ends_with("HTTP/1.1");
            let Some((bare, via)) = without_via(&line).filter(|_| is_head) else { return bytes.to_vec() };
            *ask.lock().expect("unpoisoned") = via;
            [bare.as_bytes(), &bytes[end..]].concat()
        });
    });
    pass(server, client, |bytes| {
        let status =
            String::from_utf8_lossy(bytes).strip_prefix("HTTP/1.1 ").and_then(|rest| rest[..3].parse().ok());
        if let Some(status) = status {
            let via = asked.lock().expect("unpoisoned").clone();
            notes.lock().expect("unpoisoned").entry(via).or_default().push(status);
        }
        bytes.to_vec()
    });
}

/// A request line without its parameter `via`, and the value of that.
fn without_via(line: &str) -> Option<(String, String)> {
    let (before, rest) = line.split_once("via=")?;
    let (via, after) = rest.split_at(rest.find([' ', '&'])?);
    let bare = match after.strip_prefix('&') {
        Some(after) => format!("{before}{after}"),
        None => format!("{}{after}", &before[..before.len() - 1]),
    };
    Some((bare, via.to_owned()))
}

/// Passes on what `relayed` makes of each piece.
fn pass(mut from: TcpStream, mut to: TcpStream, mut relayed: impl FnMut(&[u8]) -> Vec<u8>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        if to.write_all(&relayed(&bytes[..len])).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Serves one page at every path, and returns the port.
pub(crate) fn site(page: &Arc<Mutex<String>>) -> u16 {
    let page = Arc::clone(page);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut lines =
                BufReader::new(stream.try_clone().expect("the same")).lines().map_while(Result::ok);
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let page = page.lock().expect("unpoisoned").clone();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n";
            let _ = write!(stream, "{head}content-length: {}\r\n\r\n{page}", page.len());
        }
    });
    port
}

/// Opens a URL and returns the page once everything has settled. `*.test` resolves to this machine.
pub(crate) fn browse(url: &str) -> Output {
    let profile = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--enable-logging=stderr", "--host-resolver-rules=MAP *.test 127.0.0.1"]);
    command.args(["--virtual-time-budget=10000", "--dump-dom", url]);
    let output = command.arg(format!("--user-data-dir={}", profile.path().display())).output();
    output.unwrap_or_else(|error| panic!("chromium is needed for this test: {error}"))
}

pub(crate) fn dom(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The scene of an attack: a daemon with a session, and a relay in front of it.
struct Scene {
    stage: Stage,
    relay: Relay,
    id: String,
}

impl Scene {
    async fn new() -> Self {
        Self::with(LoopbackOrigins::Allowed, "http://unused.test").await
    }

    async fn with(loopback_origins: LoopbackOrigins, allowed: &str) -> Self {
        let change = |config: &mut rke_engine::settings::Config| {
            config.reloadable.access.loopback_origins = loopback_origins;
            config.reloadable.access.allow_hosts = vec!["allowed.test".into()];
            config.reloadable.access.allow_origins = vec![allowed.into()];
        };
        let stage = Stage::with(change).await;
        let id = stage.create_id().await;
        let relay = Relay::start(stage.daemon.address());
        Self { stage, relay, id }
    }

    /// Serves this page, aimed at the daemon.
    fn site(&self, page: &str) -> u16 {
        site(&Arc::new(Mutex::new(self.aimed(page))))
    }

    fn aimed(&self, page: &str) -> String {
        self.aimed_at("localhost", page)
    }

    fn aimed_at(&self, host: &str, page: &str) -> String {
        page.replace("localhost:PORT", &format!("{host}:PORT"))
            .replace("PORT", &self.relay.port.to_string())
            .replace("SESSION", &self.id)
    }

    async fn lives(&self) -> bool {
        self.stage.get(&format!("/api/rke/session/{}", self.id)).await.status == 200
    }

    async fn stop(self) {
        self.stage.stop().await;
    }
}

/// The requests that every page with `attacks.html` sends. The test means something only if the daemon sees all of
/// them.
const ATTACKS: [&str; 20] = [
    "img",
    "img-crossorigin",
    "script",
    "module",
    "style",
    "prefetch",
    "preload",
    "iframe",
    "object",
    "embed",
    "video",
    "background",
    "form-get",
    "form-post",
    "beacon",
    "no-cors",
    "keepalive",
    "worker",
    "sandbox",
    "probe-other",
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_page_sends_unasked_is_answered() {
    let scene = Scene::new().await;
    let port = scene.site(include_str!("browser/attacks.html"));
    for name in ["evil.test", "localhost", "127.0.0.1"] {
        scene.relay.seen.lock().expect("unpoisoned").clear();
        let page = browse(&format!("http://{name}:{port}/"));
        let seen = scene.relay.seen();
        for attack in ATTACKS {
            let statuses = seen.get(attack).map_or(&[][..], Vec::as_slice);
            assert!(!statuses.is_empty(), "{attack} of {name} was not sent: {seen:?}\n{}", dom(&page));
            assert!(statuses.iter().all(|status| *status == 403), "{attack} of {name}: {statuses:?}");
        }
        assert!(scene.lives().await, "{name}");
    }
    scene.stop().await;
}

/// Browsers send no `Sec-Fetch-*` headers to these hosts, because they do not trust them.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_either_where_the_browser_does_not_say_that_it_is_one() {
    let scene = Scene::new().await;
    for (host, expected) in [("[::ffff:127.0.0.1]", 421), ("allowed.test", 403)] {
        scene.relay.seen.lock().expect("unpoisoned").clear();
        let page = scene.aimed_at(host, include_str!("browser/attacks.html"));
        let page = browse(&format!("http://evil.test:{}/", site(&Arc::new(Mutex::new(page)))));
        let seen = scene.relay.seen();
        for attack in ATTACKS {
            let statuses = seen.get(attack).map_or(&[][..], Vec::as_slice);
            assert!(!statuses.is_empty(), "{attack} to {host} was not sent: {seen:?}\n{}", dom(&page));
            assert!(statuses.iter().all(|status| *status == expected), "{attack} to {host}: {statuses:?}");
        }
        assert!(scene.lives().await, "{host}");
        // Typed into the address bar, or the target of a link.
        let target = format!(
            "http://{host}:{}/api/rke/session/delete?session_id={}&via=typed",
            scene.relay.port, scene.id
        );
        browse(&target);
        let typed = scene.relay.seen().remove("typed").unwrap_or_default();
        assert!(!typed.is_empty() && typed.iter().all(|status| *status == expected), "{host}: {typed:?}");
        assert!(scene.lives().await, "{host}");
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_from_another_site_and_a_rebound_name_reach_nothing() {
    let scene = Scene::new().await;
    let port = scene.site(include_str!("browser/open.html"));
    for name in ["evil.test", "localhost"] {
        browse(&format!("http://{name}:{port}/"));
    }
    assert_eq!(scene.relay.seen().get("link"), Some(&vec![403, 403]));
    let target =
        format!("http://evil.test:{}/api/rke/session/delete?session_id={}", scene.relay.port, scene.id);
    assert!(dom(&browse(&target)).contains("--allow-host"));
    assert!(scene.lives().await);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemons_pages_are_not_shown_in_a_frame() {
    let scene = Scene::new().await;
    let port = scene.site(include_str!("browser/frame.html"));
    for name in ["evil.test", "localhost"] {
        let log = String::from_utf8_lossy(&browse(&format!("http://{name}:{port}/")).stderr).into_owned();
        assert!(log.contains("frame-ancestors 'none'"), "{log}");
    }
    assert_eq!(scene.relay.seen().get("frame"), Some(&vec![200, 200]), "the browser had asked for it");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_may_use_the_api_can_and_others_cannot_read_it() {
    let read = "fetch 200 rke_sessions;preflight 200 rke_sessions;";
    let refused = "fetch unreadable;preflight unreadable;";
    for (loopback, own) in [(LoopbackOrigins::Allowed, read), (LoopbackOrigins::Refused, refused)] {
        let page = Arc::<Mutex<String>>::default();
        let port = site(&page);
        let scene = Scene::with(loopback, &format!("http://app.test:{port}")).await;
        *page.lock().expect("unpoisoned") = scene.aimed(include_str!("browser/fetch.html"));
        for (name, expected) in
            [("localhost", own), ("127.0.0.1", own), ("evil.test", refused), ("app.test", read)]
        {
            let shown = dom(&browse(&format!("http://{name}:{port}/")));
            assert!(shown.contains(expected), "{loopback:?} {name}: {shown}");
        }
        let counts = scene.stage.daemon.refusals().all().counts;
        assert!(counts[&Rule::Origin] >= 3 && !counts.contains_key(&Rule::Fetch), "{counts:?}");
        scene.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_may_send_whole_bodies_and_others_cannot() {
    let scene = Scene::new().await;
    let port = scene.site(include_str!("browser/bodies.html"));
    for (name, expected) in
        [("localhost", "decrypted true, opened true, refused 422"), ("evil.test", "unreadable: TypeError")]
    {
        let shown = dom(&browse(&format!("http://{name}:{port}/")));
        assert!(shown.contains(expected), "{name}: {shown}");
    }
    let shown = scene.stage.get(&format!("/api/rke/session/{}", scene.id)).await.json();
    assert_eq!((&shown["encrypt_count"], &shown["decrypt_count"]), (&3.into(), &3.into()));
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_page_works_from_another_local_port() {
    let scene = Scene::new().await;
    let host = format!("http://localhost:{}", scene.relay.port);
    let program = include_str!("page/delete.js").replace("http://localhost:8080", &host);
    let port = scene.site(&include_str!("browser/application.html").replace("SCRIPT", &program));
    let page = browse(&format!("http://localhost:{port}/"));
    assert!(dom(&page).contains("left: 0"), "{}", dom(&page));
    assert!(!scene.lives().await, "the page has deleted its session");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_address_is_answered() {
    let scene = Scene::new().await;
    for name in ["localhost", "127.0.0.1"] {
        let page = browse(&format!("http://{name}:{}/api/rke/sessions", scene.relay.port));
        assert!(dom(&page).contains(&scene.id), "{name}: {}", dom(&page));
    }
    scene.stop().await;
}

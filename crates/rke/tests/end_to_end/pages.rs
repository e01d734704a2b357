//! Pages of two local ports, a program and the console's own origin at one daemon. A page sees and ends what it has
//! opened, the others see and end everything, and anyone who knows an id may use it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use rke_engine::settings::access::NullOrigin;
use serde_json::{Value, json};

use crate::browser::site;
use crate::chromium::Browser;
use crate::support::{Answer, PATIENCE, Stage, again, raw};

/// A client, identified by these headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asker(&'static str);

const PROGRAM: Asker = Asker("");
const CONSOLE: Asker = Asker("origin: http://localhost:8080\r\nsec-fetch-site: same-origin\r\n");
const ONE: Asker = Asker("origin: http://localhost:3000\r\nsec-fetch-site: same-site\r\n");
const OTHER: Asker = Asker("origin: http://localhost:3001\r\nsec-fetch-site: same-site\r\n");
const NULL: Asker = Asker("origin: null\r\nsec-fetch-site: cross-site\r\n");

const ALL: [Asker; 5] = [PROGRAM, CONSOLE, ONE, OTHER, NULL];

impl Asker {
    /// The head of a request over loopback, as a browser or a program would send it.
    fn head(self, method: &str, target: &str) -> String {
        let fetch = if self.0.is_empty() { "" } else { "sec-fetch-mode: cors\r\nsec-fetch-dest: empty\r\n" };
        format!("{method} {target} HTTP/1.1\r\nhost: localhost:8080\r\n{}{fetch}", self.0)
    }

    async fn ask(self, stage: &Stage, method: &str, target: &str) -> Answer {
        let request = format!("{}connection: close\r\n\r\n", self.head(method, target));
        raw(stage.daemon.address(), request).await
    }

    /// The response to a request that must succeed.
    async fn get(self, stage: &Stage, method: &str, target: &str) -> Value {
        let answer = self.ask(stage, method, target).await;
        assert_eq!(answer.status, 200, "{self:?} {method} {target}: {}", answer.body);
        answer.json()
    }

    async fn opens(self, stage: &Stage, more: &str) -> String {
        let opened = self.get(stage, "GET", &format!("{}{more}", stage.create_target())).await;
        opened["session_id"].as_str().expect("an id").to_owned()
    }

    /// The ids in the list that it sees, oldest first. Also checks that the counts match the rows.
    async fn sees(self, stage: &Stage) -> Vec<String> {
        let listed = self.get(stage, "GET", "/api/rke/sessions").await;
        let rows = listed["sessions"].as_array().expect("rows");
        let len = json!(rows.len());
        assert_eq!((&listed["total"], &listed["active"]), (&len, &len), "{self:?}");
        rows.iter().map(|row| row["session_id"].as_str().expect("an id").to_owned()).collect()
    }

    async fn keys(self, stage: &Stage) -> u64 {
        let listed = self.get(stage, "GET", "/api/rke/keys").await;
        assert_eq!(listed["total"], listed["keys"].as_array().expect("keys").len());
        listed["total"].as_u64().expect("a number")
    }

    async fn deletes(self, stage: &Stage, what: &str) -> u64 {
        let deleted = self.get(stage, "DELETE", &format!("/api/rke/{what}")).await;
        deleted["deleted"].as_u64().expect("a number")
    }
}

/// A daemon that lets in pages of origin `null`.
async fn stage() -> Stage {
    Stage::with(|config| config.reloadable.access.null_origin = NullOrigin::Allowed).await
}

async fn each<T>(of: impl AsyncFn(Asker) -> T) -> [T; 5] {
    [of(ALL[0]).await, of(ALL[1]).await, of(ALL[2]).await, of(ALL[3]).await, of(ALL[4]).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_lists_and_ends_the_sessions_that_it_has_opened() {
    let stage = stage().await;
    let [program, console, one, other, null] = each(async |asker| asker.opens(&stage, "").await).await;
    let again = ONE.opens(&stage, "").await;
    let all = [&program, &console, &one, &other, &null, &again].map(Clone::clone).to_vec();
    let seen = each(async |asker| asker.sees(&stage).await).await;
    assert_eq!(
        seen,
        [all.clone(), all.clone(), vec![one.clone(), again.clone()], vec![other.clone()], vec![]]
    );
    for asker in ALL {
        let status = asker.get(&stage, "GET", "/api/rke/status").await;
        assert_eq!((&status["sessions"]["total"], &status["sessions"]["active"]), (&json!(6), &json!(6)));
    }
    // A page can end only the sessions of its own origin, even if it spells the origin differently.
    assert_eq!(NULL.deletes(&stage, "sessions").await, 0);
    assert_eq!(OTHER.deletes(&stage, "sessions?domain=else.test").await, 0);
    assert_eq!(OTHER.deletes(&stage, "sessions?domain=content.rke.test").await, 1);
    assert_eq!(PROGRAM.sees(&stage).await, [&program, &console, &one, &null, &again].map(Clone::clone));
    let loud = Asker("Origin: HTTP://LOCALHOST:3000\r\n");
    assert_eq!(loud.sees(&stage).await, [one, again]);
    assert_eq!(loud.deletes(&stage, "sessions").await, 2);
    assert_eq!(CONSOLE.sees(&stage).await, [&program, &console, &null].map(Clone::clone));
    assert_eq!(CONSOLE.deletes(&stage, "sessions").await, 3);
    assert_eq!(PROGRAM.sees(&stage).await, [""; 0]);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_an_id_may_use_it() {
    let stage = stage().await;
    for owner in ALL {
        for user in ALL {
            let id = owner.opens(&stage, "").await;
            let encrypted =
                user.get(&stage, "GET", &format!("/api/rke/encrypt?session_id={id}&plaintext=YQ==")).await;
            let (data, nonce) = (&encrypted["ciphertext"], &encrypted["nonce"]);
            let data = crate::support::percent(data.as_str().expect("Base64"));
            let nonce = nonce.as_str().expect("a nonce");
            let target = format!("/api/rke/decrypt?session_id={id}&ciphertext={data}&nonce={nonce}");
            assert_eq!(user.get(&stage, "GET", &target).await["plaintext"], "YQ==");
            assert_eq!(user.get(&stage, "GET", &format!("/api/rke/session/{id}")).await["encrypt_count"], 1);
            user.get(&stage, "POST", &format!("/api/rke/session/{id}/renew")).await;
            user.get(&stage, "GET", &format!("/api/rke/session/delete?session_id={id}")).await;
            let again = owner.opens(&stage, "").await;
            user.get(&stage, "DELETE", &format!("/api/rke/session/{again}")).await;
        }
    }
    assert_eq!(PROGRAM.sees(&stage).await, [""; 0]);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_lists_and_removes_the_keys_that_were_made_for_it() {
    let stage = stage().await;
    let id = ONE.opens(&stage, "").await;
    assert_eq!(each(async |asker| asker.keys(&stage).await).await, [1, 1, 1, 0, 0]);
    // The others use the key anyway.
    for asker in ALL {
        let opened = asker.get(&stage, "GET", &stage.create_target()).await;
        assert_eq!(opened["from_cache"], true, "{asker:?}");
    }
    assert_eq!(each(async |asker| asker.keys(&stage).await).await, [1, 1, 1, 0, 0]);
    // Others cannot remove the key: not in the list, not with the end of a session, not even of the session that
    // the key was made for.
    for what in ["keys", "keys?domain=content.rke.test", "sessions?forget=true"] {
        OTHER.deletes(&stage, what).await;
        NULL.deletes(&stage, what).await;
        assert_eq!(PROGRAM.keys(&stage).await, 1, "{what}");
    }
    let own = OTHER.opens(&stage, "").await;
    for (id, more) in [(&own, "?forget=true"), (&id, "?forget=true&verify=true")] {
        OTHER.get(&stage, "DELETE", &format!("/api/rke/session/{id}{more}")).await;
        assert_eq!(ONE.keys(&stage).await, 1, "{more}");
    }
    let own = OTHER.opens(&stage, "").await;
    OTHER.get(&stage, "GET", &format!("/api/rke/session/delete?forget=true&session_id={own}")).await;
    assert_eq!(ONE.keys(&stage).await, 1);
    assert_eq!((ONE.deletes(&stage, "keys").await, PROGRAM.keys(&stage).await), (1, 0));
    // A program made this key, so an exchange for a page does not take it away from anyone.
    PROGRAM.opens(&stage, "").await;
    for (asker, keys) in [(OTHER, [1, 1, 0, 0, 0]), (PROGRAM, [1, 1, 0, 0, 0])] {
        let own = asker.opens(&stage, "&fresh=true").await;
        assert_eq!(each(async |asker| asker.keys(&stage).await).await, keys, "{asker:?}");
        OTHER.get(&stage, "DELETE", &format!("/api/rke/session/{own}?forget=true")).await;
        assert_eq!(PROGRAM.keys(&stage).await, 1, "{asker:?}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_sees_what_was_refused_to_itself() {
    let stage = stage().await;
    let refusals = async |asker: Asker| {
        let refusals = asker.get(&stage, "GET", "/api/rke/refusals").await;
        (refusals["total"].as_u64().expect("a number"), refusals["last"]["origin"].clone())
    };
    assert_eq!(ONE.ask(&stage, "PUT", "/api/rke/sessions").await.status, 405);
    let foreign = Asker("origin: http://evil.test\r\n");
    assert_eq!(foreign.ask(&stage, "GET", "/api/rke/sessions").await.status, 403);
    let last = json!("http://evil.test");
    let own = json!("http://localhost:3000");
    let expected = [(2, last.clone()), (2, last), (1, own), (0, Value::Null), (0, Value::Null)];
    assert_eq!(each(refusals).await, expected);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_sees_what_happened_to_its_own_sessions() {
    let stage = stage().await;
    let daemon = stage.daemon.address();
    let mut listener = Listener::new(ONE, daemon);
    for asker in ALL {
        let id = asker.opens(&stage, "").await;
        PROGRAM.get(&stage, "DELETE", &format!("/api/rke/session/{id}?everywhere=true")).await;
    }
    listener.until("activity");
    // The response to a deletion waits for the other end, but not for as long as a busy machine may take.
    again(async || {
        let activity = PROGRAM.get(&stage, "GET", "/api/rke/activity").await;
        if activity["total"] == 16 { Ok(()) } else { Err(activity.to_string()) }
    })
    .await;
    let seen = each(async |asker: Asker| {
        let activity = asker.get(&stage, "GET", "/api/rke/activity").await;
        let events = activity["events"].as_array().expect("events");
        assert_eq!(activity["total"], events.len());
        events.iter().map(|event| event["event"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    });
    let [program, console, one, other, null] = seen.await;
    assert_eq!((program.len(), &console), (16, &program));
    assert_eq!(one, ["remote_deletion_confirmed", "session_deleted", "session_created"]);
    assert_eq!((other, null), (one, vec![]));
    stage.stop().await;
}

/// A client that listens to events.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn new(asker: Asker, daemon: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(daemon).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "{}\r\n", asker.head("GET", "/api/rke/events")).expect("sent");
        let mut listener = Self(BufReader::new(stream));
        assert_eq!(
            listener.until("refusals"),
            ["sessions", "keys", "raidas", "activity", "refusals"],
            "{asker:?}"
        );
        listener
    }

    /// The names of the events up to the first with this name.
    fn until(&mut self, last: &str) -> Vec<String> {
        let mut names = Vec::new();
        let mut line = String::new();
        while names.last().is_none_or(|name| name != last) {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("an event in time") > 0, "the stream ended");
            names.extend(line.trim_end().strip_prefix("event: ").map(ToOwned::to_owned));
        }
        names
    }
}

/// The events that a page receives until it sees a refusal of its own: earlier events have arrived by then.
/// Activity is left out, because the other end confirms deletions at any time.
async fn told(stage: &Stage, asker: Asker, listener: &mut Listener) -> Vec<String> {
    assert_eq!(asker.ask(stage, "PUT", "/api/rke/sessions").await.status, 405);
    let mut told = listener.until("refusals");
    told.retain(|name| !["refusals", "raidas", "activity"].contains(&name.as_str()));
    told.dedup();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_told_of_its_own_sessions_keys_and_exchanges() {
    let stage = stage().await;
    let daemon = stage.daemon.address();
    let mut of_console = Listener::new(CONSOLE, daemon);
    let (mut of_one, mut of_other) = (Listener::new(ONE, daemon), Listener::new(OTHER, daemon));
    let nothing = [""; 0];
    let program = PROGRAM.opens(&stage, "").await;
    of_console.until("exchange");
    of_console.until("sessions");
    of_console.until("keys");
    assert_eq!(told(&stage, ONE, &mut of_one).await, nothing);
    ONE.get(&stage, "GET", &format!("/api/rke/encrypt?session_id={program}&plaintext=YQ==")).await;
    of_console.until("sessions");
    assert_eq!(told(&stage, ONE, &mut of_one).await, nothing, "it is not its session");
    // A page's own key is not kept while the cache has a key that the page cannot see. Therefore the other key goes
    // first.
    assert_eq!(PROGRAM.deletes(&stage, "keys").await, 1);
    let own = ONE.opens(&stage, "&fresh=true").await;
    let heard = told(&stage, ONE, &mut of_one).await;
    for name in ["exchange", "sessions", "keys"] {
        assert!(heard.iter().any(|heard| heard == name), "{name}: {heard:?}");
    }
    PROGRAM.get(&stage, "GET", &format!("/api/rke/encrypt?session_id={own}&plaintext=YQ==")).await;
    assert_eq!(told(&stage, ONE, &mut of_one).await, ["sessions"]);
    assert_eq!(ONE.deletes(&stage, "sessions").await, 1);
    assert_eq!(told(&stage, ONE, &mut of_one).await, ["sessions"]);
    assert_eq!(told(&stage, OTHER, &mut of_other).await, nothing, "of all this");
    stage.stop().await;
}

/// The response of a path of the API to a page that uses `fetch`.
fn fetch(browser: &mut Browser, api: &str, path: &str, options: Value) -> Value {
    let expression =
        format!("fetch({}, {options}).then(answer => answer.json())", json!(format!("{api}{path}")));
    browser.evaluate(&expression)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_real_browser_pages_of_two_ports_see_their_own_and_the_console_sees_all() {
    let stage = Stage::new().await;
    let (api, create) = (format!("http://{}", stage.daemon.address()), stage.create_target());
    let page = Arc::new(Mutex::new("<!doctype html><title>a page</title><body>a page".to_owned()));
    let (one, other) = (site(&page), site(&page));
    let mut browser = Browser::start();
    let mut opened = Vec::new();
    for port in [one, other] {
        browser.visit(&format!("http://localhost:{port}/"));
        let created = fetch(&mut browser, &api, &create, json!({}));
        opened.push(created["session_id"].clone());
        let listed = fetch(&mut browser, &api, "/api/rke/sessions", json!({}));
        assert_eq!(
            (&listed["total"], &listed["sessions"][0]["session_id"]),
            (&json!(1), &created["session_id"])
        );
    }
    let keys = fetch(&mut browser, &api, "/api/rke/keys", json!({}));
    assert_eq!(keys["total"], 0, "it was made for the first page");
    let delete = json!({"method": "DELETE"});
    assert_eq!(fetch(&mut browser, &api, "/api/rke/keys", delete.clone())["deleted"], 0);
    assert_eq!(fetch(&mut browser, &api, "/api/rke/sessions", delete.clone())["deleted"], 1);
    browser.visit(&format!("http://localhost:{one}/"));
    let listed = fetch(&mut browser, &api, "/api/rke/sessions", json!({}));
    assert_eq!(listed["sessions"][0]["session_id"], opened[0]);
    assert_eq!(fetch(&mut browser, &api, "/api/rke/keys", json!({}))["total"], 1);
    stage.create().await;
    browser.visit(&api);
    assert_eq!(fetch(&mut browser, &api, "/api/rke/sessions", json!({}))["total"], 2);
    assert_eq!(fetch(&mut browser, &api, "/api/rke/sessions", delete)["deleted"], 2);
    stage.stop().await;
}

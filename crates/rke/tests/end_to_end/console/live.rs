//! The console follows the daemon: events as they happen, its end, and its return.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::pictures::add_script;
use super::{Program, behind_relays, console_of, go, live};
use crate::chromium::Browser;
use crate::openapi::Document;
use crate::openapi::errors::{Asked, Errors, Response};
use crate::relay::Fault;
use crate::support::{PATIENCE, Stage, again, raw, read_some};

/// Notes what the page says about the daemon, and what it requests to find out. `EVENTS` and `PROBE` give the responses.
/// Counts seconds as the page does, because on a busy machine a page gets fewer of them than a test.
const NOTED: &str = "
window.states = []; window.requests = { events: 0, probes: 0 }; window.seconds = 0;
setInterval(() => { seconds += 1; }, 1000);
const note = () => {
  const { link } = document.body.dataset;
  if (link !== states.at(-1)) { states.push(link); window.changedAt = seconds; }
};
new MutationObserver(note).observe(document, { subtree: true, attributes: true, attributeFilter: ['data-link'] });
const real = window.fetch;
window.fetch = (url, options) => {
  if (url.endsWith('/events')) { requests.events += 1; return EVENTS; }
  if (url.endsWith('/live')) { requests.probes += 1; return PROBE; }
  return real(url, options);
};";

const REAL: &str = "real(url, options)";

/// A daemon, and its console, which notes these things.
struct Noting {
    program: Program,
    browser: Browser,
    _data_dir: tempfile::TempDir,
}

fn noting(events: &str, probe: &str) -> Noting {
    let data_dir = tempfile::tempdir().expect("a folder");
    let program = Program::serve(data_dir.path(), "127.0.0.1:0", &[]);
    let mut browser = Browser::start();
    add_script(&mut browser, &NOTED.replace("EVENTS", events).replace("PROBE", probe));
    browser.visit(&format!("http://{}/", program.daemon));
    Noting { program, browser, _data_dir: data_dir }
}

/// A listener that is not a browser.
fn listen(daemon: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(daemon).expect("connected");
    stream.write_all(b"GET /api/rke/events HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Reads until `text` has come.
fn until(stream: &mut TcpStream, text: &str) -> String {
    let (mut came, mut bytes) = (String::new(), [0; 4096]);
    while !came.contains(text) {
        let len = read_some(stream, &mut bytes).expect("it goes on");
        assert!(len > 0, "it ended with {came}");
        came += &String::from_utf8_lossy(&bytes[..len]);
    }
    came
}

/// As many listeners as there may be.
fn all_listeners(daemon: SocketAddr) -> Vec<TcpStream> {
    let mut listeners: Vec<TcpStream> = (0..32).map(|_| listen(daemon)).collect();
    listeners.iter_mut().for_each(|stream| drop(until(stream, "event: refusals\ndata: {}\n\n")));
    listeners
}

fn until_there_is_room(daemon: SocketAddr) {
    let began = Instant::now();
    while !until(&mut listen(daemon), "\r\n").contains(" 200 ") {
        assert!(began.elapsed() < PATIENCE, "no room was made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_that_the_daemon_has_gone_and_comes_back_with_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = Program::serve(dir.path(), "127.0.0.1:0", &[]);
    let daemon = program.daemon;
    let mut browser = console_of(daemon);
    drop(program);
    browser.until_text("#lost", "The daemon does not respond.");
    browser.until_text("#link", "Not responding");
    browser.until("document.title === 'Daemon not responding – rke console'");
    assert_eq!(browser.evaluate("document.querySelector('#console').inert"), true);
    let _program = Program::serve(dir.path(), &daemon.to_string(), &[]);
    live(&mut browser);
    browser.until("document.title === '0 sessions – rke console'");
    browser.until("document.querySelector('#lost').hidden && !document.querySelector('#console').inert");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_focus_is_where_it_was_when_the_daemon_comes_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut program = Program::serve(dir.path(), "127.0.0.1:0", &[]);
    let daemon = program.daemon;
    let mut browser = console_of(daemon);
    go(&mut browser, "sessions");
    browser.evaluate("document.querySelector('#open-panel').focus()");
    // In the second case something else is to get the focus meanwhile.
    for (meanwhile, focused) in [("0", "open-panel"), ("location.hash = 'keys'", "keys")] {
        drop(program);
        browser.until("document.querySelector('#console').inert");
        browser.evaluate(meanwhile);
        program = Program::serve(dir.path(), &daemon.to_string(), &[]);
        live(&mut browser);
        browser.until(&format!("document.activeElement.id === '{focused}'"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_says_nothing_is_noticed_and_continues_where_it_stopped() {
    let Noting { program, mut browser, _data_dir } = noting(REAL, REAL);
    live(&mut browser);
    let requests = browser.evaluate("requests.events");
    // Its connections stay open, and new ones are accepted by the system.
    program.signal(Signal::STOP);
    let stopped = browser.evaluate("seconds").as_u64().expect("a number");
    browser.until_text("#lost", "The daemon does not respond.");
    let lost = browser.evaluate("changedAt").as_u64().expect("a number");
    // The page's seconds and these do not begin at the same moment.
    assert!(lost <= stopped + 10, "{stopped} to {lost}");
    program.signal(Signal::CONT);
    live(&mut browser);
    browser.until("document.querySelector('#lost').hidden");
    assert_eq!(browser.evaluate("requests.events"), requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_slow_to_respond_is_lost_but_waited_for() {
    let held = "new Promise((begin, fail) => { \
        window.begin = () => begin(real(url, options)); options.signal.addEventListener('abort', fail); })";
    let Noting { program: _program, mut browser, _data_dir } = noting(held, "new Promise(() => {})");
    browser.until_text("#lost", "The daemon does not respond.");
    browser.evaluate("begin()");
    live(&mut browser);
    assert_eq!(browser.evaluate("[requests, states]"), json!([{"events": 1, "probes": 1}, ["lost", "live"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_responds_is_not_lost_while_its_events_are_silent() {
    let silent = "Promise.resolve(new Response(new ReadableStream()))";
    let Noting { program: _program, mut browser, _data_dir } =
        noting(silent, "Promise.resolve(new Response())");
    // Without a response to the first probe, it would be lost before the page sends the third.
    browser.until("requests.probes === 3");
    assert_eq!(browser.evaluate("states"), json!(["live"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_busy_does_not_take_the_daemon_for_stopped() {
    let Noting { program: _program, mut browser, _data_dir } = noting(REAL, REAL);
    live(&mut browser);
    browser.evaluate("states.length = 0");
    browser.evaluate("{ const end = performance.now() + 12000; while (performance.now() < end); }");
    // What waited meanwhile is handled before a timer of three seconds.
    browser.evaluate("new Promise((done) => setTimeout(done, 3000))");
    assert_eq!(browser.evaluate("states.filter((state) => state !== 'live')"), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_source_hears_of_shares_and_of_what_has_changed() {
    let stage = Stage::new().await;
    let mut browser = console_of(stage.daemon.address());
    browser.evaluate(
        "window.heard = []; const source = new EventSource('/api/rke/events');
         for (const name of ['sessions', 'keys', 'raidas', 'activity', 'refusals', 'exchange'])
           source.addEventListener(name, (event) => heard.push([name, JSON.parse(event.data)]))",
    );
    browser.until("heard.length === 5");
    let told = browser.evaluate("heard.splice(0).map(([name]) => name)");
    assert_eq!(
        told,
        json!(["sessions", "keys", "raidas", "activity", "refusals"]),
        "what a page has to ask for first"
    );
    let id = stage.create_id().await;
    browser.until("heard.filter(([, data]) => data.state === 'answered').length >= 13");
    browser.until("['sessions', 'keys', 'raidas'].every((name) => heard.some(([heard]) => heard === name))");
    let step = browser.evaluate("heard.find(([, data]) => data.state === 'answered')[1]");
    assert_eq!((&step["domain"], &step["fault"]), (&json!("content.rke.test"), &json!(null)));
    assert!(step["ms"].as_f64().is_some_and(|ms| ms > 0.0) && step["raida"].is_u64(), "{step}");
    let all = browser.evaluate("JSON.stringify(heard)");
    assert!(!all.as_str().expect("text").contains(&id), "{all}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_few_hear_a_sign_of_life_and_make_room_when_they_go() {
    let stage = Stage::new().await;
    let daemon = stage.daemon.address();
    let mut listeners = all_listeners(daemon);
    let refused = raw(daemon, "GET /api/rke/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let refused = refused.await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("10")), "{}", refused.body);
    let (method, path) = ("GET".into(), "/api/rke/events".into());
    let asked = Asked { method, path, sent: String::new() };
    let faults = Errors::of(Document::copy()).faults(Some(&asked), &Response::of(&refused));
    assert_eq!(faults, [""; 0]);
    until(&mut listeners[0], ":\n\n");
    listeners.pop();
    until_there_is_room(daemon);
    // Listeners do not delay the daemon's end. They receive a proper end of the response and are not cut off.
    stage.daemon.stop().await;
    let mut rest = Vec::new();
    listeners[0].read_to_end(&mut rest).expect("an end");
    assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    stage.network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_has_closed_its_sending_side_has_left() {
    let stage = Stage::new().await;
    let daemon = stage.daemon.address();
    let mut listeners = all_listeners(daemon);
    listeners[0].shutdown(Shutdown::Write).expect("shut down");
    until_there_is_room(daemon);
    let mut rest = Vec::new();
    listeners[0].read_to_end(&mut rest).expect("an end");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_refusal_is_explained() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let mut browser = console_of(stage.daemon.address());
    go(&mut browser, "security");
    browser.until_text("#gate-last", "No request has been rejected.");
    let host = "host: localhost\r\nconnection: close\r\n";
    let attack = |line: &str, origin: &str| {
        raw(stage.daemon.address(), format!("{line} HTTP/1.1\r\n{host}{origin}\r\n"))
    };
    let delete = format!("DELETE /api/rke/session/{id}");
    assert_eq!(attack(&delete, "origin: https://evil.example\r\n").await.status, 403);
    browser.until_text("#gate-last", "A page at https://evil.example tried to delete a session, ");
    browser.until_text("#gate-last", "--allow-origin");
    assert_eq!(attack("GET /api/rke/sessions", "sec-fetch-site: cross-site\r\n").await.status, 403);
    browser.until_text("#gate-last", "A page of another site tried to read from the daemon");
    browser.until("document.querySelector('#figure-refused').textContent === '2'");
    go(&mut browser, "overview");
    browser.until_text("#recent", "1 request rejected: from a page that is not allowed");
    let answer = stage.get("/api/rke/refusals").await.json();
    assert_eq!(answer["rules"], json!([{"rule": "origin", "count": 1}, {"rule": "fetch", "count": 1}]));
    assert_eq!((&answer["last"]["attempt"], &answer["last"]["origin"]), (&json!("read"), &json!(null)));
    assert!(!answer.to_string().contains(&id), "{answer}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_the_raidas_do_is_shown_with_what_it_leaves_to_fail() {
    let faults = std::array::from_fn(|raida| match raida {
        4 => Fault::Dead,
        7 => Fault::NoKeySet,
        _ => Fault::None,
    });
    let (detour, _relays) = behind_relays(faults, |_| ()).await;
    let mut browser = console_of(detour.daemon.address());
    go(&mut browser, "raidas");
    browser.until_text("#margin", "None has been asked yet.");
    // A RAIDA whose response comes too late is healthy again after the next exchange.
    again(async || {
        detour.create().await;
        let raidas = detour.get("/api/rke/raidas").await.json();
        let rows = &raidas["raidas"];
        if raidas["margin"] == 10 && rows[4]["asked"] != 1 && rows[7]["state"] == "no_key_set" {
            Ok(())
        } else {
            Err(raidas.to_string())
        }
    })
    .await;
    browser.until_text("#margin", "23 of 25 are healthy and 13 are needed. Spare RAIDAs: 10.");
    browser.until("document.querySelector('#figure-margin').textContent === '10'");
    assert_eq!(browser.evaluate("document.querySelectorAll('.raida[data-state=failing]').length"), 1);
    browser.click(".raida:nth-child(5)");
    browser.until_text("#raida-detail", "RAIDA 4: no response");
    let history = &detour.get("/api/rke/raidas").await.json()["raidas"];
    let asked = history[4]["asked"].as_u64().expect("a count") as usize;
    browser.until_text("#raida-detail", &format!("0 of {asked}"));
    browser.click(".raida:nth-child(8)");
    browser.until_text("#raida-detail", "RAIDA 7: no key set");
    browser.until_text("#raida-detail", "refused: no such key set (212)");
    assert_eq!(history[4]["history_ms"], json!(vec![Value::Null; asked.min(32)]));
    assert_eq!(history[5]["history_ms"].as_array().map(Vec::len), Some(asked.min(32)));
    detour.stop().await;
}

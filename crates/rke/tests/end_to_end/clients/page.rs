//! The JavaScript client in a page of another local port, in a real browser: the same calls, and the limits of
//! browsers. Browsers cannot send streams, and read no response before the whole body is sent.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::thread;

use serde_json::{Value, json};

use super::cast::Cast;
use super::clients;
use crate::chromium::Browser;
use crate::support::get;

/// Serves the files of the clients, and returns the port.
fn serve_files() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve_file(stream));
        }
    });
    port
}

fn serve_file(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().expect("the same")).lines().map_while(Result::ok);
    let asked = lines.next().unwrap_or_default();
    while lines.next().is_some_and(|line| !line.is_empty()) {}
    let path = PathBuf::from(asked.split(' ').nth(1).unwrap_or_default().trim_start_matches('/'));
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    let (status, body) = match std::fs::read(clients().join(&path)) {
        Ok(body) if inside => ("200 OK", body),
        _ => ("404 Not Found", Vec::new()),
    };
    let kind = kind(&path);
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n");
    let _ = write!(stream, "{head}content-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(&body);
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        _ => "application/json",
    }
}

/// Opens the page with the library, and passes it the description of the daemons.
fn open_page(cast: &Cast) -> Browser {
    let mut browser = Browser::start();
    browser.visit(&format!("http://localhost:{}/js/test/page.html", serve_files()));
    browser.until("globalThis.page");
    browser.evaluate(&format!("void (globalThis.stage = {})", cast.description()));
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client_keeps_to_the_list_in_a_browser() {
    let cast = Cast::start().await;
    let mut browser = open_page(&cast);
    let list = std::fs::read(clients().join("conformance/calls.json")).expect("the list");
    let list: Vec<Value> = serde_json::from_slice(&list).expect("JSON");
    let (mut ran, mut failed) = (0, Vec::new());
    for case in list.iter().filter(|case| case["browser"] != false) {
        let outcome = browser.evaluate(&format!("page.keepsTo({case})"));
        ran += 1;
        if outcome != "as expected" {
            failed.push(json!([case["name"], outcome]));
        }
    }
    assert!(failed.is_empty() && ran > 30, "{ran} ran: {failed:?}");
    cast.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_does_what_only_pages_do() {
    let cast = Cast::start().await;
    let mut browser = open_page(&cast);
    for check in [
        "endsWithItsBlock",
        "engineSendsNoStreams",
        "largestBody",
        "tooLarge",
        "tooLargeWithoutTheLibrary",
        "foreignPage",
        "readme",
    ] {
        assert_eq!(browser.evaluate(&format!("page.{check}()")), "as expected", "{check}");
    }
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
    cast.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_left_ends_its_session() {
    let cast = Cast::start().await;
    let mut browser = open_page(&cast);
    let id = browser.evaluate("page.endsWhenLeft()");
    let id = id.as_str().expect("an id");
    let daemon = cast.dev();
    assert_eq!(get(daemon, &format!("/api/rke/session/{id}")).await.status, 200);
    browser.visit("about:blank#left");
    let mut status = 200;
    for _ in 0..1200 {
        status = get(daemon, &format!("/api/rke/session/{id}")).await.status;
        if status == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status, 404);
    cast.stop().await;
}

//! What `rke doctor` says about a store.

use std::process::Command;

use serde_json::Value;

use super::{Daemon, Site};
use crate::doctor::{findings, says};
use crate::support::again;

/// What the doctor finds about a store at this URL, and at this daemon.
fn examine(site: &Site, daemon: &Daemon, url: &str) -> Value {
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_rke"));
    doctor.args(["doctor", "--json", "--store", url, "--daemon", &daemon.address.to_string()]);
    let output = doctor.arg("--data-dir").arg(site.path("one")).output().expect("rke runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_a_store_is_who_shares_it_and_what_to_change() {
    let site = Site::new().await;
    let (one, _two) = (site.daemon("one"), site.daemon("two"));
    let url = site.store.url();
    let found = examine(&site, &one, &url);
    let ok = findings(&found, "ok");
    for text in ["it responds: ", "drops nothing", "it is shared by 2 daemons"] {
        assert!(says(&ok, "store", text), "{text}: {found:#}");
    }
    assert!(!says(&findings(&found, "warn"), "store", ""), "{found:#}");
    site.store.cli(&["CONFIG", "SET", "save", "3600 1"]);
    let found = examine(&site, &one, &url);
    assert!(says(&findings(&found, "warn"), "store", "writes sessions to disk"), "{found:#}");
    assert!(found.to_string().contains("set `save"), "{found:#}");
    site.store.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let found = examine(&site, &one, &url);
    assert!(says(&findings(&found, "fail"), "store", "maxmemory-policy allkeys-lru"), "{found:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_why_a_store_cannot_be_used() {
    let site = Site::new().await;
    let one = site.daemon("one");
    let port = site.store.port();
    for (url, text) in [
        (format!("redis://rke:wrong-horse@127.0.0.1:{port}"), "does not accept the user and the password"),
        (format!("rediss://127.0.0.1:{port}"), "responds without TLS"),
    ] {
        let found = examine(&site, &one, &url);
        assert!(says(&findings(&found, "fail"), "store", text), "{found:#}");
        assert!(!found.to_string().contains("horse"), "{found:#}");
    }
    site.store.kill();
    again(async || {
        let found = examine(&site, &one, &site.store.url());
        let failed = findings(&found, "fail");
        let both = says(&failed, "store", "no connection to") && says(&failed, "daemon", "no connection to");
        if both { Ok(()) } else { Err(format!("{found:#}")) }
    })
    .await;
}

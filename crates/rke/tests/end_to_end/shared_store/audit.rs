//! The audit logs of daemons that share their sessions.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::{Daemon, Site};
use crate::support::again;

/// A daemon with an audit log in a folder of its own.
fn audited(site: &Site, name: &str) -> Daemon {
    let folder = site.path(&format!("{name}-log"));
    fs::create_dir(&folder).expect("a folder");
    site.daemon_with(name, &["--audit-log", folder.join("audit.log").to_str().expect("UTF-8")])
}

/// The tag in the line of this event, when there is one. Earlier ones are left out.
async fn tag_of(site: &Site, name: &str, event: &str, earlier: usize) -> String {
    let log = site.path(&format!("{name}-log")).join("audit.log");
    again(async || {
        let text = fs::read_to_string(&log).expect("a log");
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut events = events.filter(|line| line["event"] == event).skip(earlier);
        let found = events.next().ok_or_else(|| format!("no {event}: {text}"))?;
        Ok(found["session"].as_str().expect("a tag").to_owned())
    })
    .await
}

/// What `rke audit tag` prints.
fn tags(site: &Site, id: &str) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
    command.args(["audit", "tag", id, "--store-key-file"]).arg(site.path("store.key"));
    let printed = command.output().expect("rke runs");
    assert!(printed.status.success(), "{printed:?}");
    String::from_utf8(printed.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_one_tag_in_all_audit_logs_and_another_after_a_new_key() {
    let site = Site::new().await;
    let (one, two) = (audited(&site, "one"), audited(&site, "two"));
    let id = site.create_id(&one).await;
    let first = tag_of(&site, "one", "session_created", 0).await;
    assert_eq!(tags(&site, &id), [first.as_str()]);
    two.deletes(&id).await;
    assert_eq!(tag_of(&site, "two", "session_deleted", 0).await, first);

    site.make_key("store.key");
    one.signal(Signal::HUP);
    let both = tags(&site, &id);
    assert_eq!((both.len(), &both[1]), (2, &first));
    // The daemon answers requests while it reads the file.
    let mut count = 0;
    let (id, tag) = loop {
        count += 1;
        let id = site.create_id(&one).await;
        let tag = tag_of(&site, "one", "session_created", count).await;
        let known = tags(&site, &id);
        assert!(known.contains(&tag), "{tag}: {known:?}");
        if tag == known[0] {
            break (id, tag);
        }
        one.deletes(&id).await;
    };
    one.deletes(&id).await;
    assert_eq!(tag_of(&site, "one", "session_deleted", count - 1).await, tag);
}

//! A network whose daemons share their sessions, and whose Content Servers share their keys.

use std::fs;

use super::Net;
use crate::dev::{Done, processes_in};
use crate::support::again_blocking;

const SHARED: [&str; 7] = ["up", "--domain", "content.test", "--daemons", "3", "--content-servers", "2"];

/// 25 nodes, DNS, a store, two Content Servers and three daemons.
const PARTS: usize = 32;

/// The daemons that `up` names.
fn daemons(up: &str) -> Vec<String> {
    let urls = up.lines().filter_map(|line| line.trim().strip_prefix("daemon "));
    urls.map(|url| url.trim().trim_start_matches("http://").trim_end_matches('/').to_owned()).collect()
}

#[test]
fn a_session_of_a_shared_network_works_and_dies_at_all_its_daemons() {
    let net = Net::new();
    let up = net.ok(&SHARED);
    assert_eq!(net.status(0, "running, process").len(), PARTS, "{up}");
    let programs = processes_in(&net.folder());
    assert!(programs.iter().any(|(_, program)| program == "redis-server"), "{programs:?}");
    let [one, two, three] = &daemons(&up)[..] else { panic!("{up}") };

    let used = net.shell(
        &up,
        &format!(
            "
        SESSION_ID=$(rke session create content.test --wallet \"$WALLET\")
        echo hello | rke encrypt $SESSION_ID --daemon {one} > sealed
        for daemon in {two} {three}; do rke decrypt $SESSION_ID --daemon $daemon < sealed; done
        ! env -u RKE_TOKEN_FILE rke status --daemon {two} 2>&1
        rke session delete $SESSION_ID --everywhere --daemon {three}
        echo $SESSION_ID > deleted"
        ),
    );
    assert!(used.starts_with("hello\nhello\n"), "{used}");
    assert!(used.contains("--token-file"), "without the token: {used}");
    for daemon in [one, two, three] {
        // The store is new, so for 15 seconds no daemon says that it does not know an id.
        again_blocking(|| {
            let shown = net.shell(&up, &format!("! rke session show $(cat deleted) --daemon {daemon} 2>&1"));
            if shown.contains("Session not found") { Ok(()) } else { Err(shown) }
        });
    }

    // The other instance of the Content Server has the keys of the first.
    let create = net.shell(&up, "rke session create content.test --wallet \"$WALLET\"");
    net.kill("content-server-1");
    let line = format!(
        "echo hello | rke connect {} --daemon {two}; rke content-server list --api unix:net/content-server-2/api.sock --json",
        create.trim()
    );
    let other = net.shell(&up, &line);
    assert!(other.starts_with("hello\n") && other.contains("\"total\":1"), "{other}");
    assert_eq!(net.status(1, "not running").len(), 1);

    assert!(net.ok(&["down"]).starts_with("31 parts stopped."));
    assert_eq!(processes_in(&net.folder()), []);
    assert_eq!(net.status(1, "not running").len(), PARTS);
}

#[test]
fn down_ends_what_a_failed_start_has_left() {
    let net = Net::new();
    net.ok(&SHARED);
    net.ok(&["down"]);
    fs::remove_file(net.folder().join("daemon-3/store.key")).expect("removed");
    let done = net.net(&["up"]);
    assert!(done.code == Some(1) && done.err.contains("daemon-3 has ended: "), "{}", done.err);
    assert!(processes_in(&net.folder()).iter().any(|(_, program)| program == "redis-server"));
    net.ok(&["down"]);
    assert_eq!(processes_in(&net.folder()), []);
}

#[test]
fn a_shared_network_needs_a_program_for_its_store_and_stays_as_it_was_made() {
    let net = Net::new();
    let without: Done = net.command(&SHARED).env("PATH", "/nowhere").output().expect("rke runs").into();
    assert!(without.code == Some(1) && without.err.contains("apt install redis-server"), "{}", without.err);
    assert!(!net.folder().exists());
    for wrong in ["0", "17"] {
        let done = net.net(&["up", "--domain", "content.test", "--daemons", wrong]);
        assert!(done.code == Some(2) && done.err.contains("--daemons"), "{}", done.err);
    }
    net.ok(&["up", "--domain", "content.test"]);
    let done = net.net(&["up", "--daemons", "2"]);
    assert!(done.code == Some(1) && done.err.contains("has 1 daemon, and `up` adds none"), "{}", done.err);
}

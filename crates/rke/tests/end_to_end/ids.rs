//! Sessions by the beginnings of their ids, commands for several sessions, and lists for scripts.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::dev::{Dev, Done};
use crate::support::{DOMAIN, again_blocking};

/// The shortest beginning of this id that no other id has.
fn shortest<'a>(id: &'a str, others: &[String]) -> &'a str {
    let is_alone = |len: &usize| !others.iter().any(|other| other != id && other.starts_with(&id[..*len]));
    &id[..(1..=32).find(is_alone).expect("ids differ")]
}

/// Opens sessions until two ids begin with the same digit. Returns the ids, and that digit.
fn ambiguous(dev: &Dev) -> (Vec<String>, String) {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let id = dev.create_id();
        let known = ids.iter().any(|other| other[..1] == id[..1]);
        let digit = id[..1].to_owned();
        ids.push(id);
        if known {
            return (ids, digit);
        }
    }
}

fn ok(done: &Done) -> String {
    assert_eq!(done.code, Some(0), "{}", done.err);
    done.text()
}

#[test]
fn the_beginning_of_an_id_is_enough_everywhere() {
    let dev = Dev::start();
    let (ids, digit) = ambiguous(&dev);
    let id = &ids[0];
    let short = shortest(id, &ids);
    assert!(ok(&dev.rke(&["session", "show", short])).contains(id));
    assert!(ok(&dev.rke(&["session", "show", short, "--json"])).contains(id));
    assert!(ok(&dev.rke(&["session", "renew", short])).starts_with("Session renewed"));
    let sealed = dev.pipe(&["encrypt", short], b"hello\n");
    assert_eq!(ok(&dev.pipe(&["decrypt", short], &sealed.out)), "hello\n");
    assert_eq!(ok(&dev.pipe(&["connect", short], b"hello\n")), "hello\n");
    for (arguments, code) in [
        (&["session", "show", &digit][..], 1),
        (&["session", "delete", &digit], 1),
        (&["session", "renew", id, &digit], 1),
        (&["encrypt", &digit], 1),
        (&["connect", &digit], 255),
    ] {
        let done = dev.rke(arguments);
        assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.err);
        let named = ids.iter().filter(|id| id.starts_with(&digit)).all(|id| done.err.contains(&id[..8]));
        let text = format!("sessions begin with \"{digit}\": ");
        assert!(
            named && done.err.contains(&text) && done.err.contains(DOMAIN),
            "{arguments:?}: {}",
            done.err
        );
        assert!(!ids.iter().any(|id| done.err.contains(id)), "no whole id: {}", done.err);
    }
    assert!(ok(&dev.rke(&["session", "delete", short])).starts_with("Session ended"));
    let gone = dev.rke(&["session", "show", short]);
    assert!(gone.code == Some(1) && gone.err.contains("Session not found"), "{}", gone.err);
}

#[test]
fn several_sessions_are_renewed_and_ended_at_once() {
    let dev = Dev::start();
    let ids: Vec<String> = (0..4).map(|_| dev.create_id()).collect();
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| ids[at].as_str());
    let renewed = ok(&dev.rke(&["session", "renew", a, shortest(b, &ids), a]));
    let lines: Vec<&str> = renewed.lines().collect();
    let line = |id: &str| format!("{}… Session renewed; it expires in ", &id[..8]);
    assert!(
        lines.len() == 2 && lines[0].starts_with(&line(a)) && lines[1].starts_with(&line(b)),
        "{renewed}"
    );
    let nobody = "0".repeat(32);
    let ended = dev.rke(&["session", "delete", a, &nobody, b]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.text().matches("Session ended, its key is wiped.").count(), 2, "{}", ended.text());
    assert!(ended.err.contains("00000000… Session not found"), "{}", ended.err);
    let receipts = ok(&dev.rke(&["session", "delete", c, d, "--verify", "--json"]));
    assert_eq!(receipts.lines().filter(|line| line.contains("\"scanned_bytes\"")).count(), 2, "{receipts}");
    assert_eq!(ok(&dev.rke(&["session", "list", "-q"])), "");
}

/// A command whose standard output is a full disk, or a pipe that nobody reads any longer.
fn unread(dev: &Dev, arguments: &[&str], full: bool) -> Done {
    let output: Stdio = match full {
        true => File::create("/dev/full").expect("a full disk").into(),
        false => std::io::pipe().expect("a pipe").1.into(),
    };
    dev.command(arguments).stdout(output).output().expect("rke runs").into()
}

#[test]
fn sessions_end_even_if_nobody_reads_the_output_and_none_is_left_whose_id_nobody_has() {
    let dev = Dev::start();
    let left = || ok(&dev.rke(&["session", "list", "-q"])).lines().count();
    let wallet = dev.wallet.to_str().expect("UTF-8");
    for (full, code) in [(true, 1), (false, 0)] {
        let ids: Vec<String> = (0..3).map(|_| dev.create_id()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let ended = unread(&dev, &[&["session", "delete"], &ids[..]].concat(), full);
        assert_eq!((ended.code, left()), (Some(code), 0), "{}", ended.err);
        assert_eq!(ended.err.contains("cannot write standard output: No space left"), full, "{}", ended.err);
        (0..3).for_each(|_| drop(dev.create_id()));
        let ended = unread(&dev, &["session", "delete", "--all", "--verify"], full);
        assert_eq!((ended.code, left()), (Some(code), 0), "{}", ended.err);
        let created = unread(&dev, &["session", "create", DOMAIN, "--wallet", wallet], full);
        assert_eq!((created.code, left()), (Some(1), 0), "{}", created.err);
        assert!(created.err.contains("its id could not be printed"), "{}", created.err);
    }
}

#[test]
fn lists_have_forms_for_scripts() {
    let dev = Dev::start();
    assert_eq!(ok(&dev.rke(&["session", "list", "--format", "{session_id}"])), "");
    let mut ids = [dev.create_id(), dev.create_id()];
    ids.sort();
    let sorted = |arguments: &[&str]| {
        let text = ok(&dev.rke(arguments));
        let mut lines: Vec<String> = text.lines().map(Into::into).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&["session", "list", "-q"]), ids);
    assert_eq!(sorted(&["session", "list", "--quiet"]), ids);
    let lines = sorted(&["session", "list", "--format", "{session_id} {domain} {encrypt_count} {state}"]);
    assert_eq!(lines, ids.clone().map(|id| format!("{id} {DOMAIN} 0 ok")));
    assert_eq!(sorted(&["keys", "list", "-q"]), [DOMAIN]);
    assert_eq!(
        sorted(&["keys", "list", "--format", "{cs_id}: {coins}"]),
        ["RKE-TEST-SERVER: [\"0:1001\",\"0:1002\"]"]
    );
    let raidas = sorted(&["raidas", "--format", "{raida} {state}"]);
    // One whose share comes long after the thirteenth is left out.
    let well = raidas.iter().filter(|line| line.ends_with(" well")).count();
    assert!(raidas.len() == 25 && well >= 13, "{raidas:?}");
    for wrong in ["{no_such_field}", "plain", "{"] {
        let done = dev.rke(&["session", "list", "--format", wrong]);
        assert!(done.code == Some(2) && done.err.contains("--format"), "{wrong}: {}", done.err);
    }
    assert_eq!(dev.rke(&["session", "list", "-q", "--json"]).code, Some(2));
}

/// The completions that bash offers after these words.
fn offered(dev: &Dev, more: &[(&str, &str)], words: &[&str]) -> String {
    let script = dev.rke(&["completions", "bash"]).text();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_rke")).parent().expect("a folder");
    let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let (last, current) = (words.len() - 1, words.last().expect("a word"));
    let ask = format!(
        "{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={last}; COMP_TYPE=9; _clap_complete_rke rke '{current}'; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &ask]).env_clear().env("PATH", format!("{}:/usr/bin:/bin", program.display()));
    let output = bash.envs(more.iter().copied()).output().expect("bash runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until bash offers this. A completion waits for the daemon only briefly.
fn until_offered(dev: &Dev, more: &[(&str, &str)], words: &[&str], expected: &str) {
    again_blocking(|| {
        let offered = offered(dev, more, words);
        let is_offered = offered.lines().any(|line| line.trim() == expected);
        if is_offered { Ok(()) } else { Err(format!("{words:?}: {offered}")) }
    });
}

#[test]
fn a_shell_completes_ids_of_the_daemon_that_is_named() {
    let dev = Dev::start();
    let id = dev.create_id();
    let named = [("RKE_DAEMON", dev.daemon.as_str())];
    for words in [
        &["rke", "session", "show", ""][..],
        &["rke", "session", "delete", &id[..3]],
        &["rke", "session", "delete", "00", &id[..3]],
        &["rke", "encrypt", ""],
        &["rke", "connect", &id[..1]],
    ] {
        until_offered(&dev, &named, words, &id);
    }
    let by_flag = ["rke", "session", "--daemon", &dev.daemon, "show", ""];
    until_offered(&dev, &[], &by_flag, &id);
    let domains = ["rke", "keys", "forget", "con"];
    again_blocking(|| {
        let offered = offered(&dev, &named, &domains);
        if offered.trim() == DOMAIN { Ok(()) } else { Err(offered) }
    });
    assert!(offered(&dev, &[], &["rke", "session", "li"]).starts_with("list"));
    let nobody = [("RKE_DAEMON", "127.0.0.1:1")];
    assert!(!offered(&dev, &nobody, &["rke", "session", "show", ""]).contains(&id));
}

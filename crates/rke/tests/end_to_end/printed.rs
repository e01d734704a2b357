//! What the commands print, to the letter, but for ids, ports and times.

use insta::assert_snapshot;

use crate::dev::{Dev, Done, rke};
use crate::support::DOMAIN;

/// Both outputs of a command, with what differs from run to run in capitals.
fn printed(dev: &Dev, done: &Done) -> String {
    let out = done.text();
    let parts = [("", out.as_str()), ("stderr: ", done.err.as_str())];
    let shown = parts.iter().filter(|(_, text)| !text.is_empty());
    let lines =
        shown.flat_map(|(name, text)| text.lines().map(move |line| format!("{name}{}", masked(dev, line))));
    lines.chain([format!("exit code {}", done.code.unwrap_or(-1))]).collect::<Vec<_>>().join("\n")
}

/// Cells are two spaces apart here, however wide the masked ones were.
fn masked(dev: &Dev, line: &str) -> String {
    let dir = dev.dir.path().to_str().expect("UTF-8");
    let line = line.replace(dir, "DIR").replace(&dev.daemon, "DAEMON");
    let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
    cells.map(masked_cell).collect::<Vec<_>>().join("  ")
}

fn masked_cell(cell: &str) -> String {
    let words: Vec<String> = cell.split(' ').map(masked_word).collect();
    let text = words.join(" ");
    // Seconds that have passed.
    let of_time = |count: &str, unit: &str| count.parse::<u32>().is_ok() && unit == "s";
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["now"] => "AGO".into(),
        [count, unit, "ago"] if of_time(count, unit) => "AGO".into(),
        [.., first, unit, "ago)"] if of_time(first.trim_start_matches('('), unit) => "TIME (AGO)".into(),
        _ => text.replace("TIME (now)", "TIME (AGO)"),
    }
}

fn masked_word(word: &str) -> String {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if word.len() == 32 && digits(word) {
        return "ID".into();
    }
    if word.len() == 20 && word.ends_with('Z') && word.contains('T') {
        return "TIME".into();
    }
    match word.rsplit_once(':') {
        Some((host, port)) if port.trim_end_matches('.').parse::<u16>().is_ok() => format!("{host}:PORT"),
        _ => word.into(),
    }
}

fn show(dev: &Dev, arguments: &[&str]) -> String {
    printed(dev, &dev.rke(arguments))
}

#[test]
fn sessions_and_keys() {
    let dev = Dev::start();
    let wallet = dev.wallet.to_str().expect("UTF-8");
    assert_snapshot!(show(&dev, &["session", "list"]), @"");
    assert_snapshot!(show(&dev, &["keys", "list"]), @"");
    assert_snapshot!(show(&dev, &["session", "create", DOMAIN, "--wallet", wallet]), @"");
    let id = dev.create_id();
    assert_eq!(dev.rke(&["session", "delete", &id]).code, Some(0));
    let id = dev.rke(&["session", "list"]).text().lines().nth(1).expect("a row")[..32].to_owned();
    assert_snapshot!(show(&dev, &["session", "list"]), @"");
    assert_snapshot!(show(&dev, &["session", "show", &id]), @"");
    assert_snapshot!(show(&dev, &["session", "renew", &id]), @"");
    assert_snapshot!(show(&dev, &["keys", "list"]), @"");
    assert_snapshot!(show(&dev, &["session", "delete", &id]), @"");
    assert_snapshot!(show(&dev, &["session", "delete", &id]), @"");
    assert_snapshot!(show(&dev, &["session", "delete", &id, "--json"]), @"");
    assert_snapshot!(show(&dev, &["keys", "forget", "other.test"]), @"");
    assert_snapshot!(show(&dev, &["keys", "forget", DOMAIN]), @"");
    assert_snapshot!(show(&dev, &["keys", "forget", "--all"]), @"");
    assert_snapshot!(show(&dev, &["keys", "forget", "--all", "--json"]), @"");
}

#[test]
fn all_sessions_end_at_once_with_receipts_where_they_are_wanted() {
    let dev = Dev::start();
    let open = |count: usize| (0..count).for_each(|_| drop(dev.create_id()));
    open(2);
    assert_snapshot!(show(&dev, &["session", "delete", "--all", "--domain", "other.test"]), @"");
    assert_snapshot!(show(&dev, &["session", "delete", "--all", "--domain", "Content.RKE.test."]), @"");
    open(1);
    let receipt = dev.rke(&["session", "delete", "--all", "--verify", "--forget", "--domain", DOMAIN]);
    let text = receipt.text();
    assert!(
        text.contains("… Nothing of it was found in ")
            && text.ends_with("1 session ended, its key is wiped.\n")
    );
    assert_snapshot!(show(&dev, &["keys", "list"]), @"");
    let id = dev.create_id();
    let receipt = dev.rke(&["session", "delete", &id, "--verify"]).text();
    assert!(receipt.starts_with("Session ended, its key is wiped. Nothing of it was found in "), "{receipt}");
}

#[test]
fn what_the_daemon_knows() {
    let dev = Dev::start();
    assert_snapshot!(show(&dev, &["status"]), @"");
    assert_snapshot!(show(&dev, &["discover", DOMAIN]), @"");
    assert_snapshot!(show(&dev, &["discover", "nowhere.test"]), @"");
    let raidas = show(&dev, &["raidas"]);
    let lines: Vec<&str> = raidas.lines().collect();
    assert_snapshot!([lines[0], lines[1], lines[26], lines[27]].join("\n"), @"");
}

#[test]
fn a_daemon_that_is_not_there_and_wrong_usage() {
    let dev = Dev::start();
    let nobody = |arguments: &[&str]| {
        let done: Done = rke(arguments, dev.dir.path()).output().expect("rke runs").into();
        printed(&dev, &done)
    };
    assert_snapshot!(nobody(&["status", "--daemon", "127.0.0.1:1"]), @"");
    assert_snapshot!(nobody(&["status", "--daemon", "unix:/nowhere"]), @"");
    assert_snapshot!(nobody(&["status", "--token-file", "/nowhere", "--daemon", "127.0.0.1:1"]), @"");
    assert_snapshot!(nobody(&["watch"]), @"");
    assert_snapshot!(nobody(&["decrypt", "00", "--json"]), @"");
}

#[test]
fn the_commands_are_shown_in_groups() {
    let dir = tempfile::tempdir().expect("a folder");
    let help: Done = rke(&["help"], dir.path()).output().expect("rke runs").into();
    assert_snapshot!(help.text(), @"");
    let none: Done = rke(&[], dir.path()).output().expect("rke runs").into();
    assert_eq!((none.code, none.err), (Some(2), help.text()));
}

#[test]
fn completions_and_man_pages_come_from_the_same_definitions() {
    let dir = tempfile::tempdir().expect("a folder");
    for (shell, sign) in [("bash", "complete -F _rke"), ("zsh", "#compdef rke"), ("fish", "complete -c rke")]
    {
        let done: Done = rke(&["completions", shell], dir.path()).output().expect("rke runs").into();
        assert!(done.code == Some(0) && done.text().contains(sign), "{shell}");
        assert!(done.text().contains("--token-file") || done.text().contains("token-file"), "{shell}");
    }
    let done: Done = rke(&["man", "pages/man1"], dir.path()).output().expect("rke runs").into();
    assert_eq!(done.code, Some(0), "{}", done.err);
    for page in
        ["rke.1", "rke-session-create.1", "rke-encrypt.1", "rke-serve.1", "rke-content-server-rotate.1"]
    {
        let text = std::fs::read_to_string(dir.path().join("pages/man1").join(page)).expect("a page");
        assert!(text.contains(".TH"), "{page}");
    }
    let encrypt = std::fs::read_to_string(dir.path().join("pages/man1/rke-encrypt.1")).expect("a page");
    assert!(encrypt.contains("letter.sealed"), "examples are in it");
}

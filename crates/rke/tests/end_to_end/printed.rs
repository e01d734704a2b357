//! The output of the commands, to the letter, except for ids, ports and times.

use insta::assert_snapshot;

use crate::dev::{Dev, Done, rke};
use crate::support::{DOMAIN, again_blocking};

/// Both outputs of a command, with the varying parts replaced by words in capitals.
fn printed(dev: &Dev, done: &Done) -> String {
    let out = done.text();
    let parts = [("", out.as_str()), ("stderr: ", done.err.as_str())];
    let shown = parts.iter().filter(|(_, text)| !text.is_empty());
    let lines =
        shown.flat_map(|(name, text)| text.lines().map(move |line| format!("{name}{}", masked(dev, line))));
    lines.chain([format!("exit code {}", done.code.unwrap_or(-1))]).collect::<Vec<_>>().join("\n")
}

/// Masks the varying parts of a line. Cells end up two spaces apart, however wide the masked text was.
fn masked(dev: &Dev, line: &str) -> String {
    let dir = dev.dir.path().to_str().expect("UTF-8");
    let line = without_ids(line).replace(dir, "DIR").replace(&dev.daemon, "DAEMON");
    for (start, masked) in [("Up for ", "Up for SPAN."), ("raidas  ", "raidas  INDEXES")] {
        if line.starts_with(start) {
            return masked.into();
        }
    }
    // This depends on the machine.
    let line =
        line.replace(": secretmem memory", ": KIND memory").replace(": locked memory", ": KIND memory");
    let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
    cells.map(masked_cell).collect::<Vec<_>>().join("  ")
}

fn masked_cell(cell: &str) -> String {
    let words: Vec<String> = cell.split(' ').map(masked_word).collect();
    let text = words.join(" ").replace("in 59 min", "in 60 min");
    // A second or more may have passed.
    let of_time = |count: &str, unit: &str| count.parse::<u32>().is_ok() && ["s", "min"].contains(&unit);
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["now"] => "AGO".into(),
        [count, unit, "ago"] if of_time(count, unit) => "AGO".into(),
        [.., first, unit, "ago)"] if of_time(first.trim_start_matches('('), unit) => "TIME (AGO)".into(),
        _ => text.replace("TIME (now)", "TIME (AGO)"),
    }
}

fn masked_word(word: &str) -> String {
    if word.len() == 20 && word.ends_with('Z') && word.contains('T') {
        return "TIME".into();
    }
    let end = if word.ends_with('.') { "." } else { "" };
    match word.trim_end_matches('.').rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => format!("{host}:PORT{end}"),
        _ => word.into(),
    }
}

/// Masks all ids.
fn without_ids(line: &str) -> String {
    let is_digit = |sign: char| sign.is_ascii_digit() || ('a'..='f').contains(&sign);
    let words = line.split_inclusive(|sign| !is_digit(sign));
    words
        .map(|word| {
            if word.trim_end_matches(|sign| !is_digit(sign)).len() == 32 {
                format!("ID{}", &word[32..])
            } else {
                word.into()
            }
        })
        .collect()
}

fn show(dev: &Dev, arguments: &[&str]) -> String {
    printed(dev, &dev.rke(arguments))
}

#[test]
fn sessions() {
    let dev = Dev::start();
    let wallet = dev.wallet.to_str().expect("UTF-8");
    assert_snapshot!(show(&dev, &["session", "list"]), @r"
No sessions.
exit code 0
");
    assert_snapshot!(show(&dev, &["session", "create", DOMAIN, "--wallet", wallet]), @r"
ID
stderr: Session with content.rke.test (RKE-TEST-SERVER) opened with new shares from the RAIDAs; it expires in 60 min.
exit code 0
");
    let id = dev.rke(&["session", "list"]).text().lines().nth(1).expect("a row")[..32].to_owned();
    assert_snapshot!(show(&dev, &["session", "list"]), @r"
SESSION  DOMAIN  CS ID  OPENED  EXPIRES  ENCRYPTED  DECRYPTED  STATE
ID  content.rke.test  RKE-TEST-SERVER  AGO  in 60 min  0  0  ok
exit code 0
");
    assert_snapshot!(show(&dev, &["session", "show", &id]), @r"
session  ID
domain  content.rke.test
cs id  RKE-TEST-SERVER
opened  TIME (AGO)
expires  TIME (in 60 min)
encrypted  0 times
decrypted  0 times
key bits  256
raidas  INDEXES
wrong shares  none
from cache  no
confirmed  yes
key id  ID
forward secret  yes
authenticated  strong (32-byte shares)
proven coin  0:PORT
exit code 0
");
    assert_snapshot!(show(&dev, &["session", "renew", &id]), @r"
Session renewed; it expires in 60 min.
exit code 0
");
    let mut id = id;
    // The command waits for the other end, but not for as long as a busy machine may take.
    let deleted = again_blocking(|| {
        let deleted = show(&dev, &["session", "delete", &id, "--everywhere"]);
        if deleted.contains("has shown") {
            return Ok(deleted);
        }
        id = dev.create_id();
        Err(deleted)
    });
    assert_snapshot!(deleted, @r"
Session ended, its key is wiped. The Content Server has shown that it has wiped it too.
exit code 0
");
    assert_snapshot!(show(&dev, &["session", "delete", &id]), @r"
stderr: rke: Session not found
stderr: `rke session list` shows the open sessions, `rke session create` opens a new one
exit code 1
");
    assert_snapshot!(show(&dev, &["session", "delete", &id, "--json"]), @r#"
{"error":true,"message":"Session not found","code":404,"session_id":"ID"}
stderr: rke: Session not found
stderr: `rke session list` shows the open sessions, `rke session create` opens a new one
exit code 1
"#);
}

#[test]
fn keys() {
    let dev = Dev::start();
    assert_snapshot!(show(&dev, &["keys", "list"]), @r"
No cached keys.
exit code 0
");
    dev.create_id();
    assert_snapshot!(show(&dev, &["keys", "list"]), @r"
DOMAIN  CS ID  EXPIRES  STRENGTH  COINS
content.rke.test  RKE-TEST-SERVER  in 24 h  256 bits  0:PORT 0:PORT
exit code 0
");
    assert_snapshot!(show(&dev, &["keys", "forget", "other.test"]), @r"
There is no cached key of other.test.
exit code 0
");
    assert_snapshot!(show(&dev, &["keys", "forget", DOMAIN]), @r"
1 cached key removed.
exit code 0
");
    assert_snapshot!(show(&dev, &["keys", "forget", "--all"]), @r"
There are no cached keys.
exit code 0
");
    assert_snapshot!(show(&dev, &["keys", "forget", "--all", "--json"]), @r#"
{"command":"rke_keys_delete","success":true,"deleted":0}
exit code 0
"#);
}

#[test]
fn all_sessions_end_at_once_with_receipts_where_they_are_wanted() {
    let dev = Dev::start();
    let open = |count: usize| (0..count).for_each(|_| drop(dev.create_id()));
    open(2);
    assert_snapshot!(show(&dev, &["session", "delete", "--all", "--domain", "other.test"]), @r"
No sessions to end.
exit code 0
");
    assert_snapshot!(show(&dev, &["session", "delete", "--all", "--domain", "Content.RKE.test."]), @r"
2 sessions ended, their keys are wiped.
exit code 0
");
    open(1);
    let receipt = dev.rke(&["session", "delete", "--all", "--verify", "--forget", "--domain", DOMAIN]);
    assert_snapshot!(show(&dev, &["session", "delete", "--all", "--verify", "--json"]), @r#"
{"command":"rke_sessions_delete","success":true,"deleted":0}
exit code 0
"#);
    let text = receipt.text();
    assert!(
        text.contains("… Nothing of it was found in ")
            && text.ends_with("1 session ended, its key is wiped.\n")
    );
    assert_snapshot!(show(&dev, &["keys", "list"]), @r"
No cached keys.
exit code 0
");
    let id = dev.create_id();
    let receipt = dev.rke(&["session", "delete", &id, "--verify"]).text();
    assert!(receipt.starts_with("Session ended, its key is wiped. Nothing of it was found in "), "{receipt}");
}

#[test]
fn where_all_places_are_taken_it_is_said_how_one_becomes_free() {
    let dev = Dev::start();
    (0..16).for_each(|_| drop(dev.create_id()));
    let wallet = dev.wallet.to_str().expect("UTF-8");
    let full = dev.rke(&["session", "create", DOMAIN, "--wallet", wallet]);
    assert_eq!(full.code, Some(1));
    for part in ["Maximum of 16 sessions reached", "rke session delete", "try again in "] {
        assert!(full.err.contains(part), "{part}: {}", full.err);
    }
}

#[test]
fn what_the_daemon_knows() {
    let dev = Dev::start();
    assert_snapshot!(show(&dev, &["status"]), @r"
Sessions: 0 of at most 16. Each lives for 60 min.
Cached keys: 0 valid of at most 64. Each is used for 24 h.
Key protection: KIND memory; inspection of the process is refused.
Deleted keys at Content Servers: 0 wiped there too, 0 not confirmed yet.
The daemon writes only in folders of its own, and reads everywhere: without --wallet-root any folder may be a wallet; it cannot start programs, and cannot gain privileges.
DNS: 127.0.0.1:PORT.
Version: 0.1.0.
Up for SPAN.
exit code 0
");
    assert_snapshot!(show(&dev, &["discover", DOMAIN]), @r"
The Content Server of content.rke.test is cs.content.rke.test:PORT. At least 13 RAIDAs make a key.
KEY SET  CS ID  RAIDAS
k1  RKE-TEST-SERVER  25
exit code 0
");
    assert_snapshot!(show(&dev, &["discover", "nowhere.test"]), @r"
stderr: rke: DNS discovery failed: SRV look-up of _rke._udp.nowhere.test: the DNS server 127.0.0.1:PORT refused to look this name up. Check the network, or start the daemon with --dns-server IP:PORT
exit code 1
");
    let raidas = show(&dev, &["raidas"]);
    let lines: Vec<&str> = raidas.lines().collect();
    assert_snapshot!([lines[0], lines[1], lines[26], lines[27]].join("\n"), @r"
RAIDA  ENDPOINT  STATE  LAST MS  MEDIAN MS  ASKED  ANSWERED  WRONG SHARES  FORM  LAST FAULT
0  -  not asked yet  -  -  0  0  0  -  -
spare RAIDAs: unknown, no exchange has been made yet
exit code 0
");
}

#[test]
fn a_daemon_that_is_not_there_and_wrong_usage() {
    let dev = Dev::start();
    let nobody = |arguments: &[&str]| {
        let done: Done = rke(arguments, dev.dir.path()).output().expect("rke runs").into();
        printed(&dev, &done)
    };
    assert_snapshot!(nobody(&["status", "--daemon", "127.0.0.1:1"]), @r"
stderr: rke: no daemon responds at 127.0.0.1:1: Connection refused
stderr: start one with `rke serve`, or name another address with --daemon
exit code 3
");
    assert_snapshot!(nobody(&["status", "--daemon", "unix:/nowhere"]), @r"
stderr: rke: no daemon responds at unix:/nowhere: No such file or directory
stderr: start one with `rke serve`, or name another address with --daemon
exit code 3
");
    assert_snapshot!(show(&dev, &["status", "--token-file", "/nowhere"]), @r"
stderr: rke: cannot read the daemon's token from /nowhere: No such file or directory
stderr: --token-file or RKE_TOKEN_FILE names that file; name the file `token` of the daemon's data folder
exit code 1
");
    assert_snapshot!(nobody(&["watch"]), @r"
stderr: rke: watch needs a terminal; `rke status`, `rke session list` and `rke raidas` print once
exit code 1
");
    assert_snapshot!(nobody(&["decrypt", "00", "--json"]), @r"
stderr: error: --json needs --lines: sealed and raw data is not made of JSON responses
stderr: 
stderr: Usage: rke decrypt [OPTIONS] <SESSION> [FILE]
stderr: 
stderr: For more information, try '--help'.
exit code 2
");
}

#[test]
fn the_commands_are_shown_in_groups() {
    let dir = tempfile::tempdir().expect("a folder");
    let help: Done = rke(&["help"], dir.path()).output().expect("rke runs").into();
    assert_snapshot!(help.text(), @r"
RAIDA Key Exchange sessions: encryption keys shared with a Content Server, without a key ever being sent

Usage: rke <COMMAND>

Sessions:
  session         Open, list, show, renew and delete sessions
  keys            List and remove what the daemon keeps to open later sessions without asking the RAIDAs
  trust           List, accept and remove the Content Servers that the daemon remembers

Data:
  encrypt         Encrypt a file or standard input with a session's key
  decrypt         Decrypt what `rke encrypt` wrote
  connect         Talk to the Content Server of a session: standard input goes to it, its data to standard output
  forward         Carry TCP connections to the Content Server of a domain: each that arrives here through a tunnel of its own

What is going on:
  status          Show how a running daemon is doing
  watch           Watch sessions and RAIDAs as they change
  activity        Show what has happened to sessions and keys, and the receipts of sessions that have ended
  raidas          Show the state of the 25 RAIDAs, and how many of them are spare
  ping            Contact everything that a session with a domain needs, and print how long each takes: DNS, the RAIDAs, the Content Server
  discover        Find a Content Server in DNS
  doctor          Look for what is wrong: this machine, the daemon, a domain, a wallet; and say how to fix it
  audit           Check an audit log of a daemon, a RAIDA node or a Content Server

Keys for other programs:
  export          Print a key that comes from a session, for another program. The other end gets the same one
  psk             Give a program the same key as one at a domain's Content Server, once or repeatedly
  wireguard       Renew the pre-shared key of a WireGuard tunnel to a domain's Content Server

Coins:
  wallet          See what is in a wallet, and make one for a network of your own
  coin            Prepare coins for the nodes of a network of your own

Long-running programs:
  serve           Run the daemon against the real world
  dev             Run everything on this machine: 25 RAIDA nodes, DNS, a Content Server, a wallet, the daemon
  net             Run a network of your own, each part of it a process of its own that can move to another machine
  raida           Run one RAIDA node, or see and change who owns which Content Server ID there
  content-server  Run a Content Server, make and preload its master secrets, rotate them
  store           Make and rotate the keys of a store that several machines share

The program:
  version         Print which program this is, which versions of the protocols it speaks, and how it was built
  completions     Print a script that makes a shell complete commands, flags and the ids of sessions
  man             Write the man pages of all commands into a folder
  help            Show this, or the help of a command

Options:
  -h, --help     Print help
  -V, --version  Print version

`rke COMMAND --help` says more, with examples. Exit codes: 0 done, 1 refused, 2 usage, 3 no daemon;
`rke connect` exits as ssh does, with the command's status or 255.
Colours are left out if NO_COLOR is set or the output is not a terminal.
");
    let none: Done = rke(&[], dir.path()).output().expect("rke runs").into();
    assert_eq!((none.code, none.err), (Some(2), help.text()));
}

#[test]
fn completions_and_man_pages_come_from_the_same_definitions() {
    let dir = tempfile::tempdir().expect("a folder");
    for (shell, sign) in [("bash", "complete -o nospace"), ("zsh", "#compdef rke"), ("fish", "--command rke")]
    {
        let done: Done = rke(&["completions", shell], dir.path()).output().expect("rke runs").into();
        assert!(done.code == Some(0) && done.text().contains(sign), "{shell}: {}", done.text());
        assert!(done.text().contains("RKE_COMPLETE"), "{shell}");
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
    assert!(encrypt.contains("RKE_DAEMON"), "variables are in it");
    let create = std::fs::read_to_string(dir.path().join("pages/man1/rke-session-create.1")).expect("a page");
    let synopsis = create.replace('\\', "");
    assert!(synopsis.contains("--wallet <DIR>"), "{synopsis}");
}

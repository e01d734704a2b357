//! The commands behind the Content Server: the environment that they start with, and what remains when they end.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_raida::content_server::ServerConfig;
use rke_raida::dns::DnsServer;
use rustix::process::{Pid, Signal, kill_process};

use crate::dev::{Dev, Done};
use crate::support::{DOMAIN, config, get, network, running};
use crate::tunnel::{arguments, rke_code};

/// `rke dev` with this command, in an environment that has more variables than a command should get.
fn dev(command: &str) -> Dev {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rke"));
    let inherited = [("PATH", "/usr/bin:/bin"), ("HOME", "/home/of-the-server"), ("USER", "server")];
    let inherited = inherited.into_iter().chain([("LOGNAME", "server"), ("LANG", "C.UTF-8")]);
    let inherited = inherited.chain([("LC_TIME", "C"), ("TZ", "UTC"), ("TMPDIR", "/tmp")]);
    let others = [("DATABASE_PASSWORD", "secret"), ("RKE_LISTEN", "127.0.0.1:0"), ("LD_BIND_NOW", "1")];
    let of_another = [("RKE_COIN", "0:1"), ("RKE_DOMAIN", "other.example"), ("RKE_SESSION", "00")];
    program.env_clear().envs(inherited).envs(others).envs(of_another);
    Dev::start_in(&mut program, &["--exec", command])
}

fn connect(dev: &Dev) -> Done {
    dev.pipe(&["connect", &dev.create_id()], b"")
}

#[test]
fn a_command_starts_with_its_own_signals_and_group() {
    // The shell does all of this itself: some shells unblock signals when they start another program.
    let signals =
        "while read -r line; do case $line in Sig*) echo \"$line\";; esac; done < /proc/self/status";
    let group = "read -r _ _ _ _ group _ < /proc/self/stat; echo $group; echo $$";
    let dev = dev(&format!("{signals}; {group}; kill -TERM $$; exit 0"));
    let done = connect(&dev);
    assert_eq!(done.code, Some(143), "no signal is blocked: {}", done.err);
    let text = done.text();
    let set = |name: &str| {
        let digits = text.lines().find_map(|line| line.strip_prefix(name)).expect("a set of signals");
        u64::from_str_radix(digits.trim(), 16).expect("hexadecimal digits")
    };
    assert_eq!(set("SigBlk:"), 0, "{text}");
    assert_eq!(set("SigIgn:") >> 12 & 1, 0, "SIGPIPE is not ignored: {text}");
    let mut last = text.lines().rev();
    assert_eq!(last.next(), last.next(), "it leads a process group: {text}");
}

#[test]
fn a_command_inherits_no_more_of_the_environment_than_is_documented() {
    let dev = dev("env");
    let shown = connect(&dev).text();
    let mut shown: BTreeMap<&str, &str> = shown.lines().filter_map(|line| line.split_once('=')).collect();
    // Variables that a shell sets by itself.
    shown.retain(|name, _| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    assert_eq!(shown.remove("RKE_SESSION_KEY_ID").map(str::len), Some(32));
    let expected = [
        ("HOME", "/home/of-the-server"),
        ("LANG", "C.UTF-8"),
        ("LC_TIME", "C"),
        ("LOGNAME", "server"),
        ("PATH", "/usr/bin:/bin"),
        ("RKE_COIN", "0:1001"),
        ("RKE_DOMAIN", DOMAIN),
        ("TMPDIR", "/tmp"),
        ("TZ", "UTC"),
        ("USER", "server"),
    ];
    assert_eq!(shown, expected.into());
}

/// The Content Server's own tests check whether tunnels are cut then.
#[tokio::test(flavor = "multi_thread")]
async fn a_content_server_that_loses_what_starts_its_commands_says_so_and_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    network.stop_content_server().await;
    let mut server = Command::new(env!("CARGO_BIN_EXE_rke"));
    server.args(["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--listen", "127.0.0.1:0"]);
    server.args(["--exec", "cat", "--data-dir"]).arg(dir.path().join("content-server/data"));
    let mut server = server.stderr(Stdio::piped()).spawn().expect("rke runs");
    let mut said = BufReader::new(server.stderr.take().expect("a log"));
    let mut line = String::new();
    while !line.contains(" listens on ") {
        line.clear();
        assert_ne!(said.read_line(&mut line).expect("a line"), 0, "it has ended");
    }
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.id()));
    let launcher = Pid::from_raw(children.expect("its children").trim().parse().expect("one child"));
    kill_process(launcher.expect("a process"), Signal::KILL).expect("killed");
    soon(|| server.try_wait().expect("a status")).await;
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("its last words");
    assert_eq!(server.wait().expect("it has ended").code(), Some(1), "{rest}");
    let reason = "the process that starts the commands was killed by signal 9";
    assert!(rest.contains(reason), "{rest}");
}

#[test]
fn dev_puts_a_command_behind_its_content_server() {
    let dev = Dev::start_with(&["--listen", "127.0.0.1:0", "--exec", "tr a-z A-Z; exit 3"]);
    let done = dev.pipe(&["connect", &dev.create_id()], b"hello\n");
    assert_eq!((done.code, done.text().as_str()), (Some(3), "HELLO\n"), "{}", done.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_says_that_too_many_commands_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    let server = ServerConfig { max_commands: 0, ..ServerConfig::new(running("cat")) };
    network.restart_content_server_with(server).await.expect("a Content Server");
    let daemon = Daemon::start(config(&dir, network.dns_address())).await.expect("a daemon");
    let create = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", network.wallet().display());
    let created = get(daemon.address(), &create).await.json();
    let id = created["session_id"].as_str().expect("an id");
    let (code, _, log) =
        rke_code(arguments(&format!("connect {id} --daemon {}", daemon.address())), "").await;
    assert!(
        code == 255
            && log.contains("the Content Server says: too many commands are running; try again later"),
        "{code}: {log}"
    );
    daemon.stop().await;
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_sessions_command_may_go_on_after_its_output_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    let records = network.add_narrow_key_set().await.expect("a key set of narrow shares");
    let file = dir.path().join("done");
    let command = format!("sleep 1000 >&- & echo said; exec >&-; sleep 0.5; echo $! > '{}'", file.display());
    let mut server = ServerConfig::new(running(&command));
    server.rules.allow_narrow = true;
    network.restart_content_server_with(server).await.expect("a Content Server");
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let dns = DnsServer::start(loopback, [&records], loopback.ip()).await.expect("a DNS server");
    let mut config = config(&dir, dns.address());
    config.reloadable.allow_weak_shares = vec![Domain::new(DOMAIN).expect("a domain")];
    let daemon = Daemon::start(config).await.expect("a daemon");
    let create = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", network.wallet().display());
    let created = get(daemon.address(), &create).await.json();
    let id = created["session_id"].as_str().expect("an id");
    let (code, said, log) =
        rke_code(arguments(&format!("connect {id} --daemon {}", daemon.address())), "").await;
    assert_eq!((code, said.as_str()), (0, "said\n"), "{log}");
    let left = soon(|| std::fs::read_to_string(&file).ok()?.trim().parse::<u32>().ok()).await;
    let is_gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{left}/stat"));
        stat.map_or(Some(()), |stat| stat.contains(") Z ").then_some(()))
    };
    soon(is_gone).await;
    daemon.stop().await;
    dns.stop().await;
    network.stop().await;
}

/// Waits for something that must happen soon.
async fn soon<T>(mut what: impl FnMut() -> Option<T>) -> T {
    for _ in 0..12_000 {
        match what() {
            Some(found) => return found,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    panic!("it does not happen");
}

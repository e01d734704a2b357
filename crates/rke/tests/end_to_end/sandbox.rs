//! What the kernel refuses a running daemon, and that this includes nothing the daemon needs.

use std::collections::BTreeMap;
use std::fs::{self, read_to_string};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use serde_json::{Value, json};

use crate::dev::Dev;
use crate::real::{Files, Real};
use crate::support::network;

fn sandbox(real: &Real) -> Value {
    let status = real.get("/api/rke/status").json();
    let last = status.as_object().and_then(|status| status.keys().next_back().cloned());
    assert_eq!(last.as_deref(), Some("sandbox"));
    status["sandbox"].clone()
}

/// A field of the kernel's status of each thread.
fn of_threads(process: u32, field: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("threads");
    let values = threads.flatten().filter_map(|thread| {
        let status = read_to_string(thread.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Some(line?.trim().to_owned())
    });
    values.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_thread_of_the_daemon_is_in_the_sandbox() {
    let real = Real::start(&[]).await;
    assert_eq!(sandbox(&real), json!({"landlock": "writes", "seccomp": true, "no_new_privs": true}));
    let seccomp = of_threads(real.process(), "Seccomp");
    assert!(seccomp.len() > 2 && seccomp.iter().all(|mode| mode == "2"), "{seccomp:?}");
    assert!(of_threads(real.process(), "NoNewPrivs").iter().all(|given_up| given_up == "1"));
    let limits = read_to_string(format!("/proc/{}/limits", real.process())).expect("limits");
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
        line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max msgqueue size"), ["0", "0"]);
    let files = limit("Max open files");
    assert_eq!(files[0], files[1]);
    assert!(!real.log().contains("sandbox"), "nothing is missing: {}", real.log());
    let off = Real::start(&["--sandbox", "off"]).await;
    assert_eq!(sandbox(&off), json!({"landlock": "off", "seccomp": false, "no_new_privs": true}));
    assert_eq!(off.log().matches("the sandbox is off").count(), 1, "{}", off.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_folder_for_wallets_the_daemon_reads_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let [config, elsewhere] = ["config", "elsewhere"].map(|name| dir.path().join(name));
    fs::create_dir(&config).and_then(|()| fs::create_dir(&elsewhere)).expect("folders");
    let file = config.join("rke.toml");
    let root = tempfile::tempdir().expect("a folder");
    let network = network(&root).await;
    let text = |root: &std::path::Path, max: u32| {
        format!("wallet-root = '{}'\nmax-sessions = {max}\n", root.display())
    };
    fs::write(&file, text(root.path(), 2)).expect("written");
    let real = Real::start_on(root, network, &["--config", file.to_str().expect("UTF-8")], Files::AsMany);
    assert_eq!(sandbox(&real)["landlock"], "reads_and_writes");
    let id = real.create_id();
    let max = |real: &Real| real.get("/api/rke/status").json()["sessions"]["max"].clone();

    // The daemon reads a file that replaced the old one in the same folder.
    fs::write(config.join("new"), text(real.dir.path(), 3)).expect("written");
    fs::rename(config.join("new"), &file).expect("replaced");
    let log = real.reload();
    assert!(log.contains("the configuration was read again"), "{log}");
    assert_eq!(max(&real), 3);

    // The kernel refuses a file in another folder, although this user may read it.
    fs::write(elsewhere.join("rke.toml"), text(real.dir.path(), 4)).expect("written");
    fs::remove_file(&file).and_then(|()| symlink(elsewhere.join("rke.toml"), &file)).expect("a link");
    let log = real.reload();
    assert!(log.contains("cannot read the configuration file") && log.contains("ermission denied"), "{log}");
    assert_eq!(max(&real), 3);

    // Another folder for wallets requires a restart.
    fs::remove_file(&file).and_then(|()| fs::write(&file, text(&elsewhere, 5))).expect("written");
    let log = real.reload();
    assert!(log.contains("restart the daemon") && log.contains("elsewhere"), "{log}");
    assert_eq!(max(&real), 3);

    // The sandbox still allows everything that the memory scan reads.
    let wiped = real.get(&format!("/api/rke/session/delete?session_id={id}&verify=true")).json();
    assert!(wiped["wipe"]["scanned_bytes"].as_u64() > Some(1_000_000), "{wiped}");
    assert!(real.get(&real.create_target()).status == 200);
}

/// Starts a RAIDA node or a Content Server from a shell with a low limit of open files, and returns its limits.
fn limits_of(arguments: &[&str], data_dir: &Path) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -Sn 64; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_rke")]).args(arguments);
    let mut program = shell.arg("--data-dir").arg(data_dir).stderr(Stdio::piped()).spawn().expect("rke runs");
    let mut said = BufReader::new(program.stderr.take().expect("a log")).lines().map_while(Result::ok);
    let listens = said.any(|line| line.contains(" listens on "));
    let limits = read_to_string(format!("/proc/{}/limits", program.id()));
    program.kill().and_then(|()| program.wait()).expect("killed");
    assert!(listens, "{arguments:?}");
    limits.expect("limits")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_program_opens_as_many_files_as_the_system_lets_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    network.stop_content_server().await;
    let coins = network.wallet().join("Bank");
    let coins = coins.to_str().expect("UTF-8");
    let node = ["raida", "--index", "0", "--listen", "127.0.0.1:0", "--coins", coins];
    let content_server =
        ["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--listen", "127.0.0.1:0"];
    for (arguments, data_dir) in
        [(&node[..], dir.path().join("node")), (&content_server, dir.path().join("content-server/data"))]
    {
        let limits = limits_of(arguments, &data_dir);
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit");
        let files: Vec<&str> = files.split_whitespace().collect();
        assert!(files[0] == files[1] && files[0] != "64", "{arguments:?}: {files:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_for_a_group_leaves_nothing_next_to_it() {
    let (root, dir) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let network = network(&root).await;
    let socket = dir.path().join("rke.sock");
    let group = rustix::process::getgid().as_raw().to_string();
    let wallets = root.path().to_str().expect("UTF-8").to_owned();
    let flags = ["--unix-socket", socket.to_str().expect("UTF-8"), "--unix-socket-group", &group];
    let flags = [&flags[..], &["--wallet-root", &wallets]].concat();
    let real = Real::start_on(root, network, &flags, Files::AsMany);
    assert_eq!(sandbox(&real)["landlock"], "reads_and_writes");
    let names = fs::read_dir(dir.path()).expect("the folder").flatten().map(|file| file.file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["rke.sock"]);
    UnixStream::connect(&socket).expect("it listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_without_it_warns_once_and_the_daemon_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    // This thread, and everything that it starts, runs as on such a kernel.
    let started = std::thread::spawn(move || {
        let calls = [libc::SYS_landlock_create_ruleset, libc::SYS_seccomp];
        apply_filter(&refusing(&calls, libc::ENOSYS)).expect("a filter");
        Real::start_on(dir, network, &[], Files::AsMany)
    });
    let real = started.join().expect("no panic");
    assert_eq!(sandbox(&real), json!({"landlock": "off", "seccomp": false, "no_new_privs": true}));
    let log = real.log();
    assert_eq!(log.matches("Landlock").count(), 1, "{log}");
    assert_eq!(log.matches("seccomp filters are missing").count(), 1, "{log}");
    assert_eq!(real.get(&real.create_target()).status, 200);
}

/// A filter that answers these system calls with an error.
fn refusing(calls: &[i64], error: i32) -> BpfProgram {
    let rules: BTreeMap<i64, _> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture");
    let refused = SeccompAction::Errno(error as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).expect("a filter");
    filter.try_into().expect("a program")
}

#[test]
fn a_filter_that_refuses_to_lock_memory_is_not_called_a_limit() {
    let ran = std::thread::spawn(|| {
        apply_filter(&refusing(&[libc::SYS_mlock, libc::SYS_memfd_secret], libc::EPERM)).expect("a filter");
        let dir = tempfile::tempdir().expect("a folder");
        let rke = |arguments: &[&str]| {
            let mut rke = Command::new(env!("CARGO_BIN_EXE_rke"));
            let run = rke.args(arguments).arg("--data-dir").arg(dir.path()).output().expect("rke runs");
            assert!(!run.status.success());
            String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned()
        };
        [rke(&["serve"]), rke(&["doctor"])]
    });
    let [served, examined] = ran.join().expect("no panic");
    for said in [served, examined] {
        assert!(said.contains("a filter of system calls refuses mlock"), "{said}");
        assert!(said.contains("SystemCallFilter=") && !said.contains("limit"), "{said}");
    }
}

#[test]
fn a_command_has_the_rights_that_the_content_server_was_started_with() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("written");
    let given_up =
        "while read -r name value; do case $name in Seccomp:|NoNewPrivs:) echo $name $value;; esac; done";
    let command = format!("{given_up} < /proc/self/status; /bin/echo here > '{}'; ulimit -c", file.display());
    // The Content Server sets its own core limit to 0. A limit other than 0 here shows that the command does not
    // inherit it.
    let cores = "ulimit -c 1";
    let mut program = Command::new("sh");
    program.args(["-c", &format!("{cores}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_rke")]);
    let dev = Dev::start_in(&mut program, &["--exec", &command]);
    let done = dev.pipe(&["connect", &dev.create_id()], b"");
    let own = |field: &str| of_threads(std::process::id(), field).remove(0);
    let core =
        Command::new("sh").args(["-c", &format!("{cores}; ulimit -c")]).output().expect("sh runs").stdout;
    let expected = format!(
        "NoNewPrivs: {}\nSeccomp: {}\n{}",
        own("NoNewPrivs"),
        own("Seccomp"),
        String::from_utf8_lossy(&core)
    );
    assert_eq!((done.code, done.text()), (Some(0), expected), "{}", done.err);
    assert_eq!(read_to_string(&file).expect("written"), "here\n");
}

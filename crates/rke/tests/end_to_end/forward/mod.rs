//! `content-server serve --forward`, `rke forward` and `rke connect DOMAIN`: TCP connections through tunnels. An end is an end at
//! the other side, and a cut is a reset there.

mod program;
mod recipes;
mod sessions;

use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::TcpStream;

use self::program::{Behind, Forward, ids, read_all, read_some, stage};
use crate::dev::Dev;
use crate::support::{DOMAIN, Stage, again, request};
use crate::tunnel::{arguments, rke_code};

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_are_carried_at_once() {
    const MANY: usize = 200;
    let (stage, behind) = stage().await;
    let forward = Forward::own(&stage).await;
    tokio::spawn(async move {
        loop {
            let mut stream = behind.accept().await;
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                copy(&mut from, &mut to).await.expect("echoed");
                to.shutdown().await.expect("ended");
            });
        }
    });
    let address = forward.address;
    // All are open before the first sends anything.
    let mut open = Vec::new();
    for _ in 0..MANY {
        open.push(TcpStream::connect(address).await.expect("connected"));
    }
    let sending = open.into_iter().enumerate().map(|(number, mut stream)| {
        tokio::spawn(async move {
            let text = format!("{number} ").repeat(20_000);
            let (mut from, mut to) = stream.split();
            let send = async {
                to.write_all(text.as_bytes()).await.expect("sent");
                to.shutdown().await.expect("ended");
            };
            let mut came = String::new();
            let (_, received) = tokio::join!(send, from.read_to_string(&mut came));
            received.expect("an end");
            assert!(came == text, "{number}: {} of {} bytes", came.len(), text.len());
        })
    });
    for done in sending.collect::<Vec<_>>() {
        done.await.expect("no panic");
    }
    assert_eq!((forward.log().as_str(), ids(&stage).await.len()), ("", 1));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_direction_ends_by_itself() {
    let (stage, behind) = stage().await;
    let forward = Forward::own(&stage).await;
    let (mut local, mut far) = behind.pair(&forward).await;
    local.shutdown().await.expect("ended");
    assert_eq!(read_all(&mut far).await.as_deref(), Some(""));
    far.write_all(b"the response").await.expect("sent");
    assert_eq!(read_some(&mut local, 12).await, "the response");
    drop(far);
    assert_eq!(read_all(&mut local).await.as_deref(), Some(""));

    let (mut local, mut far) = behind.pair(&forward).await;
    far.shutdown().await.expect("ended");
    assert_eq!(read_all(&mut local).await.as_deref(), Some(""));
    local.write_all(b"more").await.expect("sent");
    assert_eq!(read_some(&mut far, 4).await, "more");
    local.write_all(b" and more").await.expect("sent");
    drop(local);
    assert_eq!(read_all(&mut far).await.as_deref(), Some(" and more"));
    assert_eq!(forward.log(), "");
    stage.stop().await;
}

/// Which direction has ended before a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Neither,
    ToTheServer,
    FromTheServer,
}

/// A connection at both ends, of which that direction has ended.
async fn half_open(behind: &Behind, forward: &Forward, ended: Ended) -> (TcpStream, TcpStream) {
    let (mut local, mut far) = behind.pair(forward).await;
    match ended {
        Ended::Neither => (),
        Ended::ToTheServer => {
            local.shutdown().await.expect("ended");
            assert_eq!(read_all(&mut far).await.as_deref(), Some(""));
        }
        Ended::FromTheServer => {
            far.shutdown().await.expect("ended");
            assert_eq!(read_all(&mut local).await.as_deref(), Some(""));
        }
    }
    (local, far)
}

/// Checks that a connection was reset. One whose reading direction has ended shows that only when it is written to.
async fn is_reset(which: &str, stream: &mut TcpStream, has_ended: bool) {
    if !has_ended {
        assert_eq!(read_all(stream).await, None, "{which}: a cut looks like an end");
    }
    again(async || match stream.write_all(b"x").await {
        Ok(()) => Err(format!("{which}: it is open")),
        Err(_) => Ok(()),
    })
    .await;
}

/// Lets a connection be cut in each state, and checks both ends.
async fn cut_by(which: &str, behind: &Behind, forward: &Forward, deed: impl AsyncFnOnce()) {
    let mut open = Vec::new();
    for ended in [Ended::Neither, Ended::ToTheServer, Ended::FromTheServer] {
        open.push((ended, half_open(behind, forward, ended).await));
    }
    deed().await;
    for (ended, (mut local, mut far)) in open {
        let which = format!("{which}, {ended:?}");
        is_reset(&which, &mut local, ended == Ended::FromTheServer).await;
        is_reset(&which, &mut far, ended == Ended::ToTheServer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_deleted_resets_both_ends_and_the_next_connection_gets_another() {
    let (stage, behind) = stage().await;
    let forward = Forward::own(&stage).await;
    let before = ids(&stage).await;
    cut_by("the session is deleted", &behind, &forward, async || {
        let path = format!("/api/rke/session/{}", before[0]);
        assert_eq!(request(stage.daemon.address(), "DELETE", &path).await.status, 200);
    })
    .await;
    forward.logs("the session was deleted").await;
    let log = again(async || match forward.log() {
        log if log.lines().count() == 3 => Ok(log),
        log => Err(format!("not a line for each connection: {log}")),
    })
    .await;
    assert!(log.lines().all(|line| line.starts_with("rke: 127.0.0.1:")), "{log}");
    behind.pair(&forward).await;
    let after = ids(&stage).await;
    assert!(after.len() == 1 && after != before, "{after:?}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_server_that_stops_resets_both_ends() {
    let (mut stage, behind) = stage().await;
    let forward = Forward::own(&stage).await;
    let network = &mut stage.network;
    cut_by("the Content Server stops", &behind, &forward, async || network.stop_content_server().await).await;
    // A connection that cannot be carried is reset too. The one after that finds a Content Server, which has lost the key.
    forward.expect_reset().await;
    forward.logs("it refuses connections").await;
    stage.network.restart_content_server().await.expect("a Content Server");
    behind.pair(&forward).await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_resets_both_ends() {
    let (stage, behind) = stage().await;
    let forward = Forward::own(&stage).await;
    let Stage { daemon, network, dir } = stage;
    cut_by("the daemon stops", &behind, &forward, async || daemon.stop().await).await;
    network.stop().await;
    drop(dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_that_is_killed_resets_both_ends() {
    let (stage, behind) = stage().await;
    for signal in [Signal::KILL, Signal::TERM] {
        let mut forward = Forward::own(&stage).await;
        let killed = async |forward: &Forward| forward.signal(signal);
        cut_by("rke forward is killed", &behind, &forward, async || killed(&forward).await).await;
        let code = forward.ended().await;
        assert_eq!(code, (signal == Signal::TERM).then_some(0));
    }
    stage.stop().await;
}

/// `rke dev` is the daemon and the Content Server in one process.
#[tokio::test(flavor = "multi_thread")]
async fn daemon_and_content_server_that_are_killed_reset_both_ends() {
    let behind = Behind::start().await;
    let mut dev = Dev::start_with(&["--listen", "127.0.0.1:0", "--forward", &behind.address()]);
    let wallet = dev.wallet.to_str().expect("UTF-8").to_owned();
    let forward = Forward::start(&dev.daemon, &["--wallet", &wallet]).await;
    cut_by("killed", &behind, &forward, async || dev.kill()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_server_that_is_killed_resets_both_ends() {
    let (mut stage, behind) = (Stage::new().await, Behind::start().await);
    let address = stage.network.content_server_address();
    stage.network.stop_content_server().await;
    let mut server = Command::new(env!("CARGO_BIN_EXE_rke"))
        .args(["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--domain", DOMAIN])
        .args(["--listen", &address.to_string(), "--forward", &behind.address(), "--data-dir"])
        .arg(stage.dir.path().join("content-server/data"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("rke runs");
    again(async || TcpStream::connect(address).await.map(drop).map_err(|error| error.to_string())).await;
    let forward = Forward::own(&stage).await;
    cut_by("the Content Server is killed", &behind, &forward, async || {
        kill_process(Pid::from_child(&server), Signal::KILL).expect("killed");
    })
    .await;
    server.wait().expect("it is gone");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_at_one_end_is_a_reset_at_the_other() {
    let (stage, behind) = stage().await;
    let forward = Forward::own(&stage).await;
    for ended in [Ended::Neither, Ended::ToTheServer] {
        let (mut local, far) = half_open(&behind, &forward, ended).await;
        far.set_zero_linger().expect("set");
        drop(far);
        assert_eq!(read_all(&mut local).await, None, "{ended:?}");
    }
    let log = forward.logs("broke its connection off").await;
    assert!(log.contains("the Content Server says: the application behind"), "{log}");
    for ended in [Ended::Neither, Ended::FromTheServer] {
        let (local, mut far) = half_open(&behind, &forward, ended).await;
        local.set_zero_linger().expect("set");
        drop(local);
        assert_eq!(read_all(&mut far).await, None, "{ended:?}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_resets_the_connection_with_a_reason() {
    let (stage, behind) = stage().await;
    let forward = Forward::own(&stage).await;
    let address = behind.address();
    drop(behind);
    forward.expect_reset().await;
    let log = forward.logs("cannot be reached").await;
    assert!(log.contains("it refuses connections") && log.lines().count() == 1, "{log}");
    let connect = format!(
        "connect {DOMAIN} --daemon {} --timeout 60 --wallet {}",
        stage.daemon.address(),
        stage.network.wallet().display()
    );
    let (code, output, log) = rke_code(arguments(&connect), "data").await;
    assert!(code == 255 && output.is_empty() && log.contains("it refuses connections"), "{code} {log}");
    let behind = Behind(tokio::net::TcpListener::bind(&address).await.expect("the same port"));
    behind.pair(&forward).await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_other_machines_could_connect_nothing_listens() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let (code, output, log) = rke_code(arguments(&format!("forward {DOMAIN} {listen}")), "").await;
        assert!(code == 2 && output.is_empty(), "{code} {output}");
        assert!(log.contains("other machines can connect") && log.contains("--allow-remote"), "{log}");
    }
    let (stage, behind) = stage().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
    command.args(["forward", DOMAIN, "0.0.0.0:0", "--allow-remote", "--timeout", "60", "--wallet"]);
    command.arg(stage.network.wallet()).args(["--daemon", &stage.daemon.address().to_string()]);
    let forward = tokio::task::spawn_blocking(move || Forward::run(&mut command)).await.expect("no panic");
    assert!(forward.address.ip().is_unspecified());
    behind.pair(&forward).await;
    stage.stop().await;
}

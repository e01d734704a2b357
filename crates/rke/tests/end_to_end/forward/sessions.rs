//! Which session `rke forward` and `rke connect DOMAIN` use, renew, replace and end.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::program::{Forward, expires_at, ids, stage};
use crate::support::{DOMAIN, PATIENCE, Stage, again, config, expire};
use crate::tunnel::{arguments, rke_code};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_its_own_ends_with_it_and_another_one_stays() {
    let (stage, behind) = stage().await;
    let daemon = stage.daemon.address().to_string();
    let nothing = rke_code(arguments(&format!("forward {DOMAIN} 127.0.0.1:0 --daemon {daemon}")), "").await;
    assert!(nothing.0 == 1 && nothing.2.contains("name a wallet with --wallet"), "{nothing:?}");
    let open = stage.create_id().await;
    for own in [true, false] {
        let mut forward = match own {
            true => Forward::own(&stage).await,
            false => Forward::start(&daemon, &[]).await,
        };
        behind.pair(&forward).await;
        assert_eq!(ids(&stage).await.len(), if own { 2 } else { 1 });
        forward.signal(Signal::INT);
        assert_eq!((forward.ended().await, forward.log().as_str()), (Some(0), ""));
        assert_eq!(ids(&stage).await, [open.as_str()]);
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_expired_is_replaced() {
    let (stage, behind) = stage().await;
    let forward = Forward::own(&stage).await;
    let before = ids(&stage).await;
    let settings = || config(&stage.dir, stage.network.dns_address());
    expire(&stage.daemon, settings()).await;
    again(async || match ids(&stage).await {
        ids if ids.is_empty() => Ok(()),
        ids => Err(format!("{ids:?}")),
    })
    .await;
    stage.daemon.reload(settings()).await.expect("a reload");
    behind.pair(&forward).await;
    let after = ids(&stage).await;
    assert!(after.len() == 1 && after != before, "{after:?}");
    assert_eq!(forward.log(), "");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_while_it_is_used() {
    let stage = Stage::with(|config| config.reloadable.session_ttl = Duration::from_secs(30)).await;
    let _forward = Forward::own(&stage).await;
    let [id] = &ids(&stage).await[..] else { panic!("not one session") };
    let before = expires_at(&stage, id).await;
    let after = again(async || match expires_at(&stage, id).await {
        after if after != before => Ok(after),
        after => Err(format!("{after} still")),
    })
    .await;
    // A session that has expired has no end either.
    assert!(after.as_str() > before.as_str(), "{before}, then {after}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_takes_a_domain_too() {
    let stage = Stage::new().await;
    let (daemon, wallet) = (stage.daemon.address(), stage.network.wallet().display().to_string());
    let with = async |rest: &str| {
        rke_code(arguments(&format!("connect {rest} --daemon {daemon} --timeout 60")), "data").await
    };
    let done = (0, "data".to_owned(), String::new());
    assert_eq!(with(&format!("{DOMAIN} --wallet {wallet}")).await, done);
    assert_eq!(ids(&stage).await.len(), 0, "its session has ended with it");
    let (code, output, log) = with(DOMAIN).await;
    assert!(code == 255 && output.is_empty() && log.lines().count() == 1, "{code} {log}");
    assert!(log.contains(&format!("no usable session with {DOMAIN} is open")), "{log}");
    let open = stage.create_id().await;
    for name in [DOMAIN.to_uppercase(), format!("{DOMAIN}."), open[..8].to_owned()] {
        assert_eq!(with(&name).await, done, "{name}");
    }
    assert_eq!(ids(&stage).await, [open.as_str()]);
    let (code, _, log) = with(&format!("{open} --wallet {wallet}")).await;
    assert!(code == 2 && log.contains("--wallet opens a session with a domain"), "{log}");
    stage.stop().await;
}

/// Passes connections on to the daemon, and holds its responses back until the sender says so.
async fn slow_responses(daemon: SocketAddr) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (pass, passed) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let mut passed = passed.clone();
            tokio::spawn(async move {
                let server = TcpStream::connect(daemon).await.expect("connected");
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                let up = async {
                    let _ = copy(&mut from_client, &mut to_server).await;
                };
                let down = async {
                    let _ = passed.wait_for(|passed| *passed).await;
                    let _ = copy(&mut from_server, &mut to_client).await;
                    let _ = to_client.shutdown().await;
                };
                tokio::join!(up, down)
            });
        }
    });
    (address, pass)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_the_session_is_opened_leaves_none_behind() {
    let stage = Stage::new().await;
    for command in [["forward", DOMAIN, "127.0.0.1:0"].as_slice(), &["connect", DOMAIN]] {
        let (daemon, pass) = slow_responses(stage.daemon.address()).await;
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_rke"))
            .args(command)
            .args(["--timeout", "60", "--daemon", &daemon.to_string(), "--wallet"])
            .arg(stage.network.wallet())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("rke runs");
        again(async || match ids(&stage).await.len() {
            1 => Ok(()),
            other => Err(format!("{other} sessions")),
        })
        .await;
        let process = child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32));
        rustix::process::kill_process(process.expect("it runs"), Signal::INT).expect("a signal");
        let mut log = BufReader::new(child.stderr.take().expect("a log")).lines();
        let line = timeout(PATIENCE, log.next_line()).await.expect("a line in time").expect("read");
        assert_eq!(line.as_deref(), Some("Waiting for the session that is being opened, to end it."));
        pass.send_replace(true);
        child.wait().await.expect("an end");
        assert_eq!(ids(&stage).await.len(), 0, "{command:?}");
    }
    stage.stop().await;
}

/// ssh ends its `ProxyCommand` so.
#[tokio::test(flavor = "multi_thread")]
async fn connect_ends_its_session_also_when_a_signal_ends_it() {
    let stage = Stage::new().await;
    for signal in [Signal::HUP, Signal::TERM, Signal::INT] {
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_rke"))
            .args(["connect", DOMAIN, "--timeout", "60", "--wallet"])
            .arg(stage.network.wallet())
            .args(["--daemon", &stage.daemon.address().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("rke runs");
        let mut input = child.stdin.take().expect("an input");
        input.write_all(b"x").await.expect("sent");
        child.stdout.as_mut().expect("an output").read_exact(&mut [0]).await.expect("data");
        let process = child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32));
        rustix::process::kill_process(process.expect("it runs"), signal).expect("a signal");
        assert_eq!(child.wait().await.expect("an end").code(), Some(255));
        assert_eq!(ids(&stage).await.len(), 0, "{signal:?}");
    }
    stage.stop().await;
}

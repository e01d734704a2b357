//! Everything that is not an end. The command of these tests notes that its input has ended, and nothing else may make it
//! note that.

use std::time::Duration;

use rke_host::framing::{RecordIoError, records};
use rke_proto::handshake::record::LEN_LEN;
use rke_proto::handshake::{BreakCode, Reason, Record, Response};
use rke_raida::content_server::ServerConfig;
use rustix::process::{Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{COIN, Session, Stage, gone, runs, within};

/// Copies its input and notes its end, with a child that is killed with it.
pub(crate) const NOTES_ITS_END: &str = "echo $$ > $DIR/command; sleep 1000 >/dev/null & echo $! > $DIR/child; \
     cat > $DIR/input; echo yes > $DIR/ended; sleep 1000";

/// A command that has had some data, and the connection to it.
struct Tunnel {
    stage: Stage,
    session: Session,
    stream: TcpStream,
    transport: rke_proto::handshake::Transport,
    processes: [rustix::process::Pid; 2],
}

async fn tunnel(change: impl FnOnce(&mut ServerConfig)) -> Tunnel {
    tunnel_to(NOTES_ITS_END, change).await
}

async fn tunnel_to(command: &str, change: impl FnOnce(&mut ServerConfig)) -> Tunnel {
    let stage = Stage::exec(command, change).await;
    let session = stage.open().await;
    let (mut stream, accepted) = session.attach_silently().await;
    let mut transport = accepted.transport;
    let record = transport.sealer.data(b"DELETE FROM users").expect("a record");
    stream.write_all(&record).await.expect("sent");
    let processes = [stage.process("command").await, stage.process("child").await];
    within(async {
        while stage.file("input").as_deref() != Some("DELETE FROM users") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    Tunnel { stage, session, stream, transport, processes }
}

/// The whole process group is gone, and it has not seen an end.
async fn check_cut(stage: &Stage, processes: [rustix::process::Pid; 2], which: &str) {
    for process in processes {
        gone(process).await;
    }
    assert_eq!(stage.file("ended"), None, "{which}");
}

/// What the client is told last, after no data.
async fn last_word(
    stream: TcpStream,
    transport: rke_proto::handshake::Transport,
) -> Result<Record, RecordIoError> {
    let (mut reader, _writer) = records(stream, transport);
    within(reader.next()).await
}

#[tokio::test]
async fn an_end_is_seen_as_one() {
    let Tunnel { stage, mut stream, mut transport, .. } = tunnel(|_| ()).await;
    let end = transport.sealer.end(None).expect("a record");
    stream.write_all(&end).await.expect("sent");
    within(async {
        while stage.file("ended").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// The names of interferences with a connection from outside.
pub(crate) const CUTS: [&str; 10] = [
    "FIN",
    "RST",
    "a record cut in its length",
    "a record cut in the middle",
    "a record cut at its last byte",
    "a bad tag",
    "a record that comes again",
    "a length of no record",
    "text without a key",
    "broken off by the client",
];

/// An interference with a connection from outside.
pub(crate) async fn cut_by(
    which: &str,
    mut stream: TcpStream,
    mut transport: rke_proto::handshake::Transport,
) {
    let whole = transport.sealer.data(b" WHERE id = 1").expect("a record");
    match which {
        "FIN" => stream.shutdown().await.expect("closed"),
        "RST" => {
            let linger = Some(Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&stream, linger).expect("set");
            return drop(stream);
        }
        "a record cut in its length" => {
            stream.write_all(&whole[..1]).await.expect("sent");
            stream.shutdown().await.expect("closed");
        }
        "a record cut in the middle" => {
            stream.write_all(&whole[..whole.len() / 2]).await.expect("sent");
            stream.shutdown().await.expect("closed");
        }
        "a record cut at its last byte" => {
            stream.write_all(&whole[..whole.len() - 1]).await.expect("sent");
            stream.shutdown().await.expect("closed");
        }
        "a bad tag" => {
            let mut bad = transport.sealer.end(None).expect("a record");
            bad[LEN_LEN] ^= 1;
            stream.write_all(&[whole, bad].concat()).await.expect("sent");
        }
        "a record that comes again" => {
            stream.write_all(&[whole.clone(), whole].concat()).await.expect("sent")
        }
        "a length of no record" => stream.write_all(&[0, 16, 0, 0]).await.expect("sent"),
        "text without a key" => stream.write_all(b"\r\n\r\n").await.expect("sent"),
        "broken off by the client" => {
            let last = transport.sealer.break_off(BreakCode::Deleted, "the session was deleted");
            stream.write_all(&last.expect("a record")).await.expect("sent");
        }
        _ => unreachable!("{which}"),
    }
    // Held open: what has been sent is enough.
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_closes_or_spoils_the_connection_is_a_cut() {
    for which in CUTS {
        let Tunnel { stage, stream, transport, processes, .. } = tunnel(|_| ()).await;
        cut_by(which, stream, transport).await;
        check_cut(&stage, processes, which).await;
    }
}

/// What keeps its place until it is killed, although it has seen the end of its input.
const GOES_ON: &str =
    "cat >/dev/null; sleep 1000 >/dev/null & echo $! > $DIR/child; echo $$ > $DIR/command; wait";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_after_its_end_has_its_command_killed() {
    for which in ["FIN", "RST"] {
        let stage = Stage::exec(GOES_ON, |config| config.max_commands = 1).await;
        let session = stage.open().await;
        let (mut stream, mut accepted) = session.attach_silently().await;
        let end = accepted.transport.sealer.end(None).expect("a record");
        stream.write_all(&end).await.expect("sent");
        let processes = [stage.process("command").await, stage.process("child").await];
        if which == "FIN" {
            stream.shutdown().await.expect("closed");
            match last_word(stream, accepted.transport).await {
                Ok(Record::BrokenOff { code: BreakCode::Other, text }) => assert!(text.contains("closed")),
                last => panic!("{last:?}"),
            }
        } else {
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("set");
            drop(stream);
        }
        for process in processes {
            gone(process).await;
        }
        // Its place is free.
        let _ = std::fs::remove_file(stage.dir.path().join("command"));
        let (_reader, mut writer) = session.attach().await;
        writer.end(None).await.expect("sent");
        stage.process("command").await;
    }
}

#[tokio::test]
async fn a_client_that_closes_after_both_ends_has_gone_in_order() {
    let stage = Stage::exec("cat", |_| ()).await;
    let session = stage.open().await;
    for _ in 0..20 {
        let (mut reader, mut writer) = session.attach().await;
        writer.data(b"all").await.expect("sent");
        assert_eq!(within(reader.next()).await.expect("a record"), Record::Data(b"all".to_vec()));
        writer.end(None).await.expect("sent");
        assert_eq!(within(reader.next()).await.expect("a record"), Record::End(Some(0)));
        writer.close().await.expect("closed");
        within(reader.closed()).await.expect("an orderly close, with nothing after the end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_after_the_end_is_a_cut() {
    let stage = Stage::exec("cat > /dev/null; sleep 1000", |_| ()).await;
    let (mut stream, mut accepted) = stage.open().await.attach_silently().await;
    let (end, more) = (accepted.transport.sealer.end(None).expect("a record"), [0, 17, 1, 2, 3]);
    stream.write_all(&end).await.expect("sent");
    stream.write_all(&more).await.expect("sent");
    let last = last_word(stream, accepted.transport).await;
    assert!(last.is_err(), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_forgotten_is_broken_off_before_the_answer() {
    let Tunnel { mut stage, session, stream, transport, processes } = tunnel(|_| ()).await;
    let response = session.peer.forget(&session.forget_packet()).await;
    assert!(
        matches!(response, Response::Forgotten { id, proof } if id == session.secrets.key_id.0 && proof.0 == session.proof())
    );
    let last = last_word(stream, transport).await;
    assert!(matches!(&last, Ok(Record::BrokenOff { code: BreakCode::Deleted, .. })), "{last:?}");
    check_cut(&stage, processes, "forgotten").await;
    assert_eq!(stage.keys(), 0);
    let again = session.peer.forget(&session.forget_packet()).await;
    assert!(matches!(again, Response::Forgotten { proof, .. } if proof.0 == session.proof()));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_waits_for_the_connections_and_a_client_that_does_not_read_cannot_put_it_off() {
    let stage = Stage::exec("yes", |_| ()).await;
    let session = stage.open().await;
    let (_reader, _writer) = session.attach().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begin = std::time::Instant::now();
    let response = session.peer.forget(&session.forget_packet()).await;
    assert!(matches!(response, Response::Forgotten { .. }));
    let limits = Duration::from_millis(400)..Duration::from_secs(20);
    assert!(limits.contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_breaks_nothing_off() {
    let Tunnel { stage, session, stream: _open, processes, .. } = tunnel(|_| ()).await;
    let mut forget = session.forget_packet();
    forget.token.0[7] ^= 1;
    assert!(matches!(session.peer.forget(&forget).await, Response::Refused(Reason::NoSuchKey)));
    assert_eq!(stage.keys(), 1);
    assert!(processes.into_iter().all(runs));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_expires_is_broken_off() {
    let Tunnel { stage, stream, transport, processes, .. } =
        tunnel(|config| config.rules.lifetime_seconds = 2).await;
    let last = last_word(stream, transport).await;
    assert!(matches!(&last, Ok(Record::BrokenOff { code: BreakCode::Expired, .. })), "{last:?}");
    check_cut(&stage, processes, "expired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_broken_off() {
    let Tunnel { stage, stream, transport, processes, .. } =
        tunnel(|config| config.idle_timeout = Duration::from_millis(400)).await;
    let last = last_word(stream, transport).await;
    assert!(matches!(&last, Ok(Record::BrokenOff { code: BreakCode::Idle, .. })), "{last:?}");
    check_cut(&stage, processes, "idle").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_makes_room_is_broken_off() {
    let Tunnel { stage, stream, transport, processes, .. } =
        tunnel(|config| config.rules.keys_per_coin = 1).await;
    stage.open().await;
    match last_word(stream, transport).await {
        Ok(Record::BrokenOff { code: BreakCode::Other, text }) => assert!(text.contains("room"), "{text}"),
        last => panic!("{last:?}"),
    }
    check_cut(&stage, processes, "given up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_breaks_everything_off() {
    let Tunnel { mut stage, session, stream, transport, processes } = tunnel(|_| ()).await;
    let (pending, accepted) = session.peer.shake_hands(session.peer.exchange(COIN)).await;
    stage.stop().await;
    for (stream, transport) in [(stream, transport), (pending, accepted.transport)] {
        let last = last_word(stream, transport).await;
        assert!(matches!(&last, Ok(Record::BrokenOff { code: BreakCode::Stopping, .. })), "{last:?}");
    }
    check_cut(&stage, processes, "stopped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_is_killed_takes_its_commands_along_and_breaks_everything_off() {
    let command = format!("echo $PPID > $DIR/launcher; {NOTES_ITS_END}");
    let Tunnel { mut stage, stream, transport, processes, .. } = tunnel_to(&command, |_| ()).await;
    let [command, child] = processes;
    let idle = stage.open().await;
    let (pending, accepted) = idle.peer.shake_hands(idle.peer.exchange(COIN)).await;
    kill_process(stage.process("launcher").await, Signal::KILL).expect("killed");
    // The Content Server notices either first: that the command is gone, or that the launcher is.
    let last = last_word(stream, transport).await;
    let codes = [BreakCode::NoApplication, BreakCode::Stopping];
    assert!(matches!(&last, Ok(Record::BrokenOff { code, .. }) if codes.contains(code)), "{last:?}");
    let last = last_word(pending, accepted.transport).await;
    assert!(matches!(&last, Ok(Record::BrokenOff { code: BreakCode::Stopping, .. })), "{last:?}");
    gone(command).await;
    assert_eq!(stage.file("ended"), None);
    let why = within(stage.server.as_ref().expect("a Content Server").wait_for_failure()).await.to_string();
    assert!(
        why.contains("was killed by signal 9") && why.contains("start the Content Server again"),
        "{why}"
    );
    // Nobody is left to kill it, and the next client finds nobody.
    kill_process(child, Signal::KILL).expect("it runs");
    within(async { while TcpStream::connect(idle.peer.address).await.is_ok() {} }).await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_at_every_record_boundary_is_a_cut() {
    let stage = Stage::exec("cat > $DIR/input.$$; echo yes > $DIR/ended", |_| ()).await;
    let session = stage.open().await;
    for records in 0..5 {
        let (mut stream, mut accepted) = session.attach_silently().await;
        for _ in 0..=records {
            let record = accepted.transport.sealer.data(b"data").expect("a record");
            stream.write_all(&record).await.expect("sent");
        }
        stream.shutdown().await.expect("closed");
        assert!(last_word(stream, accepted.transport).await.is_err());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.file("ended"), None);
}

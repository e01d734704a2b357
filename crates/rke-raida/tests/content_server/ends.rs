//! Data with an end.

use std::time::Duration;

use rke_proto::handshake::{BreakCode, Record};
use rke_raida::content_server::Application;

use crate::client::{Stage, gone, read_all, running, running_after, within};

#[tokio::test]
async fn the_exit_status_of_the_command_travels_back() {
    for (command, status) in [
        ("exit 0", 0),
        ("cat; exit 7", 7),
        ("kill -TERM $$", 143),
        ("cat >/dev/null; kill -KILL $$", 137),
        ("no-such-command-anywhere", 127),
        ("exec >&-; sleep 0.3; exit 9", 9),
    ] {
        let stage = Stage::exec(command, |_| ()).await;
        let (mut reader, mut writer) = stage.open().await.attach().await;
        let _ = writer.end(None).await;
        assert_eq!(
            read_all(&mut reader).await,
            (String::new(), Some(Record::End(Some(status)))),
            "{command}"
        );
    }
}

#[tokio::test]
async fn a_command_goes_on_talking_after_the_clients_end() {
    let stage = Stage::exec("tr a-z A-Z; for n in 1 2 3; do sleep 0.1; echo $n; done; exit 5", |_| ()).await;
    let (mut reader, mut writer) = stage.open().await.attach().await;
    writer.data(b"hello\n").await.expect("sent");
    writer.end(None).await.expect("sent");
    assert_eq!(read_all(&mut reader).await, ("HELLO\n1\n2\n3\n".into(), Some(Record::End(Some(5)))));
}

#[tokio::test]
async fn a_command_may_end_before_the_client_does() {
    let stage = Stage::exec("echo early; exit 3", |_| ()).await;
    let (mut reader, mut writer) = stage.open().await.attach().await;
    assert_eq!(read_all(&mut reader).await, ("early\n".into(), Some(Record::End(Some(3)))));
    for _ in 0..20 {
        writer.data(&[0; 16_384]).await.expect("what nobody reads is taken all the same");
    }
    writer.end(None).await.expect("sent");
    within(reader.closed()).await.expect("an orderly close");
}

#[tokio::test]
async fn the_first_record_may_be_data_or_the_end() {
    let stage = Stage::exec("cat; echo .", |_| ()).await;
    let session = stage.open().await;
    for first in ["data", ""] {
        let (stream, accepted) = session.attach_silently().await;
        let (mut reader, mut writer) = rke_host::framing::records(stream, accepted.transport);
        if !first.is_empty() {
            writer.data(first.as_bytes()).await.expect("sent");
        }
        writer.end(None).await.expect("sent");
        assert_eq!(read_all(&mut reader).await, (format!("{first}.\n"), Some(Record::End(Some(0)))));
    }
}

#[tokio::test]
async fn much_data_goes_both_ways_whole() {
    for application in [Application::Echo, running("cat")] {
        let stage = Stage::new(application, |_| ()).await;
        let (mut reader, mut writer) = stage.open().await.attach().await;
        let data: String = (0..5_000_000_u32).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
        let sent = data.clone();
        let send = async {
            writer.data(sent.as_bytes()).await.expect("sent");
            writer.end(None).await.expect("sent");
        };
        let ((), (received, last)) = tokio::join!(send, read_all(&mut reader));
        assert!(received == data && matches!(last, Some(Record::End(_))), "{} bytes", received.len());
    }
}

#[tokio::test]
async fn what_nobody_reads_is_held_back() {
    let stage = Stage::exec("head -c 100000000 /dev/zero; touch $DIR/through", |_| ()).await;
    let (mut reader, mut writer) = stage.open().await.attach().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(stage.file("through"), None);
    let mut received = 0;
    while let Ok(Record::Data(data)) = within(reader.next()).await {
        received += data.len();
    }
    assert_eq!(received, 100_000_000);
    writer.end(None).await.expect("sent");
}

#[tokio::test]
async fn an_end_ends_what_a_command_started_too() {
    let command =
        "(sleep 1000 & echo $! > $DIR/grandchild; wait) >/dev/null 2>&1 & echo $! > $DIR/child; cat";
    let stage = Stage::exec(command, |_| ()).await;
    let (mut reader, mut writer) = stage.open().await.attach().await;
    // An end that comes before they have started would find nothing to end.
    let started = [stage.process("child").await, stage.process("grandchild").await];
    writer.end(None).await.expect("sent");
    assert_eq!(read_all(&mut reader).await.1, Some(Record::End(Some(0))));
    for process in started {
        gone(process).await;
    }
}

#[tokio::test]
async fn no_more_commands_run_than_may() {
    let stage = Stage::exec("cat", |config| config.max_commands = 1).await;
    let session = stage.open().await;
    let (mut reader, mut writer) = session.attach().await;
    writer.data(b"first").await.expect("sent");
    assert_eq!(within(reader.next()).await.expect("a record"), Record::Data(b"first".to_vec()));
    let (mut refused, _writer) = session.attach().await;
    match read_all(&mut refused).await {
        (data, Some(Record::BrokenOff { code: BreakCode::Other, text })) => {
            assert_eq!(
                (data.as_str(), text.as_str()),
                ("", "too many commands are running; try again later")
            );
        }
        other => panic!("{other:?}"),
    }
    writer.end(None).await.expect("sent");
    assert_eq!(read_all(&mut reader).await, (String::new(), Some(Record::End(Some(0)))));
    within(reader.closed()).await.expect("an orderly close");
    let (mut reader, mut writer) = session.attach().await;
    writer.end(None).await.expect("sent");
    assert_eq!(read_all(&mut reader).await, (String::new(), Some(Record::End(Some(0)))), "its place is free");
}

#[tokio::test]
async fn few_open_files_are_a_limit_of_commands_and_not_of_how_many_run() {
    let stage = Stage::new(running_after("ulimit -Sn 24", "ulimit -Sn; cat"), |_| ()).await;
    let session = stage.open().await;
    let mut tunnels = Vec::new();
    for _ in 0..20 {
        let (mut reader, writer) = session.attach().await;
        assert_eq!(within(reader.next()).await.expect("a record"), Record::Data(b"24\n".to_vec()));
        tunnels.push((reader, writer));
    }
    for (reader, writer) in &mut tunnels {
        writer.end(None).await.expect("sent");
        assert_eq!(read_all(reader).await, (String::new(), Some(Record::End(Some(0)))));
    }
}

#[tokio::test]
async fn an_application_that_cannot_be_started_is_said_to_be_missing() {
    // Its launcher has room for the first of the descriptors that a command needs, and for no more.
    let stage = Stage::new(running_after("ulimit -n 4", "cat"), |_| ()).await;
    let (mut reader, _writer) = stage.open().await.attach().await;
    let (_, last) = read_all(&mut reader).await;
    assert!(matches!(last, Some(Record::BrokenOff { code: BreakCode::NoApplication, .. })), "{last:?}");
}

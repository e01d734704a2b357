//! Tunnels through a whole daemon, to a Content Server that follows a test's script. Whatever happens, the client
//! and the Content Server see an end only if the other one has sent it.

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rke_engine::settings::Config;
use rke_proto::handshake::{BreakCode, Reason, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use self::stage::{Answer, Close, Last, Line, Stage, answer, chunked, head};
use crate::http::routes;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// Headers of clients that accept an exit status, and of clients that do not.
const BOTH: [&str; 2] = ["te: trailers\r\n", ""];

/// A Content Server that reads all that the client sends, sends something, and ends with this exit status.
async fn ending_with(status: Option<i32>) -> Stage {
    Stage::new(move |mut line: Line| async move {
        let heard = line.hear().await;
        line.say(b"you said: ").await;
        line.say(&heard.data).await;
        line.end(status).await;
        heard
    })
    .await
}

#[tokio::test]
async fn data_goes_both_ways_and_has_an_end() {
    for status in [None, Some(0)] {
        let stage = ending_with(status).await;
        let large = vec![b'x'; 100_000];
        for data in [&b""[..], b"hello", &large] {
            let got = stage.post("", &chunked(&[data])).await;
            assert_eq!((got.status, got.is_whole, &got.trailer), (200, true, &None));
            assert_eq!(got.body, [b"you said: ", data].concat());
            let heard = stage.heard().await;
            assert_eq!((heard.data.as_slice(), heard.last), (data, Last::End));
        }
        stage.stop().await;
    }
}

#[tokio::test]
async fn an_exit_status_is_a_trailer_or_breaks_the_response_off() {
    for status in [None, Some(0), Some(3), Some(137), Some(-1), Some(i32::MAX)] {
        let stage = ending_with(status).await;
        let [with_trailer, without] = BOTH;
        let got = stage.post(with_trailer, &chunked(&[b"hi"])).await;
        assert!(got.head.contains("trailer: rke-exit-status"), "{}", got.head);
        let expected = Some(status.unwrap_or(0).to_string());
        assert_eq!((got.is_whole, got.trailer, got.body), (true, expected, b"you said: hi".to_vec()));
        let got = stage.post(without, &chunked(&[b"hi"])).await;
        assert!(!got.head.contains("trailer:"), "{}", got.head);
        // All that the command wrote arrives, even if the command failed.
        assert_eq!(got.body, b"you said: hi");
        assert_eq!((got.is_whole, got.trailer), (matches!(status, None | Some(0)), None), "{status:?}");
        stage.stop().await;
    }
}

/// A Content Server that sends these bytes and closes.
async fn saying(whole: impl Fn(&mut Line) -> Vec<u8> + Clone + Send + Sync + 'static) -> Stage {
    saying_until(Arc::new(AtomicUsize::new(usize::MAX)), Close::Fin, whole).await
}

/// Like [`saying`], but sends only the first `len` bytes.
async fn saying_until(
    len: Arc<AtomicUsize>,
    close: Close,
    whole: impl Fn(&mut Line) -> Vec<u8> + Clone + Send + Sync + 'static,
) -> Stage {
    Stage::new(move |mut line: Line| {
        let said = whole(&mut line);
        let len = said.len().min(len.load(Ordering::SeqCst));
        async move {
            line.send(&said[..len]).await;
            line.close(close).await
        }
    })
    .await
}

#[tokio::test]
async fn a_connection_that_is_closed_at_any_byte_before_the_end_is_a_cut() {
    let whole = |line: &mut Line| {
        let data: [&[u8]; 3] = [b"DELETE FROM users ", b"", b"WHERE id = 7"];
        let records = data.map(|data| line.data(data)).concat();
        [records, line.end_record(Some(0))].concat()
    };
    // Each record has a length field, a type and a tag.
    let len = (19 + 18) + 19 + (19 + 12) + (19 + 4);
    for close in [Close::Fin, Close::Reset] {
        let cut_at = Arc::new(AtomicUsize::new(0));
        let stage = saying_until(Arc::clone(&cut_at), close, whole).await;
        for (at, takes) in (0..=len).flat_map(|at| BOTH.map(|takes| (at, takes))) {
            cut_at.store(at, Ordering::SeqCst);
            let got = stage.post(takes, &chunked(&[])).await;
            assert!(!got.is_whole || at == len, "cut at {at} by {close:?}: {got:?}");
            // A reset may overtake what was sent before it.
            assert!(got.is_whole || at < len || close == Close::Reset, "{got:?}");
        }
        stage.stop().await;
    }
}

#[tokio::test]
async fn what_is_not_the_next_record_is_a_cut() {
    let noise = |_: &mut Line| [&[0, 20][..], &[9; 20]].concat();
    let replayed = |line: &mut Line| line.data(b"again").repeat(2);
    let altered = |line: &mut Line| {
        let mut end = line.end_record(None);
        end[3] ^= 1;
        end
    };
    let left_out = |line: &mut Line| {
        let _first = line.data(b"the first");
        line.end_record(Some(0))
    };
    let too_long = |_: &mut Line| vec![0xFF; 70_000];
    let plain = |_: &mut Line| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    type Said = fn(&mut Line) -> Vec<u8>;
    let all: [Said; 6] = [noise, replayed, altered, left_out, too_long, plain];
    for said in all {
        let stage = saying(said).await;
        for takes in BOTH {
            let got = stage.post(takes, &chunked(&[b"data"])).await;
            assert!(got.status == 200 && !got.is_whole, "{got:?}");
        }
        stage.stop().await;
    }
}

#[tokio::test]
async fn a_content_server_that_breaks_off_breaks_the_response_off() {
    use BreakCode::{Deleted, Expired, Idle, NoApplication, Other, Stopping};
    for code in [Deleted, Expired, Stopping, Idle, NoApplication, Other] {
        let said = move |line: &mut Line| [line.data(b"some"), line.break_off(code)].concat();
        let stage = saying(said).await;
        for takes in BOTH {
            let got = stage.post(takes, &chunked(&[])).await;
            assert!(got.status == 200 && !got.is_whole, "{code:?}: {got:?}");
        }
        stage.stop().await;
    }
}

/// A Content Server that only reads.
async fn listening(change: impl FnOnce(&mut Config)) -> Stage {
    let listen = |mut line: Line| async move { line.hear().await };
    Stage::with(listen, change).await
}

#[tokio::test]
async fn a_request_that_is_not_whole_is_never_the_end_of_the_data() {
    let stage = listening(|_| ()).await;
    let whole = chunked(&[b"DELETE FROM users ", b"WHERE id = 7"]);
    for cut_at in 0..whole.len() {
        for close in [Close::Fin, Close::Reset] {
            let mut client = stage.connect().await;
            client
                .write_all(&[head(&stage.id(), "").as_bytes(), &whole[..cut_at]].concat())
                .await
                .expect("sent");
            // An earlier reset would discard the request itself.
            stage.attached().await;
            if close == Close::Reset {
                client.set_zero_linger().expect("set");
            }
            drop(client);
            let heard = timeout(LONG, stage.heard()).await.expect("in time");
            assert_eq!(heard.last, Last::BrokenOff(BreakCode::Other), "cut at {cut_at} by {close:?}");
        }
    }
    // A request that declares more than it sends.
    let mut client = stage.connect().await;
    let declared = head(&stage.id(), "").replace("transfer-encoding: chunked", "content-length: 10");
    client.write_all(format!("{declared}123456789").as_bytes()).await.expect("sent");
    drop(client);
    let heard = stage.heard().await;
    assert_eq!((heard.data.as_slice(), heard.last), (&b"123456789"[..], Last::BrokenOff(BreakCode::Other)));
    stage.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_the_response_has_not_ended() {
    let talk = |mut line: Line| async move {
        line.say(b"the beginning").await;
        line.hear_after_the_end().await
    };
    let stage = Stage::new(talk).await;
    let mut client = stage.connect().await;
    client.write_all(&[head(&stage.id(), "").as_bytes(), &chunked(&[b"all"])].concat()).await.expect("sent");
    assert!(client.read(&mut [0; 10]).await.expect("a response") > 0);
    drop(client);
    let heard = stage.heard().await;
    assert_eq!((heard.data.as_slice(), heard.last), (&b"all"[..], Last::EndThenReset));
    stage.stop().await;
}

/// A request whose body stays open.
async fn open_tunnel(stage: &Stage) -> TcpStream {
    let mut client = stage.connect().await;
    let request = head(&stage.id(), "te: trailers\r\n") + "4\r\nopen\r\n";
    client.write_all(request.as_bytes()).await.expect("sent");
    // The head of the response.
    assert!(client.read(&mut [0; 10]).await.expect("a response") > 0);
    client
}

/// The rest of a response.
async fn rest(mut client: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset counts as a cut too.
    let _ = timeout(LONG, client.read_to_end(&mut rest)).await.expect("a cut");
    rest
}

fn is_cut(rest: &[u8]) -> bool {
    !rest.ends_with(b"0\r\n\r\n")
        && !rest.windows(15).any(|text| text == b"rke-exit-status: ".first_chunk::<15>().expect("long"))
}

#[tokio::test]
async fn a_session_that_is_deleted_cuts_its_tunnels_at_both_ends() {
    let stage = listening(|_| ()).await;
    let (first, second) = (open_tunnel(&stage).await, open_tunnel(&stage).await);
    let deleted = stage
        .request(format!(
            "DELETE {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            routes::DELETE_BY_PATH.with_id(stage.id())
        ))
        .await;
    assert_eq!(answer(&deleted).status, 200);
    for client in [first, second] {
        assert!(is_cut(&rest(client).await));
        let heard = stage.heard().await;
        assert_eq!((heard.data.as_slice(), heard.last), (&b"open"[..], Last::BrokenOff(BreakCode::Deleted)));
    }
    assert_eq!(stage.post("", &chunked(&[])).await.status, 404);
    stage.stop().await;
}

#[tokio::test]
async fn a_session_that_expires_cuts_its_tunnels_at_both_ends() {
    let stage = listening(|_| ()).await;
    let client = open_tunnel(&stage).await;
    stage.set_idle(Duration::from_millis(1));
    assert!(is_cut(&rest(client).await));
    assert_eq!(stage.heard().await.last, Last::BrokenOff(BreakCode::Expired));
    stage.stop().await;
}

#[tokio::test]
async fn whatever_moves_through_a_tunnel_is_a_use_of_its_session() {
    let (say, says) = watch::channel(0);
    let talk = move |mut line: Line| {
        let mut says = says.clone();
        async move {
            for times in 1..=3 {
                says.wait_for(|wanted| *wanted >= times).await.expect("a test");
                line.say(b"down").await;
            }
            line.hear().await
        }
    };
    let stage = Stage::new(talk).await;
    let (mut client, mut got) = (open_tunnel(&stage).await, Vec::new());
    // One use for the connection, one for the first data.
    stage.used(2).await;
    for times in 1..=3 {
        say.send(times).expect("a Content Server");
        while got.windows(4).filter(|data| *data == b"down").count() < times {
            let read = timeout(LONG, client.read_buf(&mut got)).await.expect("in time").expect("read");
            assert!(read > 0, "the tunnel is open");
        }
        stage.used(2 + times as u64).await;
    }
    for times in 1..=3 {
        client.write_all(b"2\r\nup\r\n").await.expect("the tunnel is open");
        stage.used(5 + times).await;
    }
    stage.set_idle(Duration::from_millis(1));
    assert!(is_cut(&rest(client).await));
    let heard = stage.heard().await;
    assert_eq!((heard.data, heard.last), (b"openupupup".to_vec(), Last::BrokenOff(BreakCode::Expired)));
    stage.stop().await;
}

#[tokio::test]
async fn a_daemon_that_stops_says_so_at_both_ends() {
    let Stage { daemon, mut heard, _dir, .. } = {
        let stage = listening(|_| ()).await;
        let client = open_tunnel(&stage).await;
        tokio::spawn(async move { assert!(is_cut(&rest(client).await)) });
        stage
    };
    timeout(LONG, daemon.stop()).await.expect("in time");
    assert_eq!(
        heard.get_mut().recv().await.map(|heard| heard.last),
        Some(Last::BrokenOff(BreakCode::Stopping))
    );
}

#[tokio::test]
async fn the_response_ends_with_the_content_server_also_where_the_client_would_go_on() {
    let stage = Stage::new(|mut line: Line| async move {
        line.say(b"enough").await;
        line.end(Some(2)).await;
        line.hear().await
    })
    .await;
    let mut client = stage.connect().await;
    client
        .write_all((head(&stage.id(), "te: trailers\r\n") + "4\r\nopen\r\n").as_bytes())
        .await
        .expect("sent");
    let mut got = Vec::new();
    while !got.ends_with(b"rke-exit-status: 2\r\n\r\n") {
        let read = timeout(LONG, client.read_buf(&mut got)).await.expect("an end");
        assert!(read.expect("read") > 0, "{}", String::from_utf8_lossy(&got));
    }
    client.write_all(b"4\r\nmore\r\n0\r\n\r\n").await.expect("sent");
    let heard = stage.heard().await;
    assert_eq!((heard.data.as_slice(), heard.last), (&b"openmore"[..], Last::End));
    stage.stop().await;
}

#[tokio::test]
async fn a_content_server_without_the_key_leaves_the_session_as_it_is() {
    let stage = listening(|_| ()).await;
    for (reason, code, text) in [
        (Reason::NoSuchKey, 409, "no longer has this session's key: it has restarted, or"),
        (Reason::Busy, 502, "it refused: it is busy"),
        (Reason::AnotherDomain, 502, "it refused: it does not serve that domain"),
    ] {
        stage.refuse_with(Some(Response::Refused(reason).to_bytes()));
        let got = stage.post("", &chunked(&[b"hi"])).await;
        let body = String::from_utf8_lossy(&got.body);
        assert_eq!(got.status, code, "{body}");
        assert!(body.contains(text) && body.contains(&stage.address.to_string()), "{body}");
        assert!(stage.is_alive(), "{reason}");
        assert!(stage.is_key_gone(), "other reasons say nothing about the key: {reason}");
    }
    stage.refuse_with(None);
    assert!(stage.post("", &chunked(&[b"hi"])).await.status == 200);
    assert!(!stage.is_key_gone());
    stage.stop().await;
}

#[tokio::test]
async fn something_else_in_its_place_is_named_with_host_port_and_reason() {
    let another_program = "the program there is not the Content Server";
    let closed = ["the connection was closed before the response", "no response in time"];
    let accepted = Response::Accepted(vec![7; 1200]).to_bytes();
    for (says, reasons, confirm_timeout) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), [another_program; 2], LONG),
        (accepted, [another_program; 2], LONG),
        // The daemon tries again until its time is over.
        (Vec::new(), closed, Duration::from_millis(300)),
    ] {
        let stage = listening(|config| config.reloadable.confirm_timeout = confirm_timeout).await;
        stage.refuse_with(Some(says));
        let got = stage.post("", &chunked(&[b"hi"])).await;
        let body = String::from_utf8_lossy(&got.body);
        assert_eq!(got.status, 502, "{body}");
        let told = reasons.iter().any(|reason| body.contains(reason));
        assert!(told && body.contains(&stage.address.to_string()), "{body}");
        assert!(stage.is_alive());
        stage.stop().await;
    }
}

#[tokio::test]
async fn http_that_cannot_show_a_cut_has_no_tunnel() {
    let stage = listening(|_| ()).await;
    let old = format!(
        "POST {} HTTP/1.0\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n",
        routes::TUNNEL.with_id(stage.id())
    );
    let got: Answer = answer(&stage.request(old).await);
    assert_eq!(got.status, 505, "{got:?}");
    stage.stop().await;
}

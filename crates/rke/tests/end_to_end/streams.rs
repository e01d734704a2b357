//! Bodies that take long: memory use stays small, a slow reader holds up the sender, a session that ends breaks off
//! its streams at once, and clients that hang up or stall do no harm.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use tokio::time::timeout;

use crate::real::Real;
use crate::support::{PATIENCE, Stage, again, config, expire, raw};
use crate::wire::{Pieces, data, finish, pieces, post, send};

const PIECE: usize = 64 * 1024;

/// A stream in progress: the sender of the request body, and the response.
struct Stream {
    sender: Pieces,
    answer: Response<Incoming>,
}

impl Stream {
    /// Begins a stream. It sends a first piece, because no response begins before that.
    async fn try_to_begin(address: SocketAddr, path: &str, id: &str) -> Self {
        let (mut sender, body) = pieces();
        sender.send_data(data(PIECE).into()).await.expect("the first piece");
        let target = format!("/api/rke/{path}");
        let headers = [("x-rke-session", id)];
        let answer = timeout(PATIENCE, send(address, "POST", &target, &headers, body)).await;
        let answer = answer.expect("an answer before the end of the body").expect("an answer");
        Self { sender, answer }
    }

    /// Begins a stream, and checks that the daemon takes it.
    async fn begin(address: SocketAddr, path: &str, id: &str) -> Self {
        let stream = Self::try_to_begin(address, path, id).await;
        assert_eq!(stream.answer.status(), 200);
        stream
    }

    /// Sends another piece and reads the result.
    async fn go_on(&mut self) {
        self.sender.send_data(data(PIECE).into()).await.expect("sent");
        self.read(PIECE).await;
    }

    async fn read(&mut self, mut len: usize) {
        while len > 0 {
            let frame = self.answer.frame().await.expect("more").expect("whole");
            len = len.saturating_sub(frame.into_data().expect("data").len());
        }
    }
}

fn memory_in_kib(process: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("a line");
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().expect("a number")
}

fn sockets_of(process: u32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).expect("a process");
    let target = |file: std::io::Result<std::fs::DirEntry>| std::fs::read_link(file.ok()?.path()).ok();
    files.filter_map(target).filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// Waits until a condition holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends `count` pieces and reads all that comes back. Returns the length of the response.
async fn run(address: SocketAddr, path: &str, id: &str, count: usize) -> u64 {
    let (mut sender, body) = pieces();
    let piece = Bytes::from(data(PIECE));
    let feed = tokio::spawn(async move {
        for _ in 0..count {
            sender.send_data(piece.clone()).await.expect("taken");
        }
    });
    let target = format!("/api/rke/{path}");
    let mut answer = send(address, "POST", &target, &[("x-rke-session", id)], body).await.expect("an answer");
    let mut len = 0;
    while let Some(frame) = answer.frame().await {
        len += frame.expect("whole").into_data().expect("data").len() as u64;
    }
    feed.await.expect("all was sent");
    len
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_goes_through_in_little_memory() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let sealed = run(real.address, "seal", &id, 16 * 1024).await;
    assert_eq!(sealed, (1 << 30) + 72 + 16 * 16 * 1024);
    assert_eq!(run(real.address, "encrypt", &id, 2 * 1024).await, 1 << 27);
    let most = memory_in_kib(real.process(), "VmHWM");
    assert!(most < 64 * 1024, "{most} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_begins_and_goes_on_while_the_body_comes() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let mut stream = Stream::begin(stage.daemon.address(), "encrypt", &id).await;
    stream.read(PIECE).await;
    // One byte is enough: the daemon does not wait for a whole chunk.
    stream.sender.send_data(Bytes::from_static(b"x")).await.expect("sent");
    timeout(PATIENCE, stream.read(1)).await.expect("it comes back at once");
    let Stream { sender, answer } = stream;
    drop(sender);
    assert!(finish(answer).await.is_whole);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_cannot_send_without_end() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let mut stream = Stream::begin(real.address, "seal", &id).await;
    let mut sent = PIECE as u64;
    let piece = Bytes::from(data(PIECE));
    let fill = async {
        while stream.sender.send_data(piece.clone()).await.is_ok() {
            sent += PIECE as u64;
        }
    };
    assert!(timeout(Duration::from_secs(3), fill).await.is_err(), "it was broken off");
    // The sockets' buffers fill up. After that, nothing more is accepted.
    assert!(sent < 48 << 20, "{sent} bytes were taken");
    let most = memory_in_kib(real.process(), "VmHWM");
    assert!(most < 64 * 1024, "{most} KiB");
    let Stream { sender, answer } = stream;
    drop(sender);
    let reply = finish(answer).await;
    assert!(reply.is_whole && reply.body.len() as u64 > sent, "it goes on where it stood");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_leave_nothing_behind() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    // Lets the process grow to its usual size.
    run(real.address, "encrypt", &id, 32).await;
    let (sockets, memory) = (sockets_of(real.process()), memory_in_kib(real.process(), "VmRSS"));
    for path in ["encrypt", "seal"] {
        for _ in 0..20 {
            let mut streams = Vec::new();
            for _ in 0..5 {
                streams.push(Stream::begin(real.address, path, &id).await);
            }
            assert!(sockets_of(real.process()) > sockets, "they are open");
        }
    }
    until("connections are left", || sockets_of(real.process()) <= sockets).await;
    let now = memory_in_kib(real.process(), "VmRSS");
    assert!(now < memory + 16 * 1024, "{memory} KiB before, {now} KiB after");
    assert_eq!(run(real.address, "encrypt", &id, 3).await, 3 * PIECE as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_session_breaks_its_streams_off_and_does_not_wait_for_them() {
    let stage = Stage::new().await;
    let address = stage.daemon.address();
    for path in ["encrypt", "seal"] {
        let id = stage.create_id().await;
        let mut stream = Stream::begin(address, path, &id).await;
        if path == "encrypt" {
            stream.go_on().await;
        }
        // This stream sends much, and nobody reads its response.
        let mut deaf = Stream::begin(address, path, &id).await;
        let piece = Bytes::from(data(PIECE));
        let fill = async { while deaf.sender.send_data(piece.clone()).await.is_ok() {} };
        assert!(timeout(Duration::from_millis(500), fill).await.is_err(), "it was broken off");
        let asked = Instant::now();
        let target = format!("/api/rke/session/delete?session_id={id}");
        assert_eq!(stage.get(&target).await.status, 200);
        assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
        for Stream { mut sender, answer } in [stream, deaf] {
            // Two pieces, so that the sealer has at least one complete chunk to seal.
            let more = async {
                let _ = sender.send_data(data(PIECE).into()).await;
                let _ = sender.send_data(data(PIECE).into()).await;
                drop(sender);
            };
            let (reply, ()) = tokio::join!(finish(answer), more);
            assert!(!reply.is_whole, "{path}: a complete answer");
        }
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_breaks_its_streams_off() {
    let stage = Stage::new().await;
    let settings = || config(&stage.dir, stage.network.dns_address());
    for path in ["encrypt", "seal"] {
        let id = stage.create_id().await;
        let Stream { mut sender, answer } = Stream::begin(stage.daemon.address(), path, &id).await;
        expire(&stage.daemon, settings()).await;
        again(async || {
            let shown = stage.get(&format!("/api/rke/session/{id}")).await;
            if shown.status == 404 { Ok(()) } else { Err(shown.body) }
        })
        .await;
        stage.daemon.reload(settings()).await.expect("a reload");
        sender.send_data(data(2 * PIECE).into()).await.expect("sent");
        drop(sender);
        assert!(!finish(answer).await.is_whole, "{path}: a complete answer");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_before_its_end_is_no_success() {
    let stage = Stage::new().await;
    let (id, address) = (stage.create_id().await, stage.daemon.address());
    let head = format!("host: localhost\r\nx-rke-session: {id}\r\n");
    for path in ["encrypt", "seal"] {
        let chunked = "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n";
        let answer = raw(address, format!("POST /api/rke/{path} HTTP/1.1\r\n{head}{chunked}")).await;
        assert!(!answer.body.ends_with("0\r\n\r\n"), "{path}: {answer:?}");
    }
    let json = "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n";
    let answer = raw(address, format!("POST /api/rke/encrypt HTTP/1.1\r\n{head}{json}")).await;
    assert_eq!((answer.status, answer.header("connection")), (400, Some("close")), "{answer:?}");
    assert_eq!(post(address, "encrypt", &[("x-rke-session", &id)], data(10)).await.good().len(), 10);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stands_still_loses_its_connection() {
    let stage = Stage::with(|config| config.fixed.body_timeout = Duration::from_secs(1)).await;
    let (id, address) = (stage.create_id().await, stage.daemon.address());
    // No response has begun yet, so the client receives an error.
    for (kind, path, start) in
        [("application/json", "encrypt", "{"), ("a/b", "open", "RKESEAL"), ("a/b", "encrypt", "")]
    {
        let head = format!("POST /api/rke/{path} HTTP/1.1\r\nhost: localhost\r\nx-rke-session: {id}\r\n");
        let asked = Instant::now();
        let body = format!("content-type: {kind}\r\ncontent-length: 100\r\n\r\n{start}");
        let answer = raw(address, head + &body).await;
        assert_eq!((answer.status, answer.json()["code"].as_u64()), (408, Some(408)), "{path}");
        assert!((900..60_000).contains(&asked.elapsed().as_millis()), "{:?}", asked.elapsed());
    }
    // A part of the response has been sent, so it is broken off. A busy machine may take that long for the beginning.
    again(async || {
        let Stream { sender, answer } = Stream::try_to_begin(address, "encrypt", &id).await;
        let has_begun = answer.status() == 200;
        let reply = timeout(PATIENCE, finish(answer)).await.expect("it ends");
        drop(sender);
        assert!(!has_begun || !reply.is_whole, "{} bytes", reply.body.len());
        if has_begun && reply.body.len() == PIECE {
            Ok(())
        } else {
            Err(format!("{} bytes", reply.body.len()))
        }
    })
    .await;
    // A client that reads nothing is cut off as well.
    again(async || {
        let Stream { mut sender, answer } = Stream::try_to_begin(address, "seal", &id).await;
        let piece = Bytes::from(data(PIECE));
        let fill = async { while sender.send_data(piece.clone()).await.is_ok() {} };
        timeout(PATIENCE, fill).await.expect("it is cut off");
        if answer.status() == 200 { Ok(()) } else { Err(answer.status().to_string()) }
    })
    .await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_lasts_as_long_as_it_moves() {
    let stage = Stage::with(|config| config.fixed.body_timeout = Duration::from_secs(1)).await;
    let id = stage.create_id().await;
    again(async || {
        let Stream { mut sender, answer } =
            Stream::try_to_begin(stage.daemon.address(), "encrypt", &id).await;
        let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
        let more = async {
            for _ in 0..10 {
                let last = begun.elapsed();
                tokio::time::sleep(Duration::from_millis(300)).await;
                let _ = sender.send_data(Bytes::from_static(b"x")).await;
                slowest = slowest.max(begun.elapsed() - last);
            }
            drop(sender);
        };
        let (reply, ()) = tokio::join!(finish(answer), more);
        // On a busy machine, a step may take as long as a body may stand still.
        if reply.is_whole && reply.body.len() == PIECE + 10 { Ok(()) } else { Err(format!("{slowest:?}")) }
    })
    .await;
    stage.stop().await;
}

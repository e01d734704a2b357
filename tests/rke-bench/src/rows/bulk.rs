//! A stream of one gibibyte encrypted over loopback, compared with nginx that takes as much in and gives as much
//! out at the same time.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};

use crate::method::{Pace, Side, triples};
use crate::nginx;
use crate::process::Server;
use crate::report::{Figure, Goal};
use crate::sessions::{Id, fill};
use crate::stage::Stage;

const LEN: usize = 1 << 30;
const PIECE: usize = 256 * 1024;

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let daemon = stage.daemon(1)?;
    let mut ids = Vec::new();
    fill(&daemon, &mut ids, 1)?;
    let source = Source::make()?;
    let locations =
        format!("location /sink {{ return 200; }} location /source {{ root {}; }}", source.root());
    let peer = nginx::serving(stage.folder(), &locations)?;
    let triples = triples(
        Pace::LONG,
        |speed| *speed,
        |side| match side {
            Side::Ours => through_daemon(&daemon.server, &ids[0]),
            Side::Peer => through_nginx(&peer),
        },
    )?;
    Ok(vec![Figure {
        name: "stream of 1 GiB encrypted".into(),
        ours: format!("{:.2} GB/s", triples.ours(|speed| *speed) / 1e9),
        peer: format!("nginx in and out {:.2} GB/s", triples.peer(|speed| *speed) / 1e9),
        value: triples.ratio(|speed| *speed),
        goal: Goal::AtLeast(0.9),
        steady: triples.steady,
        plotted: None,
    }])
}

/// The file that nginx serves, from memory.
struct Source(tempfile::TempDir);

impl Source {
    fn make() -> Result<Self> {
        let folder = tempfile::tempdir_in("/dev/shm").context("cannot make a file in /dev/shm")?;
        let mut file = std::fs::File::create(folder.path().join("source"))?;
        let piece = vec![7; PIECE];
        (0..LEN / PIECE).try_for_each(|_| file.write_all(&piece)).context("no room in /dev/shm")?;
        Ok(Self(folder))
    }

    fn root(&self) -> std::path::Display<'_> {
        Path::display(self.0.path())
    }
}

/// One stream: the plaintext goes in while the ciphertext comes out.
fn through_daemon(server: &Server, id: &Id) -> Result<f64> {
    let mut stream = TcpStream::connect(server.address())?;
    let mut answer = stream.try_clone()?;
    let id = String::from_utf8_lossy(id);
    let head = format!(
        "POST /api/rke/encrypt HTTP/1.1\r\nHost: localhost\r\nX-RKE-Session: {id}\r\nContent-Length: \
         {LEN}\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    at_once(
        || {
            stream.write_all(head.as_bytes())?;
            send_body(&mut stream)
        },
        || take_body(&mut answer),
    )
}

/// Two connections: one takes a body in, the other gives one out.
fn through_nginx(server: &Server) -> Result<f64> {
    let mut sink = TcpStream::connect(server.address())?;
    let mut source = TcpStream::connect(server.address())?;
    let head = format!("POST /sink HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LEN}\r\n\r\n");
    at_once(
        || {
            sink.write_all(head.as_bytes())?;
            send_body(&mut sink)?;
            // It answers at once and throws the body away afterwards: when it closes, it has had all.
            sink.shutdown(Shutdown::Write)?;
            let mut answer = Vec::new();
            sink.read_to_end(&mut answer)?;
            ensure!(answer.starts_with(b"HTTP/1.1 200"), "nginx refuses a body");
            Ok(())
        },
        || {
            source.write_all(b"GET /source HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            take_body(&mut source)
        },
    )
}

/// Bytes a second, when both have had theirs.
fn at_once(
    send: impl FnOnce() -> Result<()> + Send,
    take: impl FnOnce() -> Result<()> + Send,
) -> Result<f64> {
    let started = Instant::now();
    std::thread::scope(|scope| {
        let sent = scope.spawn(send);
        take()?;
        sent.join().map_err(|_| anyhow!("the sender panicked"))?
    })?;
    Ok(LEN as f64 / started.elapsed().as_secs_f64())
}

fn send_body(stream: &mut TcpStream) -> Result<()> {
    let piece = vec![7; PIECE];
    (0..LEN / PIECE).try_for_each(|_| stream.write_all(&piece)).context("a body is not taken")
}

/// Reads a response's head, and as many bytes as its body has to have.
fn take_body(stream: &mut TcpStream) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut filled = 0;
    let head_len = loop {
        filled += read(stream, &mut buffer[filled..])?;
        if let Some(at) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") {
            break at + 4;
        }
    };
    ensure!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..filled]));
    let mut left = LEN - (filled - head_len);
    while left > 0 {
        left -= read(stream, &mut buffer)?;
    }
    Ok(())
}

fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Err(anyhow!("an answer was broken off")),
            Ok(read) => return Ok(read),
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => return Err(error.into()),
        }
    }
}

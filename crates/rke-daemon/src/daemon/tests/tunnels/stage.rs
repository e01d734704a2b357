//! A daemon with a session, a Content Server that follows a script, and a client that sees the bytes of HTTP.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rke_engine::model::key_origin::samples;
use rke_engine::model::server_name::ServerName;
use rke_engine::model::session_id::SessionId;
use rke_engine::model::session_key::SessionKey;
use rke_engine::model::viewer::Viewer;
use rke_engine::settings::{Config, Reloadable};
use rke_engine::store::NewSession;
use rke_host::framing::{First, read_first};
use rke_proto::Form;
use rke_proto::directory::Directory;
use rke_proto::handshake::kem::EncapsulationSeeds;
use rke_proto::handshake::keys::attach_psk;
use rke_proto::handshake::record::LEN_LEN;
use rke_proto::handshake::{
    BreakCode, FirstPacket, Grant, KeyId, Record, RecordOpener, RecordSealer, Responder, SessionSecrets,
    Transport,
};
use rke_secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::LONG;
use crate::Daemon;
use crate::http::routes;

const KEY_ID: KeyId = KeyId([5; 16]);

fn key() -> Secret<32> {
    Secret::fill(|key| *key = [7; 32]).expect("secret memory")
}

/// How a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    Fin,
    Reset,
}

/// How a client's direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    End,
    BrokenOff(BreakCode),
    Cut,
    /// The data ended, and then the connection was reset.
    EndThenReset,
    /// Nobody read.
    Unheard,
}

/// The data that the Content Server received from a client, and how it ended.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) data: Vec<u8>,
    pub(super) last: Last,
}

/// The Content Server's side of an attached connection.
pub(super) struct Line {
    stream: TcpStream,
    opener: RecordOpener,
    sealer: RecordSealer,
}

impl Line {
    pub(super) fn data(&mut self, data: &[u8]) -> Vec<u8> {
        self.sealer.data(data).expect("a record")
    }

    pub(super) fn end_record(&mut self, status: Option<i32>) -> Vec<u8> {
        self.sealer.end(status).expect("a record")
    }

    pub(super) fn break_off(&mut self, code: BreakCode) -> Vec<u8> {
        self.sealer.break_off(code, "a reason\x1b").expect("a record")
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        // The daemon may have hung up because of earlier data.
        let _ = self.stream.write_all(bytes).await;
    }

    pub(super) async fn say(&mut self, data: &[u8]) {
        for piece in data.chunks(10_000) {
            let record = self.data(piece);
            self.send(&record).await;
        }
    }

    pub(super) async fn end(&mut self, status: Option<i32>) {
        let record = self.end_record(status);
        self.send(&record).await;
    }

    async fn next(&mut self) -> Option<Record> {
        let mut field = [0; LEN_LEN];
        self.stream.read_exact(&mut field).await.ok()?;
        let mut sealed = vec![0; u16::from_be_bytes(field).into()];
        self.stream.read_exact(&mut sealed).await.ok()?;
        self.opener.open(sealed).ok()
    }

    /// Reads all that the client sends.
    pub(super) async fn hear(&mut self) -> Heard {
        let mut data = Vec::new();
        loop {
            let last = match self.next().await {
                Some(Record::Data(more)) => {
                    data.extend(more);
                    continue;
                }
                Some(Record::End(_)) => Last::End,
                Some(Record::BrokenOff { code, .. }) => Last::BrokenOff(code),
                None => Last::Cut,
            };
            return Heard { data, last };
        }
    }

    /// Like [`Line::hear`], and then waits until the connection is reset.
    pub(super) async fn hear_after_the_end(&mut self) -> Heard {
        let Heard { data, last } = self.hear().await;
        let reset =
            self.stream.read_u8().await.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
        Heard { data, last: if reset && last == Last::End { Last::EndThenReset } else { last } }
    }

    pub(super) async fn close(self, close: Close) -> Heard {
        let Self { mut stream, .. } = self;
        match close {
            Close::Fin => {
                let _ = stream.shutdown().await;
                // With unread data, closing would be a reset.
                let _ = timeout(LONG, stream.read_to_end(&mut Vec::new())).await;
            }
            Close::Reset => stream.set_zero_linger().expect("set"),
        }
        Heard { data: Vec::new(), last: Last::Unheard }
    }
}

type Refusal = Arc<Mutex<Option<Vec<u8>>>>;

pub(super) struct Stage {
    pub(super) daemon: Daemon,
    pub(super) heard: tokio::sync::Mutex<mpsc::UnboundedReceiver<Heard>>,
    attached: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
    pub(super) address: SocketAddr,
    pub(super) _dir: tempfile::TempDir,
    id: SessionId,
    refusal: Refusal,
}

impl Stage {
    pub(super) async fn new<F>(part: impl Fn(Line) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Heard> + Send + 'static,
    {
        Self::with(part, |_| ()).await
    }

    pub(super) async fn with<F>(
        part: impl Fn(Line) -> F + Send + Sync + 'static,
        change: impl FnOnce(&mut Config),
    ) -> Self
    where
        F: Future<Output = Heard> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let ((told, heard), (attach, attached)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let refusal = Refusal::default();
        let part = move |line| {
            let _ = attach.send(());
            part(line)
        };
        tokio::spawn(serve(listener, part, told, Arc::clone(&refusal)));
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = Config::new(dir.path().join("daemon"));
        config.fixed.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0)).into()];
        config.fixed.allow_private_raidas = true;
        change(&mut config);
        let daemon = Daemon::start(config).await.expect("a daemon");
        let id = SessionId::random().expect("random bytes");
        daemon.sessions().insert(id, session(address)).expect("room");
        Self { daemon, heard: heard.into(), attached: attached.into(), address, _dir: dir, id, refusal }
    }

    /// Makes the Content Server send these bytes in place of the handshake, until the next call with `None`.
    pub(super) fn refuse_with(&self, bytes: Option<Vec<u8>>) {
        *self.refusal.lock().expect("unpoisoned") = bytes;
    }

    pub(super) fn id(&self) -> String {
        self.id.to_string()
    }

    pub(super) fn is_alive(&self) -> bool {
        self.daemon.sessions().show_own(self.id).is_some()
    }

    pub(super) fn is_key_gone(&self) -> bool {
        self.daemon.sessions().is_key_gone(self.id)
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.daemon.address()).await.expect("connected")
    }

    /// Everything that comes back for this request.
    pub(super) async fn request(&self, request: impl AsRef<[u8]>) -> Vec<u8> {
        let mut client = self.connect().await;
        client.write_all(request.as_ref()).await.expect("sent");
        let mut got = Vec::new();
        let _ = timeout(LONG, client.read_to_end(&mut got)).await.expect("an end");
        got
    }

    pub(super) async fn post(&self, headers: &str, body: &[u8]) -> Answer {
        answer(&self.request([head(&self.id(), headers).as_bytes(), body].concat()).await)
    }

    /// Returns when the next client has attached.
    pub(super) async fn attached(&self) {
        timeout(LONG, self.attached.lock().await.recv()).await.expect("in time").expect("a client");
    }

    /// Returns when the session has been used that many times.
    pub(super) async fn used(&self, times: u64) {
        // Opening the session counts as a change too.
        let uses = async || self.daemon.sessions().changes(&Viewer::Program).await.sessions - 1;
        let is_used = async {
            while uses().await < times {
                yield_now().await;
            }
        };
        timeout(LONG, is_used).await.expect("in time");
        assert_eq!(uses().await, times);
    }

    /// From now on the session ends when nobody uses it for that long.
    pub(super) fn set_idle(&self, idle: Duration) {
        let config = Reloadable { session_idle: Some(idle), ..Reloadable::default() };
        self.daemon.sessions().change(config, Directory::default(), None);
    }

    /// What the Content Server received from the next client that has gone.
    pub(super) async fn heard(&self) -> Heard {
        self.heard.lock().await.recv().await.expect("a client")
    }

    pub(super) async fn stop(self) {
        self.daemon.stop().await;
    }
}

fn session(address: SocketAddr) -> NewSession {
    let secrets = SessionSecrets { key: key(), resumption: key(), key_id: KEY_ID };
    let (key, _) = SessionKey::of_handshake(secrets, u32::MAX.into()).expect("secret memory");
    let mut origin = samples::origin(Form::Wide);
    origin.server = ServerName { host: address.ip().to_string(), port: address.port() };
    NewSession { origin: Arc::new(origin), page: None, from_cache: false, key }
}

async fn serve<F>(
    listener: TcpListener,
    part: impl Fn(Line) -> F + Send + Sync + 'static,
    told: mpsc::UnboundedSender<Heard>,
    refusal: Refusal,
) where
    F: Future<Output = Heard> + Send + 'static,
{
    let part = Arc::new(part);
    while let Ok((stream, _)) = listener.accept().await {
        let (part, told, refusal) = (Arc::clone(&part), told.clone(), Arc::clone(&refusal));
        tokio::spawn(async move {
            if let Some(line) = accept(stream, &refusal).await {
                let _ = told.send(part(line).await);
            }
        });
    }
}

/// Takes part in a handshake of kind 5. A forget message gets no response.
async fn accept(mut stream: TcpStream, refusal: &Mutex<Option<Vec<u8>>>) -> Option<Line> {
    let First::Handshake(packet) = read_first(&mut stream).await.ok()?? else { return None };
    let FirstPacket::Handshake { raw, message, .. } = FirstPacket::decode(&packet).ok()? else { return None };
    let refusal = refusal.lock().expect("unpoisoned").clone();
    if let Some(bytes) = refusal {
        stream.write_all(&bytes).await.ok()?;
        return None;
    }
    let psk = attach_psk(&key()).expect("secret memory");
    let seeds = EncapsulationSeeds::random().expect("random bytes");
    let (responder, one) = Responder::receive(raw, &psk, message, &seeds).expect("the same key");
    assert_eq!(one.domain.as_deref(), Some("content.rke.test"));
    let (response, accepted) = responder.accept(Grant { resumption: None, lifetime: 60 }).expect("accepted");
    stream.write_all(&response.to_bytes()).await.ok()?;
    let Transport { sealer, opener } = accepted.transport;
    let mut line = Line { stream, opener, sealer };
    // The first record is empty and comes at once, whatever the client has to send.
    assert_eq!(line.next().await, Some(Record::Data(Vec::new())));
    Some(line)
}

/// The head of a tunnel request.
pub(super) fn head(id: &str, headers: &str) -> String {
    format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}transfer-encoding: chunked\r\n\r\n",
        routes::TUNNEL.with_id(id)
    )
}

/// A whole body, in chunks.
pub(super) fn chunked(pieces: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        body.extend(format!("{:x}\r\n", piece.len()).bytes());
        body.extend(*piece);
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\n\r\n");
    body
}

/// A response, as a client that follows HTTP sees it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// Whether the response is complete.
    pub(super) is_whole: bool,
    pub(super) trailer: Option<String>,
}

fn line<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let end = bytes.windows(2).position(|end| end == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    *bytes = &bytes[end + 2..];
    Some(line)
}

pub(super) fn answer(mut bytes: &[u8]) -> Answer {
    let status = line(&mut bytes).and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let mut head = String::new();
    while let Some(header) = line(&mut bytes).filter(|line| !line.is_empty()) {
        head += &header.to_lowercase();
        head += "\n";
    }
    let (mut body, mut trailer) = (Vec::new(), None);
    if !head.contains("transfer-encoding: chunked") {
        return Answer { status, head, body: bytes.to_vec(), is_whole: true, trailer };
    }
    let mut dechunk = || -> Option<()> {
        loop {
            let len = usize::from_str_radix(line(&mut bytes)?, 16).ok()?;
            if len == 0 {
                break;
            }
            body.extend(bytes.get(..len)?);
            bytes = bytes.get(len + 2..)?;
        }
        while let Some(field) = Some(line(&mut bytes)?).filter(|line| !line.is_empty()) {
            trailer = field.strip_prefix("rke-exit-status: ").map(str::to_owned);
        }
        Some(())
    };
    let is_whole = dechunk().is_some();
    Answer { status, head, body, is_whole, trailer }
}

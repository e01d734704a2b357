//! Clients that open, use, renew and delete sessions at random, on any daemon, and use keys at any Content Server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::deployment::{DAEMONS, Deployment, SERVERS};
use super::history::{History, Id, IsForgotten, Outcome, Place, What};
use crate::shared_store::create_target;
use crate::storm::Chance;
use crate::support::{Answer, DOMAIN, PATIENCE, percent};

const CLIENTS: usize = 64;

/// How many of the latest sessions clients choose among, dead ones included.
const KNOWN: usize = 80;

/// The longest that a client thinks. Without it, two processors would be too slow for all, and the store out of reach for some.
const LONGEST_THOUGHT_MS: usize = 250;

const PLAINTEXT: &str = "aGVsbG8=";

/// A session that clients have heard of.
#[derive(Clone)]
struct Session {
    id: Id,
    key_id: String,
    /// What was encrypted in it: query parameters of a decryption.
    encrypted: Option<String>,
}

/// All clients, and what they know.
pub(super) struct Clients {
    deployment: Arc<Deployment>,
    history: Arc<History>,
    latest: Mutex<Vec<Session>>,
    /// Those that may come back.
    suspects: Mutex<Vec<Session>>,
}

impl Clients {
    /// Starts them. They go on until the history is over.
    pub(super) fn start(
        deployment: &Arc<Deployment>,
        history: &Arc<History>,
    ) -> (Arc<Self>, Vec<JoinHandle<()>>) {
        let clients = Arc::new(Self {
            deployment: Arc::clone(deployment),
            history: Arc::clone(history),
            latest: Mutex::default(),
            suspects: Mutex::default(),
        });
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_nanos() as u64;
        println!("the clients' seed is {seed}");
        let client = |number| {
            let (clients, mut chance) = (Arc::clone(&clients), Chance::from(seed + number as u64));
            tokio::spawn(async move {
                while !clients.history.is_over() {
                    sleep(Duration::from_millis(chance.below(LONGEST_THOUGHT_MS) as u64)).await;
                    clients.step(&mut chance).await;
                }
            })
        };
        let running = (0..CLIENTS).map(client).collect();
        (clients, running)
    }

    /// All that are known now may come back.
    pub(super) fn suspect_all(&self) {
        // In the order in which a client chooses.
        let latest = lock(&self.latest);
        lock(&self.suspects).extend(latest.iter().cloned());
    }

    async fn step(&self, chance: &mut Chance) {
        let daemon = chance.below(DAEMONS);
        let chosen = self.choose(chance);
        match (chance.below(1000), chosen) {
            (0..250, _) | (_, None) => self.create(daemon).await,
            (250..255, _) => self.delete_all(daemon, chance).await,
            (255..275, _) => self.count(daemon).await,
            (275..375, Some(session)) => self.delete(daemon, &session, chance).await,
            (375..425, Some(session)) => {
                let renew = format!("session/{}/renew", session.id);
                self.use_at(Place::Daemon(daemon), "POST", &renew, &session.id).await;
            }
            (425..475, Some(session)) => {
                let show = format!("session/{}", session.id);
                self.use_at(Place::Daemon(daemon), "GET", &show, &session.id).await;
            }
            (475..550, Some(session)) => self.use_at_server(chance.below(SERVERS), &session).await,
            (550..650, Some(Session { id, encrypted: Some(encrypted), .. })) => {
                self.decrypt(daemon, &id, &encrypted).await;
            }
            (_, Some(session)) => self.encrypt(daemon, &session).await,
        }
    }

    fn choose(&self, chance: &mut Chance) -> Option<Session> {
        let (latest, suspects) = (lock(&self.latest), lock(&self.suspects));
        let among = if chance.below(4) == 0 && !suspects.is_empty() { &suspects } else { &latest };
        (!among.is_empty()).then(|| among[chance.below(among.len())].clone())
    }

    async fn create(&self, daemon: usize) {
        let begin = self.history.now();
        let target = create_target(&self.deployment.site);
        let created = self.deployment.ask(Place::Daemon(daemon), "GET", &target).await;
        let text = |name: &str| {
            let created = created.as_ref().filter(|created| created.status == 200)?;
            created.json()[name].as_str().map(ToOwned::to_owned)
        };
        let id = text("session_id").map(Id::from);
        self.history.note(Place::Daemon(daemon), What::Create(id.clone()), begin, judge(created.as_ref()));
        let Some(id) = id else { return };
        let show = format!("session/{id}");
        let shown = self.use_at(Place::Daemon(daemon), "GET", &show, &id).await;
        let Some(shown) = shown else { return };
        let key_id = shown["key_id"].as_str().expect("a key id").to_owned();
        let mut latest = lock(&self.latest);
        if latest.len() >= KNOWN {
            latest.remove(0);
        }
        latest.push(Session { id, key_id, encrypted: None });
    }

    async fn encrypt(&self, daemon: usize, session: &Session) {
        let target = format!("encrypt?session_id={}&plaintext={}", session.id, percent(PLAINTEXT));
        let Some(body) = self.use_at(Place::Daemon(daemon), "GET", &target, &session.id).await else {
            return;
        };
        let part = |name: &str| percent(body[name].as_str().expect("a text"));
        let encrypted = format!("ciphertext={}&nonce={}", part("ciphertext"), part("nonce"));
        if let Some(known) = lock(&self.latest).iter_mut().find(|known| known.id == session.id) {
            known.encrypted = Some(encrypted);
        }
    }

    async fn decrypt(&self, daemon: usize, id: &Id, encrypted: &str) {
        let begin = self.history.now();
        let target = format!("decrypt?session_id={id}&{encrypted}");
        if let Some(body) = self.use_at(Place::Daemon(daemon), "GET", &target, id).await
            && body["plaintext"] != PLAINTEXT
        {
            let strange = Outcome::Strange(body.to_string());
            self.history.note(Place::Daemon(daemon), What::Use(Id::clone(id)), begin, strange);
        }
    }

    /// At its other end.
    async fn use_at_server(&self, server: usize, session: &Session) {
        let target = format!("encrypt?session_id={}&plaintext={}", session.key_id, percent(PLAINTEXT));
        self.use_at(Place::Server(server), "GET", &target, &session.id).await;
    }

    /// Uses a session. Returns the body of a success.
    async fn use_at(&self, place: Place, method: &str, target: &str, id: &Id) -> Option<Value> {
        let begin = self.history.now();
        let used = self.deployment.ask(place, method, &format!("/api/rke/{target}")).await;
        self.history.note(place, What::Use(Id::clone(id)), begin, judge(used.as_ref()));
        used.filter(|used| used.status == 200).map(|used| used.json())
    }

    /// Deletes a session, and tries at once to use it everywhere if that has succeeded.
    async fn delete(&self, daemon: usize, session: &Session, chance: &mut Chance) {
        let (begin, id) = (self.history.now(), &session.id);
        let is_everywhere = chance.below(2) == 0;
        let (method, target) = match is_everywhere {
            true => ("DELETE", format!("/api/rke/session/{id}?everywhere=true")),
            false => ("GET", format!("/api/rke/session/delete?session_id={id}")),
        };
        let deleted = self.deployment.ask(Place::Daemon(daemon), method, &target).await;
        let is_forgotten = match &deleted {
            Some(deleted) if deleted.status == 200 && deleted.json()["remote"] == "forgotten" => {
                IsForgotten::Yes
            }
            _ => IsForgotten::NotProven,
        };
        let what = What::Delete(Id::clone(id), is_forgotten);
        self.history.note(Place::Daemon(daemon), what, begin, judge(deleted.as_ref()));
        if deleted.is_none_or(|deleted| deleted.status != 200) {
            return;
        }
        for daemon in 0..DAEMONS {
            self.encrypt(daemon, session).await;
        }
        if is_everywhere {
            for server in 0..SERVERS {
                self.use_at_server(server, session).await;
            }
        }
    }

    async fn delete_all(&self, daemon: usize, chance: &mut Chance) {
        let begin = self.history.now();
        let of_domain = format!("/api/rke/sessions?domain={DOMAIN}");
        let target = chance.of(&["/api/rke/sessions", of_domain.as_str(), "/api/rke/sessions?forget=true"]);
        let deleted = self.deployment.ask(Place::Daemon(daemon), "DELETE", target).await;
        self.history.note(Place::Daemon(daemon), What::DeleteAll, begin, judge(deleted.as_ref()));
    }

    async fn count(&self, daemon: usize) {
        let begin = self.history.now();
        let listed = self.deployment.ask(Place::Daemon(daemon), "GET", "/api/rke/sessions").await;
        let count = number(listed.as_ref(), "total");
        self.history.note(Place::Daemon(daemon), What::Count(count), begin, judge(listed.as_ref()));
    }
}

fn number(answer: Option<&Answer>, name: &str) -> usize {
    let number = answer.filter(|answer| answer.status == 200).and_then(|answer| answer.json()[name].as_u64());
    number.map_or(0, |number| usize::try_from(number).expect("a count"))
}

/// What a response means to a client.
fn judge(answer: Option<&Answer>) -> Outcome {
    let Some(answer) = answer else { return Outcome::NoResponse };
    match answer.status {
        200 => Outcome::Done,
        404 => Outcome::NotFound,
        429 => Outcome::Refused,
        503 => Outcome::Unavailable(answer.body.clone()),
        // A Content Server without its store, or with one that is new.
        502 if ["it is busy", "cannot reach what it shares"]
            .iter()
            .any(|part| answer.body.contains(part)) =>
        {
            Outcome::Unavailable(answer.body.clone())
        }
        status => Outcome::Strange(format!("{status} {}", answer.body)),
    }
}

impl Deployment {
    /// Sends a request. `None` if the connection ends without a response.
    pub(super) async fn ask(&self, place: Place, method: &str, target: &str) -> Option<Answer> {
        let request = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let exchange = async {
            match place {
                Place::Daemon(daemon) => {
                    exchange(TcpStream::connect(self.address(daemon)).await, request).await
                }
                Place::Server(server) => {
                    exchange(UnixStream::connect(self.socket(server)).await, request).await
                }
            }
        };
        let text = timeout(PATIENCE, exchange).await.ok()?.ok()?;
        text.contains("\r\n\r\n").then(|| Answer::parse(&text))
    }
}

async fn exchange(
    stream: std::io::Result<impl AsyncReadExt + AsyncWriteExt + Unpin>,
    request: String,
) -> std::io::Result<String> {
    let mut stream = stream?;
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

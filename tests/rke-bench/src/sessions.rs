//! Sessions of a daemon by the thousand, and requests that are about them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;

use crate::answer::Answer;
use crate::load::{Generator, Load, Requests};
use crate::stage::{Daemon, get};

pub(crate) const ID_LEN: usize = 32;

/// A session's id as it is written.
pub(crate) type Id = [u8; ID_LEN];

/// A web page may open 200 sessions at once and 50 a second, so a crowd of pages opens them. The daemon tells
/// 1024 of them apart.
const ORIGINS: usize = 1000;
const FIRST_PORT: usize = 10_000;

/// The text that precedes an id.
const BEFORE_ID: &[u8] = b"\"session_id\":\"";

/// Opens sessions from the daemon's key cache.
pub(crate) struct Creations<'a> {
    /// The request before and after the port of the page's origin.
    request: (String, &'static str),
    left: usize,
    page: usize,
    ids: &'a mut Vec<Id>,
    refused: usize,
}

impl<'a> Creations<'a> {
    pub(crate) fn new(daemon: &Daemon, count: usize, ids: &'a mut Vec<Id>) -> Self {
        let plain = get(&daemon.create);
        let before = format!("{}\r\nOrigin: http://localhost:", plain.trim_end());
        Self { request: (before, "\r\n\r\n"), left: count, page: 0, ids, refused: 0 }
    }

    /// Has another page than the first open the first session.
    pub(crate) fn begin_at(&mut self, page: usize) {
        self.page = page % ORIGINS;
    }
}

impl Requests for Creations<'_> {
    fn add(&mut self, out: &mut Vec<u8>) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.page = (self.page + 1) % ORIGINS;
        out.extend(self.request.0.as_bytes());
        out.extend((FIRST_PORT + self.page).to_string().as_bytes());
        out.extend(self.request.1.as_bytes());
        true
    }

    fn take(&mut self, answer: &Answer<'_>) -> Result<()> {
        match answer.status {
            200 => self.ids.push(id_in(answer.body)?),
            429 => self.refused += 1,
            status => bail!("no session opens: {status} {}", String::from_utf8_lossy(answer.body)),
        }
        Ok(())
    }
}

fn id_in(body: &[u8]) -> Result<Id> {
    let at = memmem::find(body, BEFORE_ID).context("an answer without a session")? + BEFORE_ID.len();
    let id = body.get(at..at + ID_LEN).and_then(|id| id.try_into().ok());
    id.context("a session without an id")
}

/// Opens sessions until that many ids exist.
pub(crate) fn fill(daemon: &Daemon, ids: &mut Vec<Id>, wanted: usize) -> Result<()> {
    // Few are opened over few connections, for each takes memory.
    let connections = (wanted / 1000).clamp(1, Load::USUAL.connections);
    let load = Load { connections, depth: 8, time: Duration::MAX };
    while ids.len() < wanted {
        let mut creations = Creations::new(daemon, wanted - ids.len(), ids);
        Generator::connect(&daemon.server, load.connections)?.run(load, &mut creations)?;
        let (refused, opened) = (creations.refused, ids.len());
        ensure!(refused == 0 || opened < wanted, "more sessions than were asked for");
        if refused > 0 {
            // The daemon opens no more for these pages just now.
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    Ok(())
}

/// Opens that many sessions, one hundred after the other at an even pace.
pub(crate) fn fill_evenly(daemon: &Daemon, count: usize, over: Duration) -> Result<Vec<Id>> {
    const AT_ONCE: usize = 100;
    let mut ids = Vec::with_capacity(count);
    let mut generator = Generator::connect(&daemon.server, 10)?;
    let load = Load { depth: 10, connections: 10, time: Duration::MAX };
    let steps = count / AT_ONCE;
    let started = Instant::now();
    for step in 0..steps {
        let due = over.mul_f64(step as f64 / steps as f64);
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        let mut creations = Creations::new(daemon, AT_ONCE, &mut ids);
        creations.begin_at(step * AT_ONCE);
        generator.run(load, &mut creations)?;
    }
    ensure!(ids.len() * 20 >= count * 19, "only {} of {count} sessions were opened", ids.len());
    Ok(ids)
}

/// A request about a session: what stands before its id, and what after it.
pub(crate) struct Template {
    before: String,
    after: String,
}

impl Template {
    pub(crate) fn delete() -> Self {
        Self::new("/api/rke/session/delete", "")
    }

    pub(crate) fn encrypt(plaintext: &str) -> Self {
        Self::new("/api/rke/encrypt", &format!("&plaintext={plaintext}"))
    }

    fn new(path: &str, parameters: &str) -> Self {
        Self {
            before: format!("GET {path}?session_id="),
            after: format!("{parameters} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        }
    }

    pub(crate) fn about(&self, id: &Id) -> String {
        let mut request = Vec::new();
        self.add(id, &mut request);
        String::from_utf8_lossy(&request).into_owned()
    }

    fn add(&self, id: &Id, out: &mut Vec<u8>) {
        out.extend(self.before.as_bytes());
        out.extend(id);
        out.extend(self.after.as_bytes());
    }
}

/// The request for each session in turn, over and over.
pub(crate) struct InTurn<'a> {
    template: &'a Template,
    ids: std::iter::Cycle<std::slice::Iter<'a, Id>>,
    left: usize,
}

impl<'a> InTurn<'a> {
    pub(crate) fn new(template: &'a Template, ids: &'a [Id]) -> Self {
        Self { template, ids: ids.iter().cycle(), left: usize::MAX }
    }

    /// Ends after that many.
    pub(crate) fn take_only(self, left: usize) -> Self {
        Self { left, ..self }
    }
}

impl Requests for InTurn<'_> {
    fn add(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(id) = self.ids.next().filter(|_| self.left > 0) else { return false };
        self.left -= 1;
        self.template.add(id, out);
        true
    }

    fn take(&mut self, answer: &Answer<'_>) -> Result<()> {
        succeeded(answer)
    }
}

/// The request once for each session, which is taken from the end of the list.
pub(crate) struct OnceEach<'a> {
    pub(crate) template: &'a Template,
    pub(crate) ids: &'a mut Vec<Id>,
}

impl Requests for OnceEach<'_> {
    fn add(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(id) = self.ids.pop() else { return false };
        self.template.add(&id, out);
        true
    }

    fn take(&mut self, answer: &Answer<'_>) -> Result<()> {
        succeeded(answer)
    }
}

fn succeeded(answer: &Answer<'_>) -> Result<()> {
    ensure!(answer.status == 200, "{} {}", answer.status, String::from_utf8_lossy(answer.body));
    Ok(())
}

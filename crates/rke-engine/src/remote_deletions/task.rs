//! The two tasks: one asks Content Servers to forget, the other keeps the file up to date.

use std::sync::Arc;
use std::time::Duration;

use rke_proto::handshake::packet::Forget;
use rke_proto::handshake::{KeyId, Response};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::queue::{Pauses, Tried};
use super::{DeletionContext, RemoteDeletion};
use crate::blocking::spawn_blocking;
use crate::contact::server::{ContactError, ask_on};
use crate::contact::with_each;
use crate::exchange::Exchange;
use crate::model::clock::unix_seconds;

/// The longest sleep. Lifetimes end by the time of day, which may be changed meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How long to wait, and which clock to use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) pauses: Pauses,
    /// From a change of the file to the moment when it is synced to the disk.
    pub(super) sync_after: Duration,
    /// Until the next try to write a file that could not be written.
    pub(super) retry_file_after: Duration,
    /// The clock by which lifetimes end.
    pub(super) unix_seconds: fn() -> u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            pauses: Pauses { first: Duration::from_secs(1), longest: Duration::from_secs(300) },
            sync_after: Duration::from_secs(1),
            retry_file_after: Duration::from_secs(30),
            unix_seconds,
        }
    }
}

/// Requests the deletions, several at one time. Never returns.
pub(super) async fn ask(shared: Arc<DeletionContext>) {
    let mut running = JoinSet::new();
    loop {
        shared.give_up_what_is_over();
        while let Some(deletion) = shared.next() {
            let exchange = Arc::clone(&shared.exchange);
            running.spawn(async move {
                let ended = ask_one(&exchange, &deletion).await;
                (deletion, ended)
            });
        }
        let wakes_at = shared.wakes_at();
        tokio::select! {
            Some(ended) = running.join_next() => match ended {
                Ok((deletion, ended)) => shared.ended(&deletion, ended),
                // It neither panics nor is aborted while this task runs.
                Err(error) => tracing::error!(%error, "a deletion at a Content Server broke off"),
            },
            () = shared.new.notified() => (),
            () = sleep_until(wakes_at) => (),
        }
    }
}

/// Asks a Content Server once, at each of its addresses until one has the proof.
async fn ask_one(exchange: &Exchange, deletion: &RemoteDeletion) -> Result<(), ContactError> {
    let RemoteDeletion { id, token, proof, server, .. } = deletion;
    let packet = &Forget { id: *id, token: *token }.to_bytes();
    let work = |_, mut stream| async move {
        match ask_on(&mut stream, packet).await? {
            Response::Forgotten { id: of, proof: shown } if of == *id && shown.matches(proof) => Ok(()),
            Response::Refused(reason) => Err(ContactError::Refused(reason)),
            _ => Err(ContactError::AnotherProgram),
        }
    };
    let asked = with_each(exchange.dialer_at(server), None, exchange.time_limits(), work).await;
    asked.map(|_| ()).map_err(|unreached| unreached.error)
}

/// Brings the file up to date after changes. Never returns.
pub(super) async fn keep_file(shared: Arc<DeletionContext>) {
    loop {
        shared.written.notified().await;
        sleep(shared.timing.sync_after).await;
        let work = Arc::clone(&shared);
        let is_well = spawn_blocking(move || work.keep_file()).await;
        if !is_well.unwrap_or(false) {
            sleep(shared.timing.retry_file_after).await;
            shared.written.notify_one();
        }
    }
}

impl DeletionContext {
    fn next(&self) -> Option<RemoteDeletion> {
        self.lock().queue.next(Instant::now())
    }

    fn wakes_at(&self) -> Instant {
        let now = Instant::now();
        let wakes_at = self.lock().queue.wakes_at((now, (self.timing.unix_seconds)()));
        wakes_at.unwrap_or(now + LONGEST_SLEEP).min(now + LONGEST_SLEEP)
    }

    fn give_up_what_is_over(&self) {
        let mut state = self.lock();
        let over = state.queue.take_over((self.timing.unix_seconds)());
        if over.is_empty() {
            return;
        }
        over.iter().for_each(|deletion| state.file.done(deletion.id));
        let counts = state.counts();
        drop(state);
        self.written.notify_one();
        self.tell(true);
        for RemoteDeletion { id, server, .. } in over {
            let id = KeyId(id);
            tracing::warn!(%id, %server, "the Content Server never confirmed a deletion; the key's lifetime is over");
            self.journal.remote_deletion_given_up(id, &server, counts);
            self.done(id.0);
        }
    }

    fn ended(&self, deletion: &RemoteDeletion, ended: Result<(), ContactError>) {
        let tried = match &ended {
            Ok(()) => Tried::Proven,
            Err(ContactError::Connection(_)) => Tried::Unreachable,
            Err(_) => Tried::Unproven,
        };
        let mut state = self.lock();
        let in_a_row = state.queue.ended(&deletion.id, tried, Instant::now());
        if ended.is_ok() {
            state.confirm(deletion.id, Instant::now());
        }
        let counts = state.counts();
        drop(state);
        let (id, server) = (KeyId(deletion.id), &deletion.server);
        let is_proven = ended.is_ok();
        match ended {
            Ok(()) => {
                tracing::info!(%id, %server, "the Content Server has wiped a key or a resumption");
                self.journal.remote_deletion_confirmed(id, server, counts);
                self.done(deletion.id);
                self.written.notify_one();
            }
            Err(error) if in_a_row == 1 => {
                tracing::warn!(%id, %server, %error, "the Content Server has not confirmed a deletion; it is asked again");
            }
            Err(error) => tracing::debug!(%id, %server, %error, in_a_row, "a deletion is not confirmed"),
        }
        self.tell(is_proven);
    }
}

//! The thread that writes the audit log, in the order of the messages. Once a second, if something is new, it makes
//! the file durable and copies its last line.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Counts;
use super::event::{Entry, Event, Kind, Mark};
use super::file::LogFile;
use super::key::AuditTags;
use super::lost::LostFile;

/// How long lines may go without a copy of the last one, and how long events of one kind are collected in one line.
const PERIOD: Duration = Duration::from_secs(1);

/// Messages to the thread.
pub(super) enum Message<E> {
    Happened(Entry<E>),
    TagWith(AuditTags),
    Reopen,
    Close,
}

/// The state of the thread.
pub(super) struct Writer<E> {
    file: LogFile,
    lost: LostFile,
    counts: Arc<Counts>,
    /// The kinds that already have a line in this period, each with what stands for further events of it.
    collected: BTreeMap<Kind, Option<E>>,
    /// The end of the current period, if there is one.
    period_ends: Option<Instant>,
}

impl<E: Event> Writer<E> {
    pub(super) fn new(file: LogFile, lost: LostFile, counts: Arc<Counts>) -> Self {
        Self { file, lost, counts, collected: BTreeMap::new(), period_ends: None }
    }

    /// Writes until it gets the message to close, or all senders are gone.
    pub(super) fn run(mut self, messages: &Receiver<Message<E>>) {
        loop {
            match self.next(messages) {
                Ok(Message::Happened(entry)) => {
                    self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
                    self.happened(entry);
                }
                Ok(Message::TagWith(tags)) => self.file.tag_with(tags),
                Ok(Message::Reopen) => self.report("reopened", |file| file.reopen()),
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => (),
            }
            if self.period_ends.is_some_and(|end| end <= Instant::now()) {
                self.end_period();
            }
        }
        self.end_period();
    }

    fn next(&self, messages: &Receiver<Message<E>>) -> Result<Message<E>, RecvTimeoutError> {
        match self.period_ends {
            Some(end) => messages.recv_timeout(end.saturating_duration_since(Instant::now())),
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn happened(&mut self, entry: Entry<E>) {
        self.period_ends.get_or_insert_with(|| Instant::now() + PERIOD);
        if let Some(kind) = entry.event.kind_to_collect() {
            // A page that sends thousands of requests must not fill the disk.
            if let Some(more) = self.collected.get_mut(&kind) {
                match more {
                    Some(more) => more.collect(entry.event),
                    None => *more = Some(entry.event),
                }
                return;
            }
            self.collected.insert(kind, None);
        }
        if entry.event.is_last() {
            self.end_period();
        }
        self.write(&entry);
    }

    fn end_period(&mut self) {
        self.period_ends = None;
        for event in std::mem::take(&mut self.collected).into_values().flatten() {
            self.write(&Entry::now(event));
        }
        if self.tell_lost().is_err() {
            self.period_ends = Some(Instant::now() + PERIOD);
        }
        self.report("made durable", |file| file.keep());
        self.keep_lost();
    }

    /// Writes a line. A line that cannot be written is counted as lost, and the program goes on; the log reports the
    /// loss as soon as it can.
    fn write(&mut self, entry: &Entry<impl Serialize>) {
        let was_failing = self.counts.untold() > 0;
        if let Err(error) = self.tell_lost().and_then(|()| self.file.append(entry)) {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            if !was_failing {
                let path = self.file.path().display();
                tracing::error!(%path, %error, "the audit log cannot be written: events are LOST until it can");
                self.keep_lost();
            }
        }
    }

    fn tell_lost(&mut self) -> io::Result<()> {
        let count = self.counts.untold();
        if count > 0 {
            self.file.append(&Entry::now(Mark::LinesLost { count }))?;
            self.counts.told.fetch_add(count, Ordering::Relaxed);
            tracing::warn!(count, "the audit log is written again; it lacks events");
        }
        Ok(())
    }

    /// Keeps the number of events that the log has not reported, for the next start.
    fn keep_lost(&mut self) {
        if let Err(error) = self.lost.set(self.counts.untold()) {
            tracing::error!(%error, "a restart will not know how many events the audit log has lost");
        }
    }

    fn report(&mut self, what: &str, work: impl FnOnce(&mut LogFile) -> io::Result<()>) {
        if let Err(error) = work(&mut self.file) {
            tracing::error!(path = %self.file.path().display(), %error, "the audit log cannot be {what}");
        }
    }
}

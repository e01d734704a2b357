//! The connection to the store: one for each node, shared by all requests, made again by one task with growing pauses and
//! jitter. Every request is answered within [`BUDGET`], whatever the store does.

pub(crate) mod address;
mod connect;
mod diagnosis;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::address::{AddressError, Addresses};
use self::connect::{Connection, Pushes, connect};
use crate::error::Outage;
use crate::scripts::Script;

/// The longest that a request takes, so that a client has its answer within a second.
const BUDGET: Duration = Duration::from_millis(800);

/// The pauses between attempts to connect, before the jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The connection, which its task keeps up.
pub(crate) struct Link {
    state: watch::Receiver<Result<Numbered, Outage>>,
    broken: Arc<watch::Sender<u64>>,
    whose: String,
    task: JoinHandle<()>,
}

/// A connection and its number, so that only the first report of its loss counts.
#[derive(Clone)]
struct Numbered {
    number: u64,
    connection: Connection,
}

impl Link {
    /// Starts to connect. `on_push` receives the messages of the channel. While there is no connection, messages are lost.
    pub(crate) fn open(
        addresses: Addresses,
        channel: Vec<u8>,
        on_push: impl Fn(redis::PushInfo) + Send + Sync + 'static,
    ) -> Result<Self, AddressError> {
        let infos = addresses.parse()?;
        let whose = infos.iter().map(|info| info.addr().to_string()).collect::<Vec<_>>().join(", ");
        let (sender, state) = watch::channel(Err(Outage::NotConnected(whose.clone())));
        let broken = Arc::new(watch::Sender::new(0));
        let keeper = Keeper {
            addresses,
            infos,
            channel,
            pushes: Arc::new(on_push),
            state: sender,
            broken: broken.subscribe(),
            whose: whose.clone(),
        };
        Ok(Self { state, broken, whose, task: tokio::spawn(keeper.run()) })
    }

    /// Why there is no connection now, if there is none.
    pub(crate) fn outage(&self) -> Option<Outage> {
        self.state.borrow().as_ref().err().cloned()
    }

    /// Runs a script on the partition with this prefix.
    ///
    /// # Errors
    /// [`Outage`], within [`BUDGET`].
    pub(crate) async fn run(&self, script: &Script, prefix: &[u8], args: &[&[u8]]) -> Result<Value, Outage> {
        let deadline = Instant::now() + BUDGET;
        let call = |name: &str, code: &str| {
            let mut cmd = redis::cmd(name);
            cmd.arg(code).arg(1).arg(prefix);
            for arg in args {
                cmd.arg(*arg);
            }
            cmd
        };
        match self.send(&call("EVALSHA", &script.hash), deadline).await {
            Err(Failure::NoScript) => {
                self.send(&call("EVAL", &script.text), deadline).await.map_err(Failure::outage)
            }
            sent => sent.map_err(Failure::outage),
        }
    }

    /// Runs a command.
    ///
    /// # Errors
    /// As [`Link::run`].
    pub(crate) async fn command(&self, cmd: &Cmd) -> Result<Value, Outage> {
        self.send(cmd, Instant::now() + BUDGET).await.map_err(Failure::outage)
    }

    async fn send(&self, cmd: &Cmd, deadline: Instant) -> Result<Value, Failure> {
        let Numbered { number, mut connection } = self.connection(deadline).await?;
        match timeout_at(deadline, connection.req_packed_command(cmd)).await {
            Ok(Ok(Value::ServerError(error))) => Err(self.judge(error.into(), number)),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.judge(error, number)),
            Err(_) => {
                self.report(number);
                Err(Failure::Outage(Outage::Unconfirmed))
            }
        }
    }

    /// The connection, once there is one.
    async fn connection(&self, deadline: Instant) -> Result<Numbered, Failure> {
        let mut state = self.state.clone();
        // One that is reported as broken is still there until its keeper has noticed.
        let works =
            |up: &Result<Numbered, Outage>| up.as_ref().is_ok_and(|up| up.number > *self.broken.borrow());
        let waited = timeout_at(deadline, state.wait_for(works)).await.is_ok();
        match self.state.borrow().clone() {
            Ok(up) if waited => Ok(up),
            // It is known to be broken.
            Ok(_) => Err(Failure::Outage(Outage::NotConnected(self.whose.clone()))),
            Err(outage) => Err(Failure::Outage(outage)),
        }
    }

    /// What an error means. A connection that may not work any longer is made again.
    fn judge(&self, error: RedisError, number: u64) -> Failure {
        let refused =
            || Failure::Outage(Outage::Refused(error.code().unwrap_or("an error without a code").to_owned()));
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::NoScript) => Failure::NoScript,
            // Demoted, or not promoted yet: Sentinels and clusters know another primary.
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => {
                self.report(number);
                refused()
            }
            ErrorKind::Server(_) | ErrorKind::Extension => refused(),
            _ => {
                self.report(number);
                Failure::Outage(Outage::Unconfirmed)
            }
        }
    }

    fn report(&self, number: u64) {
        self.broken.send_if_modified(|broken| {
            let is_first = *broken < number;
            *broken = number.max(*broken);
            is_first
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Failure {
    /// The store does not have the script yet.
    NoScript,
    Outage(Outage),
}

impl Failure {
    fn outage(self) -> Outage {
        match self {
            Self::NoScript => Outage::Unintelligible,
            Self::Outage(outage) => outage,
        }
    }
}

/// The task that keeps the connection up.
struct Keeper {
    addresses: Addresses,
    infos: Vec<ConnectionInfo>,
    channel: Vec<u8>,
    pushes: Pushes,
    state: watch::Sender<Result<Numbered, Outage>>,
    broken: watch::Receiver<u64>,
    whose: String,
}

impl Keeper {
    async fn run(mut self) {
        let numbers = AtomicU64::new(0);
        loop {
            let connection = self.connect().await;
            let number = numbers.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::info!(store = %self.whose, "connected to the store");
            let _ = self.state.send_replace(Ok(Numbered { number, connection }));
            if self.broken.wait_for(|broken| *broken >= number).await.is_err() {
                return;
            }
            tracing::warn!(store = %self.whose, "lost the connection to the store");
            let _ = self.state.send_replace(Err(Outage::NotConnected(self.whose.clone())));
        }
    }

    /// Tries until it succeeds, one attempt at a time.
    async fn connect(&self) -> Connection {
        let mut pause = FIRST_PAUSE;
        let mut reported = None;
        loop {
            let attempt = connect(&self.addresses, &self.infos, &self.pushes, &self.channel);
            // Several addresses may each take their time.
            let attempt = timeout(Duration::from_secs(5), attempt).await;
            let outage = match attempt {
                Ok(Ok(connection)) => return connection,
                Ok(Err(outage)) => outage,
                Err(_) => Outage::NotConnected(self.whose.clone()),
            };
            if reported.as_ref() != Some(&outage) {
                tracing::warn!(store = %self.whose, reason = %outage, "cannot connect to the store");
                reported = Some(outage.clone());
            }
            let _ = self.state.send_replace(Err(outage));
            sleep(jitter(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Between half of the pause and all of it, so that nodes do not come back all at once.
fn jitter(pause: Duration) -> Duration {
    let mut random = [0; 2];
    // Without random bytes, all nodes wait for the same time.
    let _ = getrandom::fill(&mut random);
    pause / 2 + pause / 2 * u32::from(u16::from_be_bytes(random)) / u32::from(u16::MAX)
}

#[cfg(test)]
pub(crate) mod tests;

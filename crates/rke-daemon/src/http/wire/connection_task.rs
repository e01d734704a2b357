//! Serves one connection: frequent requests directly, all others with hyper, which gets the connection for
//! as long as it needs it. Every wait for the client is bounded in time, but
//! for that of a tunnel.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode};
use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rke_engine::model::clock::Moment;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::body_timeout::{BodyTimeout, Stage};
use super::delivery::{LastOpened, Refusable};
use super::hyper_io::{Given, HyperIo, closing_answer};
use super::outgoing::Outgoing;
use super::response_tracker::ResponseTracker;
use super::waiting::{End, Waiting};
use crate::http::fast::dispatcher::Dispatcher;
use crate::http::fast::fast_path::{Next, Unread};
use crate::http::gate::caller::Caller;

/// How long a client may take to send a request's head, and how long it may idle.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may go on sending after it has been answered for the last time.
const LINGER: Duration = Duration::from_secs(1);

/// A connection that is served.
pub(super) struct ConnectionTask<S> {
    pub(super) stream: S,
    pub(super) caller: Caller,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) body_timeout: BodyTimeout,
    pub(super) stop: watch::Receiver<bool>,
}

impl<S: AsyncRead + AsyncWrite + Refusable + Unpin + Send + 'static> ConnectionTask<S> {
    /// Serves until one of both ends it.
    pub(super) async fn run(self) {
        let Self { mut stream, caller, dispatcher, body_timeout, stop } = self;
        let shared = Arc::new(Shared { caller, dispatcher, body_timeout });
        let mut direct = Direct::new(Arc::clone(&shared), stop.clone());
        loop {
            let (lead, given) = match direct.run(&mut stream).await {
                Turned::Over(lead, given) => (lead, given),
                Turned::Closed(status) => {
                    let stopping = *stop.borrow();
                    return close(stream, status, stopping).await;
                }
            };
            // hyper's part is large: apart, it takes no memory where all requests are frequent ones, or none comes.
            let by_hyper = serve_by_hyper(stream, (lead, given), Arc::clone(&shared), stop.clone());
            match Box::pin(by_hyper).await {
                Some(back) => stream = back,
                None => return,
            }
        }
    }
}

/// What all requests of a connection have in common.
struct Shared {
    caller: Caller,
    dispatcher: Arc<Dispatcher>,
    body_timeout: BodyTimeout,
}

/// How the direct part of a connection ended.
enum Turned {
    /// hyper is to go on.
    Over(BytesMut, Given),
    /// There is no more to do but to say this, where somebody waits for an answer.
    Closed(Option<StatusCode>),
}

/// The part of a connection that goes without hyper.
struct Direct {
    shared: Arc<Shared>,
    unread: Unread,
    outgoing: Outgoing,
    waiting: Waiting,
    /// When the last answer was given.
    idle_since: Instant,
}

impl Direct {
    fn new(shared: Arc<Shared>, stop: watch::Receiver<bool>) -> Self {
        let waiting = Waiting::new(HEADER_TIMEOUT, stop);
        let unread = Unread::new(shared.dispatcher.fast_path);
        let (outgoing, idle_since) = (Outgoing::new(), Instant::now());
        Self { shared, unread, outgoing, waiting, idle_since }
    }

    /// Answers frequent requests until another one comes.
    async fn run(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Turned {
        self.idle_since = Instant::now();
        self.waiting.renew(self.idle_since);
        let shared = Arc::clone(&self.shared);
        let Shared { caller, dispatcher, .. } = &*shared;
        loop {
            let outgoing = &mut self.outgoing;
            let coming =
                self.unread.next(|call, asked| dispatcher.answer_frequent(call, asked, caller, outgoing));
            // Answers that are there do not wait for one that may take long, or for a client to go on.
            if !matches!(coming, Next::Answered(_)) && !self.write(stream).await {
                return Turned::Closed(None);
            }
            match coming {
                Next::Answered(answered) => {
                    self.idle_since = Instant::from_std(answered.at);
                    self.waiting.renew(self.idle_since);
                    let waits = answered.goes_on && !self.outgoing.is_full();
                    let is_out = waits || self.write(stream).await;
                    if !answered.goes_on || !is_out {
                        return Turned::Closed(None);
                    }
                }
                Next::Single(head) if self.unread.is_empty() => return Turned::Over(head, Given::Single),
                Next::Single(head) => return Turned::Over(head, Given::SingleOfSeveral),
                Next::Open(all) => return Turned::Over(all, Given::Connection),
                Next::Unclear => return Turned::Closed(Some(StatusCode::BAD_REQUEST)),
                Next::Unfinished => {
                    if let Some(turned) = self.read(stream).await {
                        return turned;
                    }
                }
            }
        }
    }

    /// Writes what waits. Says whether the client took it: something of it at least each time that it would
    /// have to send a head.
    async fn write(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> bool {
        let mut rest = self.outgoing.bytes();
        while !rest.is_empty() {
            match self.waiting.in_time(stream.write(rest)).await {
                Ok(Ok(len)) if len == rest.len() => break,
                Ok(Ok(len)) if len > 0 => rest = &rest[len..],
                _ => return false,
            }
            self.waiting.renew(Instant::now());
        }
        self.outgoing.clear();
        matches!(self.waiting.in_time(stream.flush()).await, Ok(Ok(())))
    }

    /// Reads on. Gives how it ends, where it does.
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Option<Turned> {
        let place = &self.shared.caller.place;
        place.is_idle_since(self.idle_since);
        let read = self.waiting.or_stop(self.unread.read(stream)).await;
        place.is_busy();
        let has_begun = !self.unread.is_empty();
        match read {
            Ok(Ok(len)) if len > 0 => None,
            Ok(_) => Some(Turned::Closed(None)),
            Err(End::Overdue) => Some(Turned::Closed(has_begun.then_some(StatusCode::REQUEST_TIMEOUT))),
            Err(End::Stopped) if has_begun => Some(Turned::Over(self.unread.take(), Given::Connection)),
            Err(End::Stopped) => Some(Turned::Closed(None)),
        }
    }
}

/// How the serving of a connection by hyper ended.
enum Ended {
    /// By HTTP's rules, or because it broke.
    Over(hyper::Result<()>),
    /// A body stood still.
    Still(Stage),
}

/// Has hyper serve what it is given. Gives the stream back where the connection goes on.
async fn serve_by_hyper<S>(
    stream: S,
    (lead, given): (BytesMut, Given),
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Refusable + Unpin + Send + 'static,
{
    let (body_timeout, tracker, opened) = (
        shared.body_timeout.clone(),
        ResponseTracker::new(Arc::clone(&shared.caller.place)),
        LastOpened::default(),
    );
    let sessions = Arc::clone(&shared.dispatcher.sessions);
    let last = opened.clone();
    let stream = HyperIo::new(stream, lead, given, body_timeout.clone(), tracker.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, tracker, last) = (Arc::clone(&shared), tracker.clone(), last.clone());
        // At once: hyper looks whether the client has gone before it waits for the answer.
        let request = tracker.hear(request);
        Box::pin(async move {
            let Shared { caller, dispatcher, body_timeout } = &*shared;
            let answer = dispatcher.answer(request, caller, body_timeout).await;
            last.note(&answer);
            Ok::<_, Infallible>(tracker.follow(answer))
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // hyper looks for a next request when it has answered only where this is set: `HyperIo` needs that
        // to take the connection back.
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut still = pin!(body_timeout.runs_out());
    let mut stopping = false;
    let ended = loop {
        if stopping {
            Pin::new(&mut connection).graceful_shutdown();
        }
        let run = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx));
        tokio::select! {
            // hyper first: it ends a connection of which it has read nothing yet when it is told to stop.
            biased;
            ended = run => break Ended::Over(ended),
            stage = &mut still => break Ended::Still(stage),
            _ = stop.changed(), if !stopping => stopping = true,
        }
    };
    let stream = connection.into_parts().io.into_inner();
    if let Some(id) = opened.get().filter(|_| stream.is_refused()) {
        // It may have ended by itself.
        let _ = sessions.end(id, Moment::now());
    }
    let stream = match stream.back() {
        Ok(stream) => return Some(stream),
        Err(stream) => stream,
    };
    let timed_out = match ended {
        Ended::Over(ended) => ended.is_err_and(|error| error.is_timeout()) && stream.has_unanswered_bytes(),
        Ended::Still(Stage::Asked) => true,
        // Half an answer is out: nothing but the end of the connection can be added to it.
        Ended::Still(Stage::Answered) => return None,
    };
    close(stream, timed_out.then_some(StatusCode::REQUEST_TIMEOUT), stopping).await;
    None
}

/// Ends a connection, after this answer if somebody waits for one.
async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin, status: Option<StatusCode>, stopping: bool) {
    let end = async {
        if let Some(status) = status {
            stream.write_all(&closing_answer(status)).await?;
        }
        stream.shutdown().await
    };
    // A client that takes nothing cannot be told anything either.
    let ended = timeout(LINGER, end).await;
    if matches!(ended, Ok(Ok(()))) && !stopping {
        let _ = timeout(LINGER, read_away(stream)).await;
    }
}

/// Reads until the client has closed too: closing on bytes that nobody has read would make the
/// system throw away the answer to them.
async fn read_away(mut stream: impl AsyncRead + Unpin) {
    let mut bytes = vec![0; 16 * 1024];
    while stream.read(&mut bytes).await.is_ok_and(|len| len > 0) {}
}

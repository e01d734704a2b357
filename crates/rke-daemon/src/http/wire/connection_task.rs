//! Serves one connection: frequent requests directly, all others with hyper, which gets the connection for as long
//! as it needs it. Every wait for the client has a time limit, except in a tunnel.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode};
use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::delivery::{LastOpened, Refusable};
use super::hyper_io::{Given, HyperIo, closing_answer};
use super::response_tracker::ResponseTracker;
use super::waiting::{End, Waiting};
use crate::http::fast::dispatcher::Dispatcher;
use crate::http::fast::fast_path::{Next, Unread};
use crate::http::gate::caller::Caller;
use crate::http::message::body_timeout::BodyTimeout;
use crate::http::message::outgoing::Outgoing;

/// How long a client may take to send a request's head, and how long it may idle.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may be silent after its last response, before the connection closes.
const LINGER: Duration = Duration::from_secs(1);

/// How long a client may keep sending after its last response. One that sends all of a large body before it reads learns
/// only then that it was refused.
const LONGEST_LINGER: Duration = Duration::from_secs(10);

/// A connection that is served.
pub(super) struct ConnectionTask<S> {
    pub(super) stream: S,
    pub(super) caller: Caller,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) body_timeout: BodyTimeout,
    pub(super) stop: watch::Receiver<bool>,
}

impl<S: AsyncRead + AsyncWrite + Refusable + Unpin + Send + 'static> ConnectionTask<S> {
    /// Serves until the client or the daemon ends the connection.
    pub(super) async fn run(self) {
        let Self { mut stream, caller, dispatcher, body_timeout, stop } = self;
        let context = Arc::new(ConnectionContext { caller, dispatcher, body_timeout });
        let mut direct = Direct::new(Arc::clone(&context), stop.clone());
        loop {
            let (lead, given) = match direct.run(&mut stream).await {
                Turned::Over(lead, given) => (lead, given),
                Turned::Closed(status) => {
                    let stopping = *stop.borrow();
                    let answer = status.map(|status| closing_answer(status, &context.dispatcher.observer));
                    return close(stream, answer, stopping).await;
                }
            };
            // hyper's future is large. Boxed, it takes no memory on connections that have only frequent requests or
            // none.
            let by_hyper = serve_by_hyper(stream, (lead, given), Arc::clone(&context), stop.clone());
            match Box::pin(by_hyper).await {
                Some(back) => stream = back,
                None => return,
            }
        }
    }
}

/// The parts that all requests of a connection share.
struct ConnectionContext {
    caller: Caller,
    dispatcher: Arc<Dispatcher>,
    body_timeout: BodyTimeout,
}

/// How the direct part of a connection ended.
enum Turned {
    /// hyper takes over.
    Over(BytesMut, Given),
    /// The connection closes, after a response with this status if somebody waits for one.
    Closed(Option<StatusCode>),
}

/// The part of a connection that is served without hyper.
struct Direct {
    context: Arc<ConnectionContext>,
    unread: Unread,
    outgoing: Outgoing,
    waiting: Waiting,
    /// When the last response was ready.
    idle_since: Instant,
}

impl Direct {
    fn new(context: Arc<ConnectionContext>, stop: watch::Receiver<bool>) -> Self {
        let waiting = Waiting::new(HEADER_TIMEOUT, stop);
        let unread = Unread::new(context.dispatcher.fast_path);
        let (outgoing, idle_since) = (Outgoing::new(), Instant::now());
        Self { context, unread, outgoing, waiting, idle_since }
    }

    /// Serves frequent requests until another one arrives.
    async fn run(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Turned {
        self.idle_since = Instant::now();
        self.waiting.renew(self.idle_since);
        let context = Arc::clone(&self.context);
        let ConnectionContext { caller, dispatcher, .. } = &*context;
        loop {
            let outgoing = &mut self.outgoing;
            let coming =
                self.unread.next(|call, asked| dispatcher.answer_frequent(call, asked, caller, outgoing));
            // Responses that are ready do not wait for one that may take long, or for the client to send more.
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

    /// Writes the bytes that wait. Returns whether the client took them. It must take at least something within
    /// each period that it would have for sending a head.
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

    /// Reads more. Returns how the direct part ends, if it does.
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Option<Turned> {
        let place = &self.context.caller.place;
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

/// How hyper stopped serving a connection.
enum Ended {
    /// By the rules of HTTP, or because the connection broke.
    Over(hyper::Result<()>),
    /// The client stalled in the middle of a response. Only the end of the connection can follow it.
    Stuck,
}

impl Ended {
    /// Whether half a response is sent, and the client has taken nothing of the rest for too long.
    fn is_stuck(&self) -> bool {
        let timed_out = |error: &hyper::Error| {
            let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
            cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
        };
        match self {
            Self::Stuck => true,
            Self::Over(ended) => ended.as_ref().is_err_and(timed_out),
        }
    }
}

/// Lets hyper serve what it is given. Returns the stream if the connection continues.
async fn serve_by_hyper<S>(
    stream: S,
    (lead, given): (BytesMut, Given),
    context: Arc<ConnectionContext>,
    mut stop: watch::Receiver<bool>,
) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Refusable + Unpin + Send + 'static,
{
    let (body_timeout, tracker, opened) = (
        context.body_timeout.clone(),
        ResponseTracker::new(Arc::clone(&context.caller.place)),
        LastOpened::default(),
    );
    let (sessions, observer) =
        (context.dispatcher.sessions.clone(), Arc::clone(&context.dispatcher.observer));
    let last = opened.clone();
    let stream =
        HyperIo::new(stream, lead, given, body_timeout.clone(), tracker.clone(), Arc::clone(&observer));
    let service = service_fn(move |request: Request<Incoming>| {
        let (context, tracker, last) = (Arc::clone(&context), tracker.clone(), last.clone());
        // Right away, because hyper checks whether the client has gone before it waits for the response.
        let request = tracker.follow_request(request);
        Box::pin(async move {
            let ConnectionContext { caller, dispatcher, body_timeout } = &*context;
            let answer = dispatcher.answer(request, caller, body_timeout).await;
            last.note(&answer);
            Ok::<_, Infallible>(tracker.follow(answer))
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // hyper looks for the next request after a response only if this is set. `HyperIo` needs that to take the
        // connection back.
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut stuck = pin!(body_timeout.runs_out());
    let mut stopping = false;
    let ended = loop {
        if stopping {
            Pin::new(&mut connection).graceful_shutdown();
        }
        let run = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx));
        tokio::select! {
            // Poll hyper first: when it is told to stop, it ends a connection from which it has read nothing yet.
            biased;
            ended = run => break Ended::Over(ended),
            () = &mut stuck => break Ended::Stuck,
            _ = stop.changed(), if !stopping => stopping = true,
        }
    };
    if ended.is_stuck() {
        tracing::warn!(
            "a client neither read its response nor sent anything for as long as --body-timeout allows, and its connection \
             was closed; a client that sends all of a large raw body before it reads gets stuck (docs/api.md, Bodies)"
        );
    }
    let stream = connection.into_parts().io.into_inner();
    if let Some((sessions, id)) = sessions.zip(opened.get()).filter(|_| stream.is_refused()) {
        // The session may have ended by itself.
        let _ = sessions.finish(id).await;
    }
    let stream = match stream.back() {
        Ok(stream) => return Some(stream),
        Err(stream) => stream,
    };
    let timed_out = match ended {
        Ended::Over(ended) => ended.is_err_and(|error| error.is_timeout()) && stream.has_unanswered_bytes(),
        Ended::Stuck => return None,
    };
    let answer = timed_out.then(|| closing_answer(StatusCode::REQUEST_TIMEOUT, &observer));
    close(stream, answer, stopping).await;
    None
}

/// Ends a connection, after this response if somebody waits for one.
async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Option<Vec<u8>>, stopping: bool) {
    let end = async {
        if let Some(answer) = answer {
            stream.write_all(&answer).await?;
        }
        stream.shutdown().await
    };
    // A client that takes nothing cannot get a response either.
    let ended = timeout(LINGER, end).await;
    if matches!(ended, Ok(Ok(()))) && !stopping {
        let _ = timeout(LONGEST_LINGER, read_away(stream)).await;
    }
}

/// Reads until the client has closed too. If the daemon closed with unread bytes, the system would discard the
/// response.
async fn read_away(mut stream: impl AsyncRead + Unpin) {
    let mut bytes = vec![0; 16 * 1024];
    while matches!(timeout(LINGER, stream.read(&mut bytes)).await, Ok(Ok(len)) if len > 0) {}
}

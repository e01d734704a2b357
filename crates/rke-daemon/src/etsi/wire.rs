//! Connections of SAEs: how they come in, who they are, and the time that they have.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rke_proto::export::etsi::SaeId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::answer::Answerer;
use super::delivered::Delivered;
use super::refusal::Refusal;
use super::{End, EtsiListener, request, sae};
use crate::http::gate::AdmissionRules;
use crate::tls::Acceptor;

/// The most connections at one time; more wait.
const MOST_CONNECTIONS: usize = 256;

/// How long a TLS handshake, the head of a request and its body may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long requests may go on once the server has been told to stop.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// The longest body: that of a request for as many keys as one may name is a tenth of it.
const MOST_BODY: usize = 64 * 1024;

/// How SAEs come in.
pub(super) enum Way {
    /// Over plain HTTP from this machine, all as this one.
    Plain(SaeId),
    /// Over TLS, each with a certificate. Only these are served, if there are any.
    Tls { acceptor: Arc<Acceptor>, saes: Vec<SaeId> },
}

/// Who sends the requests of a connection.
enum Caller {
    /// The only one that there is.
    Local(SaeId),
    /// The one that its certificate names, if it has one that does.
    Certified(Option<SaeId>),
    /// One with a certificate that is not among those that are served.
    Unserved,
}

/// The running interface. It runs until [`EtsiServer::stop`].
pub struct EtsiServer {
    address: SocketAddr,
    pub(super) acceptor: Option<Arc<Acceptor>>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl EtsiServer {
    /// Serves SAEs from the sessions of this end.
    pub(super) fn start<E: End>(listener: EtsiListener, end: Arc<E>, delivered: Arc<Delivered>) -> Self {
        let EtsiListener { listener, address, way } = listener;
        let acceptor = match &way {
            Way::Plain(_) => None,
            Way::Tls { acceptor, .. } => Some(Arc::clone(acceptor)),
        };
        let (stop, stopped) = watch::channel(false);
        let answerer = Arc::new(Answerer::new(end, delivered));
        let server = tokio::spawn(serve(listener, Arc::new(way), answerer, stopped));
        Self { address, acceptor, stop, server }
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops within a second.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.server.await;
    }
}

async fn serve<E: End>(
    listener: TcpListener,
    way: Arc<Way>,
    answerer: Arc<Answerer<E>>,
    mut stop: watch::Receiver<bool>,
) {
    let (room, mut connections) = (Arc::new(Semaphore::new(MOST_CONNECTIONS)), JoinSet::new());
    loop {
        let accept = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, permit)
        };
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => (),
            (accepted, permit) = accept => match accepted {
                Ok((stream, _)) => {
                    let (way, answerer, stop) = (Arc::clone(&way), Arc::clone(&answerer), stop.clone());
                    connections.spawn(async move {
                        receive(stream, &way, answerer, stop).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept the connection of an SAE");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(STOP_TIMEOUT, finish).await;
    connections.shutdown().await;
}

async fn receive<E: End>(
    stream: TcpStream,
    way: &Way,
    answerer: Arc<Answerer<E>>,
    stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    match way {
        Way::Plain(sae) => talk(stream, Caller::Local(sae.clone()), answerer, stop).await,
        Way::Tls { acceptor, saes } => match timeout(PATIENCE, acceptor.current().accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let sae = certificates.and_then(|chain| sae::named_by(chain.first()?));
                talk(stream, Caller::with_certificate(sae, saes), answerer, stop).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "the TLS connection of an SAE was refused"),
            Err(_) => tracing::debug!("the TLS handshake of an SAE took too long"),
        },
    }
}

async fn talk<E: End>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    caller: Caller,
    answerer: Arc<Answerer<E>>,
    mut stop: watch::Receiver<bool>,
) {
    let caller = Arc::new(caller);
    let service = service_fn(move |request: Request<Incoming>| {
        let (caller, answerer) = (Arc::clone(&caller), Arc::clone(&answerer));
        async move { Ok::<_, Infallible>(respond(&caller, &answerer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stop.changed(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn respond<E: End>(
    caller: &Caller,
    answerer: &Answerer<E>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let answered = async {
        let sae = caller.admit(&request)?.clone();
        let (head, body) = request.into_parts();
        let body = read(body).await?;
        let query = head.uri.query().unwrap_or_default();
        let wanted = request::read(&head.method, head.uri.path(), query, &body)?;
        answerer.answer(&sae, wanted).await
    };
    match answered.await {
        Ok(body) => response(StatusCode::OK, body.into_bytes()),
        Err(refusal) => {
            tracing::info!(status = refusal.status().as_u16(), "the request of an SAE was refused");
            response(refusal.status(), refusal.to_json().into())
        }
    }
}

fn response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    match timeout(PATIENCE, Limited::new(body, MOST_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Refusal::body(StatusCode::PAYLOAD_TOO_LARGE, "the body is over 64 KiB"))
        }
        Ok(Err(_)) => Err(Refusal::bad("the body broke off")),
        Err(_) => Err(Refusal::body(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    }
}

impl Caller {
    fn with_certificate(sae: Option<SaeId>, served: &[SaeId]) -> Self {
        match sae {
            Some(sae) if !served.is_empty() && !served.contains(&sae) => Self::Unserved,
            sae => Self::Certified(sae),
        }
    }

    /// The SAE that sends a request.
    fn admit<B>(&self, request: &Request<B>) -> Result<&SaeId, Refusal> {
        match self {
            Self::Certified(Some(sae)) => Ok(sae),
            Self::Certified(None) => Err(Refusal::unauthorized(
                "an SAE shows who it is by a certificate with its ID as the common name",
            )),
            Self::Unserved => Err(Refusal::unauthorized(
                "this key server does not serve the SAE of that certificate: --etsi-sae names those that it serves",
            )),
            // Any page in a browser on this machine could send a request.
            Self::Local(sae) => {
                AdmissionRules::for_programs().judge(request).map_err(Refusal::gate)?;
                Ok(sae)
            }
        }
    }
}

//! A guardian: a web server whose response a test chooses, over TCP or TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::{ALL_VERSIONS, ServerConfig, SupportedProtocolVersion};

/// A response, head and body. If it is empty, the server waits for another one to send.
pub(crate) type Response = String;

/// A web server. Dropping it stops it and breaks off its connections.
pub(crate) struct Site {
    address: SocketAddr,
    host: &'static str,
    is_tls: bool,
    path: &'static str,
    says: watch::Sender<Response>,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Site {
    /// A server without TLS.
    pub(crate) async fn plain(says: Response) -> Self {
        Self::new("127.0.0.1", None, "/host.txt", says).await
    }

    /// A server with a certificate at `host`, which must resolve to this machine.
    pub(crate) async fn with_tls(
        host: &'static str,
        acceptor: TlsAcceptor,
        path: &'static str,
        says: Response,
    ) -> Self {
        Self::new(host, Some(acceptor), path, says).await
    }

    async fn new(host: &'static str, tls: Option<TlsAcceptor>, path: &'static str, says: Response) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (says, asked) = (watch::Sender::new(says), Arc::<AtomicUsize>::default());
        let is_tls = tls.is_some();
        let task = tokio::spawn(serve(listener, tls, path, says.subscribe(), Arc::clone(&asked)));
        Self { address, host, is_tls, path, says, asked, task }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}:{}{}", self.host, self.address.port(), self.path)
    }

    /// Sets the response from now on.
    pub(crate) fn say(&self, says: Response) {
        self.says.send_replace(says);
    }

    /// How many requests the server has received.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    path: &'static str,
    says: watch::Receiver<Response>,
    asked: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, says, asked) = (tls.clone(), says.clone(), Arc::clone(&asked));
        connections.spawn(async move {
            match tls {
                None => answer(stream, path, says, &asked).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => answer(stream, path, says, &asked).await,
                    Err(_) => None,
                },
            }
        });
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
    mut says: watch::Receiver<Response>,
    asked: &AtomicUsize,
) -> Option<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    asked.fetch_add(1, Ordering::SeqCst);
    assert!(request.starts_with(format!("GET {path} HTTP/1.1\r\n").as_bytes()), "another request");
    let says = says.wait_for(|says| !says.is_empty()).await.ok()?.clone();
    stream.write_all(says.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

/// The response of a web server that has the file.
pub(crate) fn found(body: &str) -> Response {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Accepts TLS connections with a certificate for this name.
    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        self.acceptor_of(params(name), ALL_VERSIONS)
    }

    /// The same with a certificate that has expired.
    pub(crate) fn expired_acceptor(&self, name: &str) -> TlsAcceptor {
        let mut expired = params(name);
        expired.not_after = date_time_ymd(2000, 1, 1);
        self.acceptor_of(expired, ALL_VERSIONS)
    }

    /// The same as an older web server, with TLS 1.2 only.
    pub(crate) fn old_acceptor(&self, name: &str) -> TlsAcceptor {
        self.acceptor_of(params(name), &[&TLS12])
    }

    fn acceptor_of(
        &self,
        params: CertificateParams,
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let chain =
            vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_protocol_versions(versions).expect("versions").with_no_client_auth();
        let config = config.with_single_cert(chain, key).expect("a configuration");
        TlsAcceptor::from(Arc::new(config))
    }
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.into()]).expect("parameters")
}

//! SAEs that ask for keys by ETSI GS QKD 014, over plain HTTP or over TLS. Each keeps its connection open, so that a scan finds
//! what the connection's buffers hold.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

/// The host that the certificates of the key servers name.
const HOST: &str = "localhost";

/// A key that was made by ETSI GS QKD 014.
#[derive(PartialEq, Eq)]
pub(crate) struct EtsiKey {
    id: String,
    pub(crate) key: Vec<u8>,
}

trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

/// An SAE with an open connection to its key server.
pub(crate) struct Sae(BufReader<Box<dyn Connection>>);

/// Certificates of both key servers and of their SAEs, signed by one authority.
pub(crate) struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Sae {
    /// One that its key server knows without a certificate.
    pub(crate) fn plain(server: SocketAddr) -> Result<Self> {
        Ok(Self::on(connect(server)?))
    }

    fn on(connection: impl Connection + 'static) -> Self {
        Self(BufReader::new(Box::new(connection)))
    }

    /// Makes three keys that are shared with an SAE at the other end.
    pub(crate) fn make_keys(&mut self, slave: &str) -> Result<Vec<EtsiKey>> {
        self.keys(&format!("{slave}/enc_keys?number=3&size=512"))
    }

    /// Fetches keys that an SAE at the other end has made. They must be the same.
    pub(crate) fn fetch_keys(&mut self, master: &str, made: &[EtsiKey]) -> Result<()> {
        let ids: Vec<String> = made.iter().map(|key| format!("key_ID={}", key.id)).collect();
        let fetched = self.keys(&format!("{master}/dec_keys?{}", ids.join("&")))?;
        ensure!(fetched == made, "the two ends have different keys");
        Ok(())
    }

    fn keys(&mut self, target: &str) -> Result<Vec<EtsiKey>> {
        let answer = self.ask(target)?;
        let keys = answer["keys"].as_array().context("no keys")?.iter();
        keys.map(|key| {
            let text = |field: &str| key[field].as_str().with_context(|| format!("a key without {field}"));
            Ok(EtsiKey { id: text("key_ID")?.to_owned(), key: STANDARD.decode(text("key")?)? })
        })
        .collect()
    }

    fn ask(&mut self, target: &str) -> Result<Value> {
        write!(self.0.get_mut(), "GET /api/v1/keys/{target} HTTP/1.1\r\nhost: {HOST}\r\n\r\n")?;
        let (mut is_ok, mut length) = (None, None);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            let line = line.trim_end();
            is_ok.get_or_insert(line == "HTTP/1.1 200 OK");
            match line.split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = Some(value.parse()?)
                }
                Some(_) => (),
                None if line.is_empty() => break,
                None => (),
            }
        }
        let mut body = vec![0; length.context("no length")?];
        self.0.read_exact(&mut body)?;
        ensure!(is_ok == Some(true), "{}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }
}

fn connect(server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(server).context("cannot reach the key server")?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    Ok(stream)
}

impl Certificates {
    /// Puts those of the key servers into a folder.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let certificates = Self { authority, folder: folder.to_owned() };
        let (certificate, key) = certificates.issue(vec![HOST.to_owned()], "A key server")?;
        for (file, pem) in
            [("ca", certificates.authority.pem()), ("cert", certificate.pem()), ("key", key.serialize_pem())]
        {
            fs::write(certificates.file(file), pem)?;
        }
        Ok(certificates)
    }

    fn issue(&self, hosts: Vec<String>, name: &str) -> Result<(rcgen::Certificate, KeyPair)> {
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.authority)?, key))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("etsi-{name}.pem"))
    }

    /// The flags of a key server.
    pub(crate) fn flags(&self) -> Vec<String> {
        let flag = |(flag, file)| [format!("--etsi-tls-{flag}"), self.file(file).display().to_string()];
        [("cert", "cert"), ("key", "key"), ("client-ca", "ca")].map(flag).concat()
    }

    /// An SAE with this name.
    pub(crate) fn sae(&self, server: SocketAddr, name: &str) -> Result<Sae> {
        let (certificate, key) = self.issue(Vec::new(), name)?;
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone())?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        // An open connection has its own keys. Those of AES would be reported as the schedule of an unknown key.
        let cipher_suites = vec![TLS13_CHACHA20_POLY1305_SHA256];
        let provider = CryptoProvider { cipher_suites, ..default_provider() };
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate.der().clone()], key)?;
        let connection = ClientConnection::new(Arc::new(config), HOST.try_into()?)?;
        Ok(Sae::on(StreamOwned::new(connection, connect(server)?)))
    }
}

//! SAEs whose certificates say who they are.

use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rke_daemon::{EtsiTlsFiles, SaeIdentity};
use serde_json::Value;

use super::{Keys, refusal};
use crate::support::{Answer, Stage};

/// Certificates in a folder, all signed by one authority.
pub(super) struct Certificates {
    dir: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    /// Those of both key servers, and of the SAEs `alice` and `bob`.
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority");
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let dir = tempfile::tempdir().expect("a folder");
        let certificates = Self { dir, authority };
        std::fs::write(certificates.path("ca.pem"), certificates.authority.pem()).expect("written");
        certificates.make("server", &["localhost", "127.0.0.1"], "A key server");
        certificates.make("alice", &[], "alice");
        certificates.make("bob", &[], "bob");
        certificates
    }

    /// A certificate for these hosts with this common name, and its key.
    fn make(&self, file: &str, hosts: &[&str], name: &str) {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.authority).expect("a certificate");
        std::fs::write(self.path(&format!("{file}.pem")), certificate.pem()).expect("written");
        std::fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).expect("written");
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn identity(&self) -> SaeIdentity {
        SaeIdentity::Certificate(EtsiTlsFiles {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: self.path("ca.pem"),
        })
    }

    /// Both ends, over TLS.
    pub(super) async fn keys(&self) -> Keys {
        Keys::with(Stage::new().await, [self.identity(), self.identity()]).await
    }

    /// What curl gets with the certificate of this SAE, if any.
    async fn curl(&self, sae: Option<&str>, more: &[&str], url: String) -> Answer {
        let mut command = Command::new("curl");
        command.args(["-sS", "-i", "--cacert"]).arg(self.path("ca.pem")).args(more).arg(url);
        if let Some(sae) = sae {
            command.arg("--cert").arg(self.path(&format!("{sae}.pem")));
            command.arg("--key").arg(self.path(&format!("{sae}.key")));
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let output = output.expect("curl is needed for this test");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Answer::parse(&String::from_utf8_lossy(&output.stdout))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sae_is_who_its_certificate_says_in_every_version_of_tls_that_the_standard_allows() {
    let certificates = Certificates::new();
    let both = certificates.keys().await;
    let (alice, bob) = (both.alice.port(), both.bob.port());
    for version in [["--tls-max", "1.2"], ["--tlsv1.3", "--http1.1"]] {
        let url = format!("https://localhost:{alice}/api/v1/keys/bob/enc_keys");
        let made = certificates.curl(Some("alice"), &version, url).await;
        assert_eq!(made.status, 200, "{made:?}");
        let key: Value = made.json()["keys"][0].clone();
        let id = key["key_ID"].as_str().expect("an id");
        let url = format!("https://localhost:{bob}/api/v1/keys/alice/dec_keys?key_ID={id}");
        let fetched = certificates.curl(Some("bob"), &version, url.clone()).await;
        assert_eq!(fetched.json()["keys"][0], key);
        // The certificate of another SAE does not give the same key, and nobody needs one to see who is missing.
        let other = certificates.curl(Some("alice"), &version, url.clone()).await;
        assert_ne!(other.json()["keys"][0]["key"], key["key"], "{other:?}");
        let nobody = certificates.curl(None, &version, url).await;
        assert!(refusal(&nobody, 401).contains("certificate"));
    }
    both.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_gets_no_connection() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let both = certificates.keys().await;
    let url = format!("https://localhost:{}/api/v1/keys/bob/enc_keys", both.alice.port());
    let mut command = Command::new("curl");
    command.args(["-sS", "--cacert"]).arg(certificates.path("ca.pem")).arg(url);
    command.arg("--cert").arg(others.path("alice.pem")).arg("--key").arg(others.path("alice.key"));
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    assert!(!output.expect("curl is needed for this test").status.success());
    both.stop().await;
}

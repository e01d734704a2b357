//! SAEs whose certificates say who they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rke_daemon::{EtsiTlsFiles, SaeIdentity};
use rustix::process::Signal;
use serde_json::Value;

use super::{Keys, refusal, sae};
use crate::monitoring::Program;
use crate::real::Real;
use crate::support::{Answer, Stage, again_blocking};

/// Certificates in a folder, all signed by one authority.
pub(crate) struct Certificates {
    dir: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    /// Those of both key servers, and of the SAEs `alice` and `bob`.
    pub(crate) fn new() -> Self {
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

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn identity(&self) -> SaeIdentity {
        self.identity_for(&[])
    }

    /// The same where only these SAEs are served, if any are named.
    fn identity_for(&self, saes: &[&str]) -> SaeIdentity {
        let files = EtsiTlsFiles {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: self.path("ca.pem"),
        };
        SaeIdentity::Certificate { files, saes: saes.iter().map(|name| sae(name)).collect() }
    }

    /// Both ends, over TLS.
    pub(super) async fn keys(&self) -> Keys {
        Keys::with(Stage::new().await, [self.identity(), self.identity()]).await
    }

    /// The flags that name them.
    fn flags(&self) -> Vec<String> {
        let files = [("cert", "server.pem"), ("key", "server.key"), ("client-ca", "ca.pem")];
        let flags =
            files.map(|(flag, file)| [format!("--etsi-tls-{flag}"), self.path(file).display().to_string()]);
        [&["--etsi".to_owned(), "127.0.0.1:0".to_owned()][..], flags.as_flattened()].concat()
    }

    /// Puts others in the place of these, in the same files.
    fn replace_by(&self, others: &Self) {
        for file in ["server.pem", "server.key", "ca.pem"] {
            std::fs::copy(others.path(file), self.path(file)).expect("copied");
        }
    }

    /// Whether `alice` gets a response from a server that is at this port, which shares no keys with anyone.
    async fn reach(&self, port: u16) -> bool {
        let url = format!("https://localhost:{port}/api/v1/keys/nobody/status");
        let output = self.run_curl(Some("alice"), &[], url).await;
        let text = String::from_utf8_lossy(&output.stdout);
        output.status.success() && refusal(&Answer::parse(&text), 401).contains("shares no keys")
    }

    /// What curl gets with the certificate of this SAE, if any.
    async fn curl(&self, sae: Option<&str>, more: &[&str], url: String) -> Answer {
        let output = self.run_curl(sae, more, url).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Answer::parse(&String::from_utf8_lossy(&output.stdout))
    }

    async fn run_curl(&self, sae: Option<&str>, more: &[&str], url: String) -> Output {
        let mut command = Command::new("curl");
        command.args(["-sS", "-i", "--cacert"]).arg(self.path("ca.pem")).args(more).arg(url);
        if let Some(sae) = sae {
            command.arg("--cert").arg(self.path(&format!("{sae}.pem")));
            command.arg("--key").arg(self.path(&format!("{sae}.key")));
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        output.expect("curl is needed for this test")
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
async fn only_the_saes_that_are_named_are_served() {
    let certificates = Certificates::new();
    let ends = [certificates.identity_for(&["alice"]), certificates.identity_for(&["bob", "carol"])];
    let both = Keys::with(Stage::new().await, ends).await;
    let (here, there) = (both.alice.port(), both.bob.port());
    let ask = async |who: &str, port: u16, target: &str| {
        certificates.curl(Some(who), &[], format!("https://localhost:{port}/api/v1/keys/{target}")).await
    };
    assert_eq!(ask("alice", here, "bob/enc_keys").await.status, 200);
    assert_eq!(ask("bob", there, "alice/enc_keys").await.status, 200);
    for target in ["bob/status", "bob/enc_keys", "bob/dec_keys?key_ID=20aaaaaa-bbbb-8ccc-9dc8-81412e6b78ce"] {
        assert!(refusal(&ask("bob", here, target).await, 401).contains("--etsi-sae"), "{target}");
    }
    both.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_gets_no_connection() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let both = certificates.keys().await;
    let url = format!("https://localhost:{}/api/v1/keys/bob/enc_keys", both.alice.port());
    std::fs::copy(certificates.path("ca.pem"), others.path("ca.pem")).expect("copied");
    assert!(!others.run_curl(Some("alice"), &[], url).await.status.success());
    both.stop().await;
}

/// The certificates that a program shows after each signal, which `hang_up` sends. `says` waits for a line of its log.
async fn check_reload(
    certificates: &Certificates,
    port: u16,
    hang_up: impl Fn(),
    says: impl Fn(&str),
    [done, refused]: [&str; 2],
) {
    let others = Certificates::new();
    assert!(certificates.reach(port).await && !others.reach(port).await);
    certificates.replace_by(&others);
    assert!(!others.reach(port).await, "nobody has told it");
    hang_up();
    says(done);
    assert!(others.reach(port).await);
    // A mistake in one of the files changes nothing.
    certificates.replace_by(&Certificates::new());
    std::fs::write(certificates.path("server.key"), "not a key").expect("written");
    hang_up();
    says(refused);
    assert!(others.reach(port).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_reads_the_certificates_again_at_sighup_and_its_sandbox_lets_it() {
    let (certificates, wallets) = (Certificates::new(), tempfile::tempdir().expect("a folder"));
    let root = wallets.path().display().to_string();
    let flags = [&certificates.flags()[..], &["--wallet-root".to_owned(), root]].concat();
    let real = Real::start(&flags.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let port = again_blocking(|| {
        let log = real.log();
        let line = log.lines().find(|line| line.contains("keys are served by ETSI GS QKD 014"));
        let line: Value = serde_json::from_str(line.ok_or_else(|| log.clone())?).expect("JSON");
        let address = line["fields"]["address"].as_str().expect("an address");
        Ok(address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port"))
    });
    let says = |part: &str| {
        again_blocking(|| real.log().contains(part).then_some(()).ok_or_else(|| real.log()));
    };
    let lines = ["the configuration was read again", "the configuration is not changed"];
    check_reload(&certificates, port, || real.signal(Signal::HUP), says, lines).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_server_reads_the_certificates_again_at_sighup_and_its_sandbox_lets_it() {
    let (certificates, mut stage) = (Certificates::new(), Stage::new().await);
    let flags = certificates.flags();
    let server =
        Program::content_server(&mut stage, &flags.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let line = server.wait_for("It serves keys by ETSI GS QKD 014 at ");
    let port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok()).expect("a port");
    let says = |part: &str| drop(server.wait_for(part));
    let lines = ["has read its settings again", "the settings are not changed"];
    check_reload(&certificates, port, || server.signal(Signal::HUP), says, lines).await;
    server.stop();
    stage.stop().await;
}

//! A store beyond this machine: TLS with a certificate of an authority of one's own, a user and a password.

use std::process::{Command, Output};

use super::server::{Server, free_port};
use super::{Daemon, Site};
use crate::etsi::certificates::Certificates;
use crate::support::{Answer, again, get};

/// A store at a TLS port, whose user `rke` has a password.
struct Secured {
    site: Site,
    certificates: Certificates,
    port: u16,
}

impl Secured {
    async fn new() -> Self {
        let (certificates, port) = (Certificates::new(), free_port());
        let path = |file: &str| certificates.path(file).display().to_string();
        let [certificate, key, authority] = ["server.pem", "server.key", "ca.pem"].map(path);
        let tls =
            ["--tls-port", &port.to_string(), "--tls-auth-clients", "no", "--tls-ca-cert-file", &authority];
        let own = ["--tls-cert-file", &certificate, "--tls-key-file", &key];
        let user = ["--user", "rke", "on", ">correct-horse", "~rke:*", "&rke:*", "+@all"];
        let store = Server::start(&[&tls[..], &own, &user].concat());
        Self { site: Site::with(store).await, certificates, port }
    }

    fn serve(&self, name: &str, password: &str) -> Command {
        let url = format!("rediss://rke:{password}@127.0.0.1:{}", self.port);
        self.site.serve_at(&["--store", &url], name, &[])
    }

    fn daemon(&self, name: &str) -> (Daemon, Vec<String>) {
        let mut serve = self.serve(name, "correct-horse");
        serve.env("SSL_CERT_FILE", self.certificates.path("ca.pem"));
        Daemon::start(serve)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_reached_with_tls_and_a_password_and_again_after_a_restart() {
    let secured = Secured::new().await;
    let [(one, log), (two, _)] = ["one", "two"].map(|name| secured.daemon(name));
    assert!(!log.join("\n").contains("correct-horse"), "{log:?}");
    let id = secured.site.create_id(&one).await;
    two.uses(&id).await;
    one.deletes(&id).await;
    two.does_not_have(&id).await;
    // The sandbox is closed now, and the authority has to be read again.
    secured.site.store.kill();
    secured.site.store.start_again();
    again(async || match two.get("sessions").await {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer.body),
    })
    .await;
    let id = again(async || match secured.site.try_create(&two).await {
        created if created.status == 200 => {
            Ok(created.json()["session_id"].as_str().expect("an id").to_owned())
        }
        created => Err(created.body),
    })
    .await;
    again(async || match one.encrypt(&id).await {
        used if used.status == 200 => Ok(()),
        used => Err(used.body),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_does_not_start_with_another_authority_a_wrong_password_or_without_tls_and_says_why() {
    let secured = Secured::new().await;
    let refused = |mut serve: Command, why: &str| {
        let Output { status, stderr, .. } = serve.output().expect("rke runs");
        let text = String::from_utf8_lossy(&stderr).into_owned();
        assert!(!status.success() && text.contains("the store cannot be used at the moment"), "{text}");
        assert!(text.contains(why) && !text.contains("horse"), "{text}");
    };
    let trusting = |mut serve: Command| {
        serve.env("SSL_CERT_FILE", secured.certificates.path("ca.pem"));
        serve
    };
    refused(secured.serve("one", "correct-horse"), "not from an authority that this machine trusts");
    refused(trusting(secured.serve("one", "wrong-horse")), "does not accept the user and the password");
    let plain = format!("rediss://127.0.0.1:{}", secured.site.store.port());
    refused(trusting(secured.site.serve_at(&["--store", &plain], "one", &[])), "responds without TLS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_password_is_changed_says_so_until_it_is_accepted_again() {
    let secured = Secured::new().await;
    let (daemon, _) = secured.daemon("one");
    let store = &secured.site.store;
    store.cli(&["ACL", "SETUSER", "rke", "resetpass", ">another"]);
    store.cli(&["CLIENT", "KILL", "USER", "rke"]);
    again(async || match get(daemon.address, "/health/ready").await {
        Answer { status: 503, body, .. } if body.contains("does not accept its user and password") => Ok(()),
        Answer { body, .. } => Err(body),
    })
    .await;
    let refused = secured.site.try_create(&daemon).await;
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("does not accept the user and the password"), "{}", refused.body);
    store.cli(&["ACL", "SETUSER", "rke", ">correct-horse"]);
    again(async || match get(daemon.address, "/health/ready").await {
        Answer { status: 200, .. } => Ok(()),
        Answer { body, .. } => Err(body),
    })
    .await;
}

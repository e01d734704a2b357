//! The recipe for IPsec in `docs/keys-for-others.md`, with strongSwan in two network namespaces.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use rke_raida::content_server::KeyFormat;

use super::namespaces::{Namespace, pair};
use super::{command, psk, stage_with};
use crate::support::again_blocking;

/// strongSwan in a namespace.
struct Gateway {
    _namespace: Namespace,
    dir: PathBuf,
    daemon: Child,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Gateway {
    fn start(namespace: Namespace, dir: PathBuf, own: u8) -> Self {
        let (other, socket) = (3 - own, dir.join("vici"));
        let socket = socket.display();
        fs::create_dir_all(dir.join("conf.d")).expect("a folder");
        let settings = format!(
            "charon-systemd {{\n load = random nonce aes sha1 sha2 hmac kdf openssl kernel-netlink socket-default vici\n \
             plugins {{ vici {{ socket = unix://{socket} }} }}\n}}\nswanctl {{ socket = unix://{socket} }}\n"
        );
        fs::write(dir.join("strongswan.conf"), settings).expect("written");
        let connection = format!(
            "connections {{ net {{\n version = 2\n local_addrs = 192.0.2.{own}\n remote_addrs = 192.0.2.{other}\n \
             ppk_id = site@example.com\n ppk_required = yes\n local {{ auth = psk\n id = gate{own}@x\n }}\n \
             remote {{ auth = psk\n id = gate{other}@x\n }}\n}} }}\nsecrets {{ ike-x {{ secret = 0sAAAA1234567= }} }}\n\
             include conf.d/*.conf\n"
        );
        fs::write(dir.join("swanctl.conf"), connection).expect("written");
        let mut daemon = namespace.command("charon-systemd");
        let daemon = daemon.env("STRONGSWAN_CONF", dir.join("strongswan.conf")).spawn().expect("ip runs");
        let gateway = Self { _namespace: namespace, dir, daemon };
        again_blocking(|| {
            let output = gateway.swanctl("--load-all");
            output.status.success().then_some(()).ok_or_else(|| said(&output))
        });
        gateway
    }

    /// The beginning of a swanctl command for this one.
    fn program(&self) -> String {
        let dir = self.dir.display();
        format!("STRONGSWAN_CONF={dir}/strongswan.conf SWANCTL_DIR={dir} swanctl")
    }

    fn swanctl(&self, arguments: &str) -> Output {
        let line = format!("{} {arguments}", self.program());
        Command::new("sh").args(["-c", &line]).output().expect("sh runs")
    }

    /// The command of the recipe, for this one.
    fn recipe(&self) -> String {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/keys-for-others.md");
        let text = fs::read_to_string(&document).expect("a document");
        let (_, text) = text.split_once("\n## IPsec\n").expect("the section");
        let (_, text) = text.split_once("--exec '\n").expect("a command");
        let (text, _) = text.split_once("'\n```").expect("its end");
        let text = text.replace("/etc/swanctl", &self.dir.display().to_string());
        text.replace("swanctl --load-creds", &format!("{} --load-creds", self.program()))
    }

    /// Whether a new IKE_SA comes up.
    fn meets(&self) -> Result<(), String> {
        self.swanctl("--terminate --ike net");
        let output = self.swanctl("--initiate --ike net --timeout 30");
        output.status.success().then_some(()).ok_or_else(|| said(&output))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn strongswan_mixes_the_key_in_and_refuses_that_of_another_session() {
    let dir = tempfile::tempdir().expect("a folder");
    let [a, b] = pair();
    let client = Gateway::start(a, dir.path().join("a"), 1);
    let server = Gateway::start(b, dir.path().join("b"), 2);
    let stage = stage_with(command(&server.recipe(), KeyFormat::Base64)).await;
    let renew = async |exec: &str| {
        let (code, log) = psk(&stage, exec, &["--name", "site@example.com"]).await;
        assert_eq!(code, 0, "{log}");
    };
    assert!(client.meets().is_err(), "without a key there is no connection");
    for _ in 0..2 {
        renew(&client.recipe()).await;
        client.meets().expect("connected");
    }
    // The server alone has the key of another session.
    renew("cat > /dev/null").await;
    let refused = client.meets().expect_err("the keys differ");
    assert!(refused.contains("AUTH_FAILED"), "{refused}");
    stage.stop().await;
}

use std::net::UdpSocket;
use std::time::Duration;

use rke_host::wallet::CoinFile;
use rke_proto::coin::{CoinId, CoinStatus};
use rke_proto::command::{self, Command, SHARE_REQUEST_LEN};
use rke_proto::envelope::{self, RequestParts};
use rke_proto::{
    Challenge, ClientSn, ContentServerId, Envelope, EnvelopeKey, KeyContext, KeySetId, RAIDA_COUNT, Status,
};

use super::*;
use crate::mint::mint;

const COIN: CoinId = CoinId { denomination: 0, serial: 7 };
const OTHER: CoinId = CoinId { denomination: 0, serial: 8 };

fn raida() -> RaidaIndex {
    RaidaIndex::new(7).expect("RAIDA 7")
}

struct Stage {
    dir: tempfile::TempDir,
    node: Node,
}

impl Stage {
    async fn new(receivers: usize) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let coins = dir.path().join("coins");
        std::fs::create_dir(&coins).expect("a folder");
        mint_coin(&coins, COIN);
        let node = Node::start(NodeConfig {
            raida: raida(),
            listen: ([127, 0, 0, 1], 0).into(),
            receivers,
            coin_folders: vec![coins.clone()],
            data_dir: dir.path().join("data"),
            rules: Rules::default(),
        });
        Self { node: node.await.expect("a node"), dir }
    }

    fn coins(&self) -> PathBuf {
        self.dir.path().join("coins")
    }

    fn reload(&self) -> Result<usize, NodeError> {
        self.node.reload(&[self.coins()], Rules::default())
    }

    /// A request for a share of a key set that the node has not.
    fn request(&self, coin: CoinId, challenge: &Challenge, client_sn: u8) -> Vec<u8> {
        let file = CoinFile::open(&self.coins().join(format!("{}.bin", coin.serial))).expect("a coin file");
        let an = file.an(0, raida()).expect("an AN");
        let key = EnvelopeKey::of(Envelope::Type4(coin), &[an]).expect("secret memory");
        let context = KeyContext {
            cs_id: ContentServerId::new("CS").expect("an ID"),
            key_set: KeySetId::new(1).expect("a key set"),
            client_sn: ClientSn([client_sn; 5]),
            timestamp: unix_seconds(),
        };
        let mut random = [0; NONCE_LEN];
        fill_random(&mut random).expect("random bytes");
        let command = Command::GetWideKeyShare.to_wire();
        let parts = RequestParts { raida: raida(), command, envelope: Envelope::Type4(coin), random };
        let (header, mut datagram) = envelope::unsealed_request(&parts, SHARE_REQUEST_LEN);
        let write = |body: &mut [u8]| command::write_share_request(challenge, &context, body);
        envelope::seal_request(&header, &key, &mut datagram, write).expect("secret memory");
        datagram
    }

    fn status(&self, coin: CoinId, challenge: u8) -> Status {
        self.answer_to(&self.request(coin, &Challenge::new([challenge; 12]), 1))
    }

    fn answer_to(&self, request: &[u8]) -> Status {
        let client = client();
        client.send_to(request, self.node.address()).expect("sent");
        status_at(&client)
    }
}

fn mint_coin(folder: &std::path::Path, coin: CoinId) {
    let file = folder.join(format!("{}.bin", coin.serial));
    mint(&file, &[coin], [CoinStatus::Passed; RAIDA_COUNT]).expect("a coin");
}

fn client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    client
}

fn status_at(client: &UdpSocket) -> Status {
    let mut answer = [0; 256];
    client.recv(&mut answer).expect("an answer");
    Status(answer[2])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_receiver_has_answered_all_remember() {
    let stage = Stage::new(4).await;
    // Enough of them for each receiver to have some.
    let clients: Vec<UdpSocket> = (0..32).map(|_| client()).collect();
    for round in 0..100 {
        let challenge = Challenge::new([round; 12]);
        let requests: Vec<_> = (0..32).map(|at| stage.request(COIN, &challenge, at)).collect();
        for (client, request) in clients.iter().zip(&requests) {
            client.send_to(request, stage.node.address()).expect("sent");
        }
        let statuses: Vec<Status> = clients.iter().map(status_at).collect();
        let count = |status| statuses.iter().filter(|given| **given == status).count();
        let counts = (count(Status::NO_SUCH_KEY_SET), count(Status::BAD_PARAMETER));
        assert_eq!(counts, (1, 31), "one challenge is good for one request: {statuses:?}");
    }
    stage.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_coins_are_taken_all_or_none() {
    let stage = Stage::new(1).await;
    assert_eq!(stage.status(COIN, 1), Status::NO_SUCH_KEY_SET);
    mint_coin(&stage.coins(), OTHER);
    assert_eq!(stage.status(OTHER, 1), Status::COIN_NOT_FOUND);
    assert_eq!(stage.reload().expect("other coins"), 2);
    assert_eq!(stage.status(OTHER, 2), Status::NO_SUCH_KEY_SET);
    let reused = stage.request(COIN, &Challenge::new([1; 12]), 2);
    assert_eq!(stage.answer_to(&reused), Status::BAD_PARAMETER, "what it remembers stays");

    // A file that cannot be used takes none away.
    let [good, bad] = ["7.bin", "9.bin"].map(|name| stage.coins().join(name));
    std::fs::write(&bad, [9; 40]).expect("written");
    let saved = std::fs::read(&good).expect("read");
    std::fs::remove_file(&good).expect("removed");
    let refused = stage.reload().expect_err("a bad file").to_string();
    assert!(refused.contains("9.bin") && refused.contains("SIGHUP again"), "{refused}");
    std::fs::write(&good, saved).expect("written");
    assert_eq!(stage.status(COIN, 3), Status::NO_SUCH_KEY_SET);

    // A coin that is gone is not known any more, and a folder that is gone takes none with it.
    std::fs::remove_file(&bad)
        .and_then(|()| std::fs::rename(&good, stage.dir.path().join("7.bin")))
        .expect("moved");
    assert_eq!(stage.reload().expect("other coins"), 1);
    std::fs::rename(stage.dir.path().join("7.bin"), &good).expect("moved");
    assert_eq!(stage.status(COIN, 4), Status::COIN_NOT_FOUND);
    let elsewhere = stage.dir.path().join("elsewhere");
    std::fs::rename(stage.coins(), &elsewhere).expect("moved");
    assert!(matches!(stage.reload(), Err(NodeError::Unusable(_))));
    std::fs::rename(&elsewhere, stage.coins()).expect("moved");
    assert_eq!(stage.status(OTHER, 5), Status::NO_SUCH_KEY_SET);
    stage.node.stop().await;
}

#[tokio::test]
async fn bytes_behind_the_last_coin_are_ignored() {
    let stage = Stage::new(1).await;
    let file = stage.coins().join("7.bin");
    let padded = [std::fs::read(&file).expect("read").as_slice(), &[0; 100]].concat();
    std::fs::write(&file, &padded).expect("written");
    assert_eq!(stage.reload().expect("the coin"), 1);
    std::fs::write(&file, &padded[..400]).expect("written");
    assert!(stage.reload().is_err());
}

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
            rules: NodePolicy::default(),
            audit_log: None,
        });
        Self { node: node.await.expect("a node"), dir }
    }

    fn coins(&self) -> PathBuf {
        self.dir.path().join("coins")
    }

    fn reload(&self) -> Result<usize, NodeError> {
        self.node.reload(&[self.coins()], NodePolicy::default()).map(|count| count.coins)
    }

    /// What the node does by itself when its folder changes.
    fn reload_coins(&self) -> Result<CoinCount, NodeError> {
        self.node.reload_coins(&[self.coins()])
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

    // A removed coin is no longer known, and a missing folder removes no other coin.
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

#[tokio::test(flavor = "multi_thread")]
async fn unusable_files_keep_no_coin_away_and_take_none_from_a_node_that_looks_by_itself() {
    let stage = Stage::new(1).await;
    mint_coin(&stage.coins(), OTHER);
    let coins = |count: Result<CoinCount, NodeError>| count.expect("coins").coins;
    assert_eq!(coins(stage.reload_coins()), 2);
    assert_eq!(stage.status(OTHER, 1), Status::NO_SUCH_KEY_SET);

    // 7 is damaged and 9 is new: 9 is taken, and 7 stays known.
    let [seven, nine] = ["7.bin", "9.bin"].map(|name| stage.coins().join(name));
    let whole = std::fs::read(&seven).expect("read");
    let request = stage.request(COIN, &Challenge::new([2; 12]), 1);
    std::fs::write(&seven, &whole[..400]).expect("written");
    let third = CoinId { denomination: 0, serial: 9 };
    mint_coin(&stage.coins(), third);
    assert_eq!(coins(stage.reload_coins()), 3);
    assert_eq!(stage.answer_to(&request), Status::NO_SUCH_KEY_SET);
    assert_eq!(stage.status(third, 3), Status::NO_SUCH_KEY_SET);

    // With every file readable again, the folder says what is known.
    let request = stage.request(third, &Challenge::new([4; 12]), 1);
    std::fs::write(&seven, &whole).and_then(|()| std::fs::remove_file(&nine)).expect("written");
    assert_eq!(coins(stage.reload_coins()), 2);
    assert_eq!(stage.answer_to(&request), Status::COIN_NOT_FOUND);
    assert_eq!(stage.status(COIN, 5), Status::NO_SUCH_KEY_SET);

    // A folder without coins takes none away.
    std::fs::remove_dir_all(stage.coins()).expect("removed");
    assert_eq!(coins(stage.reload_coins()), 2);
    std::fs::create_dir(stage.coins()).expect("a folder");
    assert!(matches!(stage.reload_coins(), Err(NodeError::NoCoins { .. })));
    std::fs::write(&seven, &whole).expect("written");
    assert_eq!(stage.status(COIN, 6), Status::NO_SUCH_KEY_SET);
    stage.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_an_counts_even_next_to_an_unusable_file() {
    let stage = Stage::new(1).await;
    let old = stage.request(COIN, &Challenge::new([1; 12]), 1);
    std::fs::remove_file(stage.coins().join("7.bin")).expect("removed");
    mint_coin(&stage.coins(), COIN);
    std::fs::write(stage.coins().join("bad.bin"), "bad").expect("written");
    assert_eq!(stage.reload_coins().expect("coins").coins, 1);
    assert_eq!(stage.answer_to(&old), Status::BAD_HMAC);
    assert_eq!(stage.status(COIN, 2), Status::NO_SUCH_KEY_SET);
    stage.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_knows_its_part_of_a_split_coin_and_no_other_nodes_part() {
    let stage = Stage::new(1).await;
    let (split_into, whole) = (stage.dir.path().join("split"), stage.coins().join("7.bin"));
    crate::split::split(&[whole], &split_into).expect("split");
    let reload = |raida: &str| stage.node.reload(&[split_into.join(raida)], NodePolicy::default());
    assert_eq!(stage.node.coins(), CoinCount { coins: 1, files_with_others: 1 });
    assert_eq!(reload("raida-7").expect("its part"), CoinCount { coins: 1, files_with_others: 0 });
    assert_eq!(stage.status(COIN, 1), Status::NO_SUCH_KEY_SET);
    // Zeros in the place of its AN would let anyone use the coin.
    let refused = reload("raida-8").expect_err("another node's part").to_string();
    assert!(refused.contains("no AN for RAIDA 7") && refused.contains("only for RAIDA 8"), "{refused}");
    assert_eq!(stage.status(COIN, 2), Status::NO_SUCH_KEY_SET);
    stage.node.stop().await;
}

//! The 25 RAIDAs, each twice: one that has its master secret of the Content Server, preloaded as
//! the protocol has it, and one that has another and so lies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rke_proto::coin::CoinId;
use rke_proto::command::Preloading;
use rke_proto::round::{Pace, Progress, REQUEST_RANDOM_LEN, Recipient};
use rke_proto::{ContentServerId, Envelope, EnvelopeKey, KeySetId, RaidaIndex};
use rke_raida::content_server::MasterSecrets;
use rke_raida::key_sets::KeySets;
use rke_raida::owners::Preloader;
use rke_raida::responder::{Arrival, NodePolicy, Responder};
use rke_secret::Secret;

pub(crate) const NOW: u64 = 1_785_312_000;
pub(crate) const COIN: CoinId = CoinId { denomination: 0, serial: 42 };
pub(crate) const OTHER: CoinId = CoinId { denomination: 1, serial: 43 };
/// A coin with which nobody has asked.
pub(crate) const STRANGER: CoinId = CoinId { denomination: 0, serial: 44 };
const OPERATOR: CoinId = CoinId { denomination: 0, serial: 1 };

pub(crate) fn cs_id() -> ContentServerId {
    ContentServerId::new("CONTENT-SERVER01").expect("an ID")
}

pub(crate) fn key_set() -> KeySetId {
    KeySetId::new(1).expect("a key set")
}

pub(crate) fn endpoint(raida: RaidaIndex) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 50000 + u16::from(raida.get())))
}

fn an(raida: RaidaIndex, coin: CoinId) -> Secret<16> {
    Secret::fill(|an| *an = [raida.get() ^ (coin.serial as u8) << 2; 16]).expect("secret memory")
}

/// A RAIDA to ask, and the coins to do it with.
pub(crate) fn recipient(
    raida: RaidaIndex,
    envelope: Envelope,
    random: [u8; REQUEST_RANDOM_LEN],
) -> Recipient {
    let ans: Vec<_> = envelope.coins().map(|coin| an(raida, coin)).collect();
    let (key, pace) = (EnvelopeKey::of(envelope, &ans).expect("secret memory"), Pace::default());
    Recipient { raida, endpoint: endpoint(raida), envelope, key, random, pace, fallback: None }
}

pub(crate) struct World {
    pub(crate) secrets: Arc<MasterSecrets>,
    truthful: Vec<Responder>,
    lying: Vec<Responder>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let masters = || MasterSecrets::random(cs_id(), key_set()).expect("secret memory");
        let (secrets, others) = (masters(), masters());
        let truthful = preloaded(&secrets, &folder.path().join("truthful"));
        let lying = preloaded(&others, &folder.path().join("lying"));
        Self { secrets: Arc::new(secrets), truthful, lying, _folder: folder }
    }

    /// What a RAIDA answers to a datagram. To be called in a scope of secret memory.
    pub(crate) fn respond(
        &mut self,
        raida: RaidaIndex,
        lies: bool,
        now: u64,
        random: [u8; 24],
        datagram: &[u8],
    ) -> Option<Vec<u8>> {
        let responders = if lies { &self.lying } else { &self.truthful };
        let arrival = Arrival { peer: IpAddr::V4(Ipv4Addr::LOCALHOST), now, random };
        responders[raida.position()].respond(arrival, &mut datagram.to_vec())
    }
}

/// 25 RAIDAs, each of which has got its master secret in an exchange.
fn preloaded(secrets: &MasterSecrets, folder: &std::path::Path) -> Vec<Responder> {
    let responder = |raida: RaidaIndex| {
        let key_sets = KeySets::open(raida, &folder.join(raida.to_string())).expect("a data directory");
        let ans = [COIN, OTHER, OPERATOR].map(|coin| (coin, an(raida, coin)));
        let preloaders = [Preloader::of_any(OPERATOR)].into_iter().collect();
        Responder::new(raida, ans.into(), NodePolicy { preloaders, ..NodePolicy::default() }, key_sets)
    };
    let responders: Vec<Responder> = RaidaIndex::all().map(responder).collect();
    let recipients = RaidaIndex::all()
        .map(|raida| recipient(raida, Envelope::Type4(OPERATOR), [0xC3; REQUEST_RANDOM_LEN]));
    let mut round =
        secrets.preload_round(recipients.collect(), Preloading::Dated(NOW)).expect("secret memory");
    let due = round.take_due(Duration::ZERO);
    let sent: Vec<_> = due.map(|(raida, _, datagram)| (raida, datagram.to_vec())).collect();
    for (raida, mut datagram) in sent {
        let arrival = Arrival { peer: IpAddr::V4(Ipv4Addr::LOCALHOST), now: NOW, random: [1; 24] };
        let answer = rke_secret::scoped(|| responders[raida.position()].respond(arrival, &mut datagram));
        let mut answer = answer.expect("secret memory").expect("an answer");
        round.receive(endpoint(raida), &mut answer, Duration::ZERO);
    }
    assert_eq!(round.progress(Duration::ZERO), Progress::Ready, "{:?}", round.faults());
    responders
}

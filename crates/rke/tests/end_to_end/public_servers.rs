//! Every kind of public server in one network. Some know only envelope 1, and respond in it in either form. Some
//! send responses in envelope 5 that do not open. Some know no wide shares, and refuse in a header of either
//! length. What a listener learns from this is tested by `cargo xtask attack`.

use std::net::SocketAddr;

use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_engine::settings::{Config, Confirm};
use rke_proto::RaidaIndex;
use rke_proto::envelope::Counter;
use rke_raida::dns::DnsServer;
use rke_raida::network::LocalNetwork;
use rke_raida::responder::{Imitation, RefusalHeader};
use serde_json::{Value, json};

use crate::support::{Answer, DOMAIN, config, get, network};
use crate::tunnel::{arguments, rke};
use crate::wire::post;

/// The domain of narrow shares. It requires all 25 RAIDAs, so each must return its share in every exchange.
const NARROW: &str = "narrow.rke.test";

const EXCHANGES: usize = 100;

struct Stage {
    network: LocalNetwork,
    daemon: Daemon,
    dns: DnsServer,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn new(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut network = network(&dir).await;
        let mut narrow = network.add_narrow_key_set().await.expect("a key set");
        (narrow.domain, narrow.host) = (NARROW.into(), format!("cs.{NARROW}"));
        let required = narrow.texts.iter_mut().find(|text| text.starts_with("required raidas"));
        *required.expect("the number of RAIDAs") = "required raidas>=25".into();
        network.imitate_all_kinds().await.expect("nodes");
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let records = [network.records(), &narrow];
        let dns = DnsServer::start(loopback, records, loopback.ip()).await.expect("a DNS server");
        let mut config = config(&dir, dns.address());
        config.reloadable.max_sessions = 2 * EXCHANGES;
        config.reloadable.confirm = Confirm::Require;
        config.reloadable.allow_weak_shares = vec![Domain::new(NARROW).expect("a domain")];
        config.reloadable.allow_envelope_1 = config.reloadable.allow_weak_shares.clone();
        change(&mut config);
        let daemon = Daemon::start(config).await.expect("a daemon");
        Self { network, daemon, dns, _dir: dir }
    }

    async fn get(&self, target: &str) -> Answer {
        get(self.daemon.address(), target).await
    }

    /// Opens a session with a fresh exchange.
    async fn create(&self, domain: &str) -> Answer {
        let wallet = self.network.wallet().display();
        self.get(&format!("/api/rke/session?domain={domain}&wallet_path={wallet}&fresh=true")).await
    }

    /// Opens a session with a fresh exchange and returns its details. Data comes back through its tunnel, so both
    /// ends have its key.
    async fn open(&self, domain: &str) -> Value {
        let created = self.create(domain).await;
        assert_eq!(created.status, 200, "{}", created.body);
        let id = created.json()["session_id"].as_str().expect("an id").to_owned();
        let path = format!("session/{id}/tunnel");
        assert_eq!(post(self.daemon.address(), &path, &[], "to and fro").await.good(), b"to and fro");
        let shown = self.get(&format!("/api/rke/session/{id}")).await.json();
        assert_eq!(shown["confirmed"], true, "{shown}");
        shown
    }

    /// What the daemon knows about each RAIDA.
    async fn rows(&self) -> Vec<Value> {
        self.get("/api/rke/raidas").await.json()["raidas"].as_array().expect("rows").clone()
    }

    async fn form_of(&self, raida: RaidaIndex) -> Value {
        self.rows().await[raida.position()]["form"].clone()
    }

    async fn stop(self) {
        self.daemon.stop().await;
        self.dns.stop().await;
        self.network.stop().await;
    }
}

fn only_envelope_1(counter: Counter) -> Imitation {
    Imitation::OnlyEnvelope1 { counter, refuses_in: RefusalHeader::Short }
}

/// The form of an imitated server's responses, and how it refuses wide shares.
fn expected(raida: RaidaIndex) -> (Value, Option<&'static str>) {
    match Imitation::of_all_kinds(raida) {
        Imitation::Nobody => (Value::Null, None),
        Imitation::GarbledEnvelope5 => (json!("envelope_5_garbled"), None),
        Imitation::OnlyEnvelope1 { counter: Counter::Restarts, .. } => {
            (json!("envelope_1_restarting"), Some("refused: bad encryption (34)"))
        }
        Imitation::OnlyEnvelope1 { counter: Counter::Continues, .. } => {
            (json!("envelope_1_continuing"), Some("refused: bad encryption (34)"))
        }
        Imitation::NoWideShares { .. } => (Value::Null, Some("refused: unknown command (6)")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_hundred_exchanges_every_key_is_right_and_every_fallback_in_the_same_exchange() {
    let stage = Stage::new(|_| ()).await;
    let all: Vec<u8> = (0..25).collect();
    for round in 1..=EXCHANGES / 2 {
        // Thirteen RAIDAs return wide shares, exactly as many as required. All 25 return narrow shares, and all are
        // required.
        let wide = stage.open(DOMAIN).await;
        assert_eq!((&wide["raidas"], &wide["envelope"]), (&json!(all[..13]), &json!([4, 5])), "{wide}");
        let narrow = stage.open(NARROW).await;
        assert_eq!((&narrow["raidas"], &narrow["envelope"]), (&json!(all), &json!([1, 4])), "{narrow}");
        for (raida, row) in RaidaIndex::all().zip(stage.rows().await) {
            let (form, refuses_wide) = expected(raida);
            assert_eq!(row["form"], form, "{raida}: {row}");
            // A refusal may come after the grace period for those that are not needed.
            let is_late = refuses_wide.is_some() && row["last_fault"] == "no answer";
            assert!(is_late || row["last_fault"] == json!(refuses_wide), "{raida}: {row}");
            let answered = if refuses_wide.is_some() { round } else { 2 * round };
            assert_eq!((&row["asked"], &row["answered"]), (&json!(2 * round), &json!(answered)), "{row}");
        }
    }
    let show = format!("raidas --daemon {}", stage.daemon.address());
    let (success, table, log) = rke(arguments(&show), "").await;
    assert!(success, "{log}");
    for (form, times) in
        [("envelope_5_garbled", 8), ("envelope_1_restarting", 4), ("envelope_1_continuing", 4)]
    {
        assert_eq!(table.matches(form).count(), times, "{table}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raida_that_changes_its_form_costs_no_exchange() {
    let mut stage = Stage::new(|_| ()).await;
    let raida = RaidaIndex::all().nth(13).expect("RAIDA 13");
    for (imitates, form) in [
        (only_envelope_1(Counter::Restarts), json!("envelope_1_restarting")),
        (only_envelope_1(Counter::Continues), json!("envelope_1_continuing")),
        (only_envelope_1(Counter::Restarts), json!("envelope_1_restarting")),
        // Here the daemon learns that the RAIDA knows envelope 4, and in the next step that it no longer does.
        (Imitation::Nobody, Value::Null),
        (only_envelope_1(Counter::Continues), json!("envelope_1_continuing")),
    ] {
        stage.network.imitate(raida, imitates).await.expect("a node");
        let shown = stage.open(NARROW).await;
        assert_eq!(shown["raidas"].as_array().map(Vec::len), Some(25), "{shown}");
        assert_eq!(stage.form_of(raida).await, form);
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_envelope_1_is_not_allowed_who_knows_no_other_gives_no_share() {
    let stage = Stage::new(|config| config.reloadable.allow_envelope_1 = Vec::new()).await;
    let refused = stage.create(NARROW).await.json();
    assert_eq!(refused["code"], 503, "{refused}");
    let answered: Vec<u8> = (0..13).chain(21..25).collect();
    assert_eq!(refused["answered"], json!(answered));
    assert_eq!(refused["faults"][0]["fault"], "refused: bad encryption (34)");
    let rows = stage.rows().await;
    assert!(rows.iter().all(|row| row["form"].is_null()), "{rows:?}");
    stage.stop().await;
}

//! Stores of several servers: a cluster, and a primary that Sentinels replace.

use std::process::Command;

use super::node::*;
use super::sentinel::Sentinel;
use super::server::{Server, free_port};
use crate::*;

/// A cluster of three primaries, each with a replica if `replicas` is 1.
fn cluster(replicas: usize) -> Vec<Server> {
    let start = |_| {
        let bus = free_port().to_string();
        let arguments =
            ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1000"];
        Server::start(&[&arguments[..], &["--repl-diskless-sync-delay", "0"]].concat())
    };
    let servers: Vec<Server> = (0..3 * (1 + replicas)).map(start).collect();
    let mut create = Command::new("redis-cli");
    create
        .args(["--cluster", "create"])
        .args(servers.iter().map(|server| format!("127.0.0.1:{}", server.port())));
    create.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]);
    let created = create.output().expect("redis-cli");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
    for server in &servers {
        server.until(|server| server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    }
    servers
}

fn on(mut site: Site, deployment: Deployment, servers: &[Server]) -> Site {
    site.settings.addresses = Addresses { urls: servers.iter().map(Server::url).collect(), deployment };
    site
}

#[tokio::test]
async fn a_cluster_keeps_the_same_promises() {
    let servers = cluster(0);
    let mut site = on(Site::new(&[]), Deployment::Cluster, &servers);
    site.settings.limits.max = 70;
    let (one, two) = (site.node().await, site.node().await);
    let mut ids = Vec::new();
    for _ in 0..70 {
        ids.push(one.create().await.expect("there is room"));
    }
    assert!(matches!(two.create().await, Err(StoreError::Full { max: 70, .. })));
    for id in &ids {
        two.hold(id).await.expect("held");
    }
    let mut seen = 0;
    two.store.each(|_| seen += 1).await.expect("a walk");
    assert_eq!(seen, 70);
    let deleted = one.store.delete(&ids[0]).await.expect("deleted");
    assert_eq!(deleted.holders, 1);
    assert!(!two.can_use(&ids[0]).await);
    assert_eq!(two.count().await, 69);
    assert_eq!(one.store.delete_many(None).await.expect("deleted"), Some(69));
    for id in &ids {
        assert!(!two.copies.can_use(id));
    }
    assert!(servers.iter().all(|server| server.cli(&["DBSIZE"]) != "0\n"), "each has a part");
}

#[tokio::test]
async fn when_a_primary_of_a_cluster_dies_its_sessions_end_and_the_others_live() {
    let servers = cluster(1);
    let site = on(Site::new(&[]), Deployment::Cluster, &servers);
    let (one, two) = (site.node().await, site.node().await);
    let mut ids = Vec::new();
    for _ in 0..60 {
        ids.push(one.create().await.expect("created"));
    }
    let is_primary = |server: &&Server| server.info("replication").contains("role:master");
    servers.iter().find(is_primary).expect("a primary").kill();
    until(async || one.count_if_up().await.is_some() && two.count_if_up().await.is_some()).await;
    let mut alive = 0;
    for id in &ids {
        match two.store.fetch(id, Need::default()).await {
            Ok(_) => alive += 1,
            Err(StoreError::NotFound) => (),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(alive > 0 && alive < 60, "{alive} of 60");
    assert_eq!(one.count().await, alive);
    let id = one.create().await.expect("created");
    two.hold(&id).await.expect("held");
    one.store.delete(&id).await.expect("deleted");
    assert!(!two.can_use(&id).await);
}

#[tokio::test]
async fn sentinels_lead_to_the_new_primary_where_no_deleted_session_lives() {
    let primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port())]);
    primary.until(|server| server.info("replication").contains("state=online"));
    let sentinel = Sentinel::over(&primary);
    let mut site = Site::new(&[]);
    site.settings.addresses = Addresses {
        urls: vec![format!("redis://127.0.0.1:{}", sentinel.port())],
        deployment: Deployment::Sentinel("store".into()),
    };
    let (one, two) = (site.node().await, site.node().await);
    let (deleted, lives) = (one.create().await.expect("created"), one.create().await.expect("created"));
    one.store.delete(&deleted).await.expect("deleted");
    two.hold(&lives).await.expect("held");
    primary.kill();
    replica.until(|server| server.info("replication").contains("role:master"));
    until(async || one.count_if_up().await.is_some() && two.count_if_up().await.is_some()).await;
    for id in [&deleted, &lives] {
        assert!(matches!(two.store.fetch(id, Need::default()).await, Err(StoreError::NotFound)));
    }
    let id = one.create().await.expect("created");
    assert!(two.can_use(&id).await);
}

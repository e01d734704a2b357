use super::*;
use crate::link::tests::link_to;
use crate::tests::server::Server;

async fn checked(server: &Server) -> Result<Vec<Warning>, UnfitStore> {
    check(&link_to(server)).await.expect("a response")
}

#[tokio::test]
async fn a_store_in_memory_only_has_no_warning() {
    assert_eq!(checked(&Server::start(&[])).await, Ok(vec![]));
}

#[tokio::test]
async fn a_store_that_may_evict_is_refused() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lru"]);
    assert_eq!(checked(&server).await, Err(UnfitStore::Evicts("allkeys-lru".into())));
}

#[tokio::test]
async fn persistence_is_a_warning() {
    for args in [["--appendonly", "yes"], ["--save", "60 1"]] {
        assert_eq!(checked(&Server::start(&args)).await, Ok(vec![Warning::Persistent]), "{args:?}");
    }
}

#[tokio::test]
async fn replicas_without_a_minimum_and_a_backlog_that_ends_are_warnings() {
    let primary = Server::start(&["--repl-backlog-ttl", "3600", "--repl-diskless-sync-delay", "0"]);
    let _replica = Server::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port())]);
    primary.until(|server| server.info("replication").contains("state=online"));
    assert_eq!(checked(&primary).await, Ok(vec![Warning::ServesAlone, Warning::ForgetsBacklog]));
    primary.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    primary.cli(&["CONFIG", "SET", "repl-backlog-ttl", "0"]);
    assert_eq!(checked(&primary).await, Ok(vec![]));
}

#[tokio::test]
async fn a_store_that_hides_its_configuration_is_a_warning() {
    let server = Server::start(&["--rename-command", "CONFIG", "HIDDEN"]);
    assert_eq!(checked(&server).await, Ok(vec![Warning::Hidden]));
}

#[test]
fn versions_before_7_are_refused() {
    let about = |version: &str| About {
        info: format!("redis_version:{version}\r\nmaxmemory_policy:noeviction\r\n"),
        config: Some(Vec::new()),
    };
    for old in ["6.2.14", "5.0.3", "", "x"] {
        assert_eq!(about(old).judge(), Err(UnfitStore::Old(old.into())));
    }
    for fit in ["7.0.0", "7.2.4", "8.0.1", "10.0.0"] {
        assert_eq!(about(fit).judge(), Ok(vec![]));
    }
}

//! The same while a Sentinel makes another server the primary, and then the first one again.

use super::deployment::Deployment;
use super::faults::disturb;
use super::history::Trouble;
use crate::shared_store::sentinel::Sentinel;
use crate::shared_store::server::Server;
use crate::support::again;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_primary_fails_over_and_back() {
    let primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port())]);
    primary.until(|server| server.info("replication").contains("state=online"));
    let sentinel = Sentinel::over(&primary);
    let deployment = Deployment::at(primary, sentinel.port(), &["--store-sentinel", "store"]).await;
    disturb(deployment, Trouble::NewPrimary, 2, async |deployment, _| {
        let first = &deployment.site.store;
        if is(&replica, "slave") {
            first.kill();
            until(&replica, "master").await;
        } else {
            first.start_again();
            // The Sentinel makes it a replica of the new primary.
            until(first, "slave").await;
            again(async || match sentinel.cli(&["FAILOVER", "store"]) {
                said if said.contains("OK") => Ok(()),
                said => Err(said),
            })
            .await;
            until(first, "master").await;
            until(&replica, "slave").await;
        }
    })
    .await;
}

fn is(server: &Server, role: &str) -> bool {
    server.info("replication").contains(&format!("role:{role}\r\n"))
}

async fn until(server: &Server, role: &str) {
    again(async || if is(server, role) { Ok(()) } else { Err(format!("it did not become the {role}")) })
        .await;
}

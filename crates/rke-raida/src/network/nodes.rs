//! The 25 nodes of a local network.

use std::net::SocketAddr;

use rke_proto::{ContentServerId, RAIDA_COUNT, RaidaIndex};

use super::{LOOPBACK, LocalNetworkConfig, NetworkError, OTHER_PRELOADER, PRELOADERS, coin};
use crate::node::{Node, NodeConfig, NodeError};
use crate::owners::{Preloader, Preloaders};
use crate::responder::NodePolicy;

/// The policy that all nodes share.
pub(super) fn rules(config: &LocalNetworkConfig) -> NodePolicy {
    NodePolicy { preloaders: preloaders(config.cs_id), ..NodePolicy::default() }
}

/// The coins that may preload.
fn preloaders(cs_id: ContentServerId) -> Preloaders {
    let [own, second] = PRELOADERS.map(coin);
    let any = [own, second, coin(OTHER_PRELOADER)].map(Preloader::of_any);
    any.into_iter().chain([Preloader::of(own, vec![cs_id])]).collect()
}

/// Starts all nodes, RAIDA 0 first.
pub(super) async fn start_nodes(config: &LocalNetworkConfig) -> Result<Vec<Node>, NetworkError> {
    let mut nodes = Vec::with_capacity(RAIDA_COUNT);
    for raida in RaidaIndex::all() {
        let port = match config.first_raida_port {
            0 => 0,
            first => first.checked_add(raida.get().into()).ok_or(NetworkError::PortsTooHigh(first))?,
        };
        nodes.push(start_node(config, raida, SocketAddr::new(LOOPBACK, port), rules(config)).await?);
    }
    Ok(nodes)
}

pub(super) async fn start_node(
    config: &LocalNetworkConfig,
    raida: RaidaIndex,
    listen: SocketAddr,
    rules: NodePolicy,
) -> Result<Node, NodeError> {
    let coin_folders = vec![config.wallet(), config.server_wallet(), config.other_wallet()];
    let data_dir = config.dir.join(format!("raida-{raida:02}"));
    let node = NodeConfig { raida, listen, receivers: 1, coin_folders, data_dir, rules, audit_log: None };
    Node::start(node).await
}

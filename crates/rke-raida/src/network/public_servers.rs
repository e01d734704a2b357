//! Nodes that imitate public servers, for tests: a single one, or all kinds in one network.

use rke_host::wallet::Envelope1;
use rke_proto::RaidaIndex;
use rke_proto::envelope::Counter;

use super::nodes::{rules, start_node};
use super::{LocalNetwork, NetworkError, start_again};
use crate::responder::{Imitation, NodePolicy, RefusalHeader};

impl Imitation {
    /// The server that a RAIDA imitates in a network with every kind of server. 13 of 25 give wide shares, and 17
    /// give shares in envelope 4.
    pub fn of_all_kinds(raida: RaidaIndex) -> Self {
        let [refuses_in, refuses_in_long] = [RefusalHeader::Short, RefusalHeader::Long];
        match raida.get() {
            0..5 => Self::Nobody,
            5..13 => Self::GarbledEnvelope5,
            13..17 => Self::OnlyEnvelope1 { counter: Counter::Restarts, refuses_in },
            17..21 => Self::OnlyEnvelope1 { counter: Counter::Continues, refuses_in: refuses_in_long },
            21..23 => Self::NoWideShares { refuses_in },
            _ => Self::NoWideShares { refuses_in: refuses_in_long },
        }
    }
}

impl LocalNetwork {
    /// Makes the nodes imitate every kind of public server. They no longer accept preloads.
    ///
    /// # Errors
    /// As [`LocalNetwork::imitate`].
    pub async fn imitate_all_kinds(&mut self) -> Result<(), NetworkError> {
        for raida in RaidaIndex::all() {
            self.imitate(raida, Imitation::of_all_kinds(raida)).await?;
        }
        Ok(())
    }

    /// Restarts a node at the same address with its key sets, as an imitation, which also responds in envelope 1.
    ///
    /// # Errors
    /// [`NetworkError`]; then it is stopped.
    pub async fn imitate(&mut self, raida: RaidaIndex, imitates: Imitation) -> Result<(), NetworkError> {
        self.stop_node(raida).await;
        let listen = self.addresses[raida.position()];
        let rules = NodePolicy { imitates, envelope_1: Envelope1::Allowed, ..rules(&self.config) };
        let start = async || Ok(start_node(&self.config, raida, listen, rules.clone()).await?);
        self.nodes[raida.position()] = Some(start_again(start, |_| true).await?);
        Ok(())
    }
}

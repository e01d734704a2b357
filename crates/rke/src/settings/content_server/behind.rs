//! What is behind the tunnels: one thing, or an echo.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use rke_proto::coin::CoinId;
use rke_raida::content_server::PublicKey;

use super::ContentServerOptions;
use crate::launcher::Behind;

impl ContentServerOptions {
    pub(super) fn names_something_behind(&self) -> bool {
        self.exec.is_some() || self.forward.is_some() || self.wireguard.is_some() || self.psk_exec.is_some()
    }

    pub(super) fn name_nothing_behind(&mut self) {
        (self.exec, self.forward, self.wireguard, self.psk_exec) = (None, None, None, None);
    }

    /// # Errors
    /// Settings that exclude each other, or that have no effect without others.
    pub(super) fn behind(&self) -> Result<Behind> {
        if self.wireguard.is_none() && !self.wireguard_peers.is_empty() {
            bail!("--wireguard-peer has no effect without --wireguard INTERFACE");
        }
        if self.wireguard.is_none() && self.wireguard_fail_closed == Some(true) {
            bail!("--wireguard-fail-closed has no effect without --wireguard INTERFACE");
        }
        if self.psk_exec.is_none() && self.psk_format.is_some() {
            bail!("--psk-format has no effect without --psk-exec COMMAND");
        }
        Ok(match (&self.exec, &self.forward, &self.wireguard, &self.psk_exec) {
            (None, None, None, None) => Behind::Echo,
            (Some(command), None, None, None) => Behind::Exec(command.clone()),
            (None, Some(target), None, None) => Behind::Forward(target.clone()),
            (None, None, Some(interface), None) => Behind::WireGuard {
                interface: interface.clone(),
                peers: self.peers()?,
                fail_closed: self.wireguard_fail_closed.unwrap_or_default(),
            },
            (None, None, None, Some(command)) => {
                Behind::PskExec(command.clone(), self.psk_format.unwrap_or_default().into())
            }
            _ => bail!("`exec`, `forward`, `wireguard` and `psk-exec` exclude each other: name one of them"),
        })
    }

    /// The coin of each peer. With two of them, one client could lock the other one out.
    fn peers(&self) -> Result<BTreeMap<PublicKey, CoinId>> {
        let mut peers = BTreeMap::new();
        for (coin, key) in &self.wireguard_peers {
            if peers.insert(*key, *coin).is_some_and(|other| other != *coin) {
                bail!("--wireguard-peer names two coins for the peer {key}: only one client may set its key");
            }
        }
        match peers.is_empty() {
            true => bail!(
                "--wireguard needs --wireguard-peer DENOMINATION:SERIAL=PUBLIC_KEY: whose coin may set which peer's key"
            ),
            false => Ok(peers),
        }
    }
}

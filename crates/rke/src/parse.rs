//! Values of flags that several commands take.

use std::net::SocketAddr;

use rke_raida::replay::SHARES;

/// Far more than a machine has memory for.
const MAX_REPLAY_PLACES: usize = 1 << 30;

/// An address to listen on or to ask. Names have no place here: which of their addresses would it be?
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an IP address with a port is wanted, as in 127.0.0.1:8080 or [::1]:8080")
}

/// With fewer places nobody's share would hold one.
pub(crate) fn parse_replay_places(text: &str) -> Result<usize, String> {
    let places = text.parse().ok().filter(|places| (SHARES..=MAX_REPLAY_PLACES).contains(places));
    places.ok_or_else(|| format!("the number of places is from {SHARES} to {MAX_REPLAY_PLACES}"))
}

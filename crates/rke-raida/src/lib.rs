//! The other side of the exchange: RAIDA nodes, the Content Server, and a local network of them.

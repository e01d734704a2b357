//! The fast path: deletions, encryptions and decryptions by GET, served from the connection's buffer without hyper and
//! axum. `docs/decisions/0001-fast-path.md` explains why it exists. Everything else goes to hyper and the router.
//!
//! It is a strict subset of the router: each request that it serves gets the same response, the same record in log and
//! metrics, and the same effect on sessions as it would get there. Gate, observer, handlers and the rows of the route
//! table are the router's own. `daemon/tests/differential` compares the two. These invariants keep the subset strict:
//!
//! - It recognises a request by its whole head, in HTTP/1.1 and within the gate's limit for targets, and by an exact
//!   path of the table. No header may announce a body, an upgrade or the end of the connection
//!   ([`fast_path::Frequent`], `is_plain`). So the next request begins where this head ends.
//! - The decision to hand a request over comes before anything else happens. Until then the request is not counted, not
//!   checked by the gate and not recorded, and no session has changed; afterwards only the fast path responds.
//! - It never waits, except to write and to read. A request whose work may wait is handed over, such as a deletion with
//!   further parameters, the first request after the machine was suspended, and, where other machines share the sessions, each
//!   that needs more than a key that is here.
//! - Responses leave in the order of their requests: all that are complete are written before hyper gets the connection
//!   or the daemon waits for the client.
//!
//! hyper gets every byte of a request that is handed over, from its first one on. A request without a body is handed
//! over alone, and the connection comes back after its response; anything else takes the connection along for good
//! ([`fast_path::Next`]).

pub mod dispatcher;
pub(super) mod fast_path;
#[cfg(feature = "testing")]
pub mod testing;

//! Which of a client's shares are right. `docs/protocol.md` section 7, "Liars".

use rke_proto::Form;
use rke_proto::handshake::share_check::ShareCheck;
use rke_proto::handshake::{Reason, Response};

use super::{Reception, no_memory, shares_of};

impl Reception {
    /// Refuses only with 2, 8, 1, 4 and 6, and remembers nothing: a repeated check gets the same response.
    pub(super) fn check_shares(&self, check: &ShareCheck<'_>, now: u64) -> Result<Response, Reason> {
        let set = self.known.key_set(&check.prologue.context, now)?;
        // Tags of narrow shares would reveal the shares.
        if set.form != Form::Wide || check.prologue.raidas().count() < self.known.rules.required {
            return Err(Reason::WrongShares);
        }
        let shares = shares_of(set, &check.prologue).map_err(no_memory)?;
        check.respond(&shares, self.known.rules.required).map_err(no_memory)
    }
}

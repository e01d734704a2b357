//! The messages that renew a key of other programs.

use rke_fuzz::memory;
use rke_proto::preshared::{MAX_PROPOSAL_LEN, Proposal, Receipt, Response};

/// More than any decoded message occupies.
const MOST: u64 = 1024;

rke_fuzz::target!(preshared_proposal, check_proposal);
rke_fuzz::target!(preshared_response, check_response);

fn check_proposal(bytes: &[u8]) -> bool {
    let (proposal, peak) = memory::peak(|| Proposal::decode(bytes));
    assert!(peak <= MOST, "{peak} bytes");
    let Ok(proposal) = proposal else { return false };
    assert!(bytes.len() <= MAX_PROPOSAL_LEN);
    assert_eq!(proposal.to_bytes(), bytes);
    assert!(proposal.context().starts_with(&proposal.nonce));
    true
}

fn check_response(bytes: &[u8]) -> bool {
    if let Ok(receipt) = memory::none(|| Receipt::decode(bytes)) {
        assert_eq!([receipt.to_byte()], *bytes);
    }
    let Ok(response) = Response::decode(bytes) else { return false };
    // A longer reason than any end sends is taken, and cut where it is sent on.
    assert!(bytes.starts_with(&response.to_bytes()[..1]));
    true
}

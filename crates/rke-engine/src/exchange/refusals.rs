//! What refusals of RAIDAs mean to whoever has to do something about them.

use rke_proto::round::Fault;
use rke_proto::{RaidaIndex, Status};

use super::clock::ClockReading;

/// Each meaning once, however many RAIDAs have refused in that way, to go on a sentence. So many others have given a share.
pub(super) fn told(answered: usize, faults: &[(RaidaIndex, Fault)], clock: &ClockReading) -> String {
    let these = |meant: &dyn Fn(Fault) -> bool| -> Vec<RaidaIndex> {
        faults.iter().filter(|(_, fault)| meant(*fault)).map(|(raida, _)| *raida).collect()
    };
    let refused = |meant: fn(Status) -> bool| {
        these(&move |fault| matches!(fault, Fault::Refused(status) if meant(status)))
    };
    let mut text = String::new();
    match &these(&|fault| fault == Fault::Closed)[..] {
        [] => (),
        [raida] => text += &format!("; RAIDA {raida} refused: nothing listens at its port"),
        raidas => text += &format!("; {} refused: nothing listens at their ports", raidas.len()),
    }
    let coin = refused(Status::refuses_coin).len();
    if coin > 0 {
        text += &format!("; {coin} refused the wallet's coin: is this wallet the right one, and up to date?");
    }
    text += &of_time(
        &refused(|status| status == Status::BAD_PARAMETER),
        answered + refused(|_| true).len(),
        clock,
    );
    match &refused(|status| status == Status::UNKNOWN_COMMAND)[..] {
        [] => (),
        [raida] => text += &format!("; RAIDA {raida} does not know wide shares"),
        raidas => text += &format!("; {} RAIDAs do not know wide shares", raidas.len()),
    }
    text
}

/// Whose clock is wrong: this machine's where most of those say so that responded at all, else theirs.
fn of_time(refused: &[RaidaIndex], responded: usize, clock: &ClockReading) -> String {
    match refused {
        [] => String::new(),
        _ if 2 * refused.len() > responded => {
            format!("; {} refused the request's time or its coin: {clock}", refused.len())
        }
        [raida] => format!("; RAIDA {raida} refused the request's time: its clock is probably wrong"),
        _ => format!("; {} refused the request's time: their clocks are probably wrong", refused.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told where RAIDAs fail in these ways, RAIDA 0 first, and so many others give shares.
    fn told_of(faults: impl IntoIterator<Item = Fault>, answered: usize) -> String {
        let faults: Vec<_> = RaidaIndex::all().zip(faults).collect();
        told(answered, &faults, &ClockReading::sample(1_800_000_000))
    }

    fn refused(status: Status, count: usize) -> impl Iterator<Item = Fault> {
        std::iter::repeat_n(Fault::Refused(status), count)
    }

    #[test]
    fn each_meaning_is_told_once() {
        assert_eq!(told_of(refused(Status::INTERNAL, 25), 0), "");
        assert_eq!(told_of([Fault::Silent, Fault::Unreachable], 0), "");
        let unknown = |count| told_of(refused(Status::UNKNOWN_COMMAND, count), 0);
        assert_eq!(unknown(1), "; RAIDA 0 does not know wide shares");
        assert_eq!(unknown(25), "; 25 RAIDAs do not know wide shares");
        let closed = |count| told_of(std::iter::repeat_n(Fault::Closed, count), 0);
        assert_eq!(closed(1), "; RAIDA 0 refused: nothing listens at its port");
        assert_eq!(closed(25), "; 25 refused: nothing listens at their ports");
        let coin = told_of(refused(Status::COIN_NOT_FOUND, 20).chain(refused(Status::BAD_HMAC, 5)), 0);
        assert!(coin.starts_with("; 25 refused the wallet's coin: "), "{coin}");
        let all = told_of([Fault::Closed, Fault::Refused(Status::BAD_HMAC)], 0);
        assert!(all.contains("port; 1 refused the wallet's coin"), "{all}");
    }

    #[test]
    fn a_time_that_most_refuse_is_this_machines_fault_and_one_that_few_refuse_is_theirs() {
        let time = |refusing, answered| told_of(refused(Status::BAD_PARAMETER, refusing), answered);
        let own = "refused the request's time or its coin: this machine's clock is probably wrong. It said \
                   2027-01-15T08:00:00Z, and";
        for (refusing, answered) in [(25, 0), (13, 12), (1, 0)] {
            let text = time(refusing, answered);
            assert!(text.starts_with(&format!("; {refusing} {own}")), "{text}");
            assert!(text.ends_with("is the wallet's coin authentic?"), "{text}");
        }
        assert_eq!(time(1, 12), "; RAIDA 0 refused the request's time: its clock is probably wrong");
        assert_eq!(time(12, 12), "; 12 refused the request's time: their clocks are probably wrong");
        let others = refused(Status::BAD_PARAMETER, 2).chain(refused(Status::INTERNAL, 20));
        assert_eq!(told_of(others, 0), "; 2 refused the request's time: their clocks are probably wrong");
    }
}

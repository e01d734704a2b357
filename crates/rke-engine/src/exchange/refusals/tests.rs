use super::*;

/// The description when RAIDAs fail in these ways, RAIDA 0 first, and `answered` others give shares.
fn told_of(faults: impl IntoIterator<Item = Fault>, answered: usize) -> String {
    let faults: Vec<_> = RaidaIndex::all().zip(faults).collect();
    describe(answered, &faults, &ClockReading::sample(1_800_000_000))
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

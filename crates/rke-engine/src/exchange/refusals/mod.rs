//! What refusals of RAIDAs mean for the person who has to fix them.

use rke_proto::round::Fault;
use rke_proto::{RaidaIndex, Status};

use super::clock::ClockReading;

/// Describes each kind of refusal once, however many RAIDAs refused that way, as the continuation of a sentence.
/// `answered` others have given a share.
pub(super) fn describe(answered: usize, faults: &[(RaidaIndex, Fault)], clock: &ClockReading) -> String {
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

/// Which clock is wrong: this machine's if most of the RAIDAs that responded refused the time, otherwise theirs.
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
mod tests;

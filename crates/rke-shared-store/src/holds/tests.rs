use std::time::Duration;

use super::*;

#[derive(Default)]
struct Wiped(Mutex<Vec<[u8; 16]>>);

impl Holder for Wiped {
    fn wipe(&self, id: &Id) {
        lock(&self.0).push(id.0);
    }
}

fn holds() -> (Arc<Holds>, Arc<Wiped>) {
    let wiped = Arc::new(Wiped::default());
    (Arc::new(Holds::new(Arc::<Wiped>::clone(&wiped))), wiped)
}

fn name(byte: u8) -> Name {
    Name([byte; 16])
}

fn install(holds: &Arc<Holds>, byte: u8) -> Result<(), Overtaken> {
    let flight = holds.begin(vec![name(byte)]);
    finish(flight, byte)
}

fn finish(flight: Flight, byte: u8) -> Result<(), Overtaken> {
    let until = BootTime::now().after(Duration::from_secs(60));
    flight.install(name(byte), Id([byte; 16]), DomainTag([byte; 8]), until, || ())
}

#[test]
fn an_announcement_wipes_the_copy() {
    let (holds, wiped) = holds();
    install(&holds, 1).expect("installed");
    install(&holds, 2).expect("installed");
    holds.end(&Which::One(name(1)));
    assert_eq!(*lock(&wiped.0), [[1; 16]]);
    assert_eq!(holds.len(), 1);
}

#[test]
fn an_announcement_that_overtakes_its_record_keeps_it_from_being_installed() {
    for which in [Which::One(name(1)), Which::All, Which::Domains(vec![DomainTag([1; 8])])] {
        let (holds, _) = holds();
        let flight = holds.begin(vec![name(9), name(1)]);
        holds.end(&which);
        assert_eq!(finish(flight, 1), Err(Overtaken));
        assert_eq!(holds.len(), 0);
        install(&holds, 1).expect("a later fetch is not affected");
    }
}

#[test]
fn an_announcement_of_another_record_changes_nothing() {
    let (holds, wiped) = holds();
    let flight = holds.begin(vec![name(1)]);
    holds.end(&Which::One(name(2)));
    finish(flight, 1).expect("installed");
    assert!(lock(&wiped.0).is_empty());
}

#[test]
fn a_domain_s_deletion_wipes_the_copies_of_that_domain_only() {
    let (holds, wiped) = holds();
    (1..=3).for_each(|byte| install(&holds, byte).expect("installed"));
    holds.end(&Which::Domains(vec![DomainTag([7; 8]), DomainTag([2; 8])]));
    assert_eq!(*lock(&wiped.0), [[2; 16]]);
}

#[test]
fn a_flight_that_was_dropped_leaves_nothing() {
    let (holds, _) = holds();
    drop(holds.begin(vec![name(1), name(2)]));
    assert!(lock(&holds.table).flights.is_empty());
}

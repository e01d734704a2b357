use super::*;

const ANNA: char = 'a';
const BERT: char = 'b';

type Memory = ReplayMemory<char, u32, u32>;

fn remember(memory: &mut Memory, key: u32, holders: &[char], until: u64) -> Result<(), Full> {
    memory.remember(key, holders, key * 2, (1000, until))
}

#[test]
fn what_is_remembered_is_found_until_its_time_is_over() {
    let mut memory = Memory::new(32);
    for (key, until) in [(1, 1301), (2, 1300), (3, 1302)] {
        assert_eq!(remember(&mut memory, key, &[], until), Ok(()));
    }
    let found = |memory: &mut Memory, now| [1, 2, 3].map(|key| memory.look_up(&key, now).copied());
    assert_eq!(found(&mut memory, 1299), [Some(2), Some(4), Some(6)]);
    assert_eq!(found(&mut memory, 1300), [Some(2), None, Some(6)]);
    assert_eq!(found(&mut memory, 1301), [None, None, Some(6)]);
    assert_eq!(found(&mut memory, 1302), [None; 3]);
    assert!(memory.is_empty() && memory.held.is_empty() && memory.due.is_empty());
}

#[test]
fn a_full_memory_refuses_and_forgets_nothing() {
    let mut memory = Memory::new(32);
    for key in 0..32 {
        let holder = char::from_u32(key / 2 + 97).expect("a letter");
        assert!(memory.has_room(&[holder], 1000), "{key}");
        assert_eq!(remember(&mut memory, key, &[holder], 1301), Ok(()));
    }
    assert!(!memory.has_room(&['z'], 1000) && !memory.has_room(&[], 1000));
    assert_eq!(remember(&mut memory, 32, &['z'], 1301), Err(Full));
    assert_eq!(remember(&mut memory, 32, &[], 1301), Err(Full));
    assert!((0..32).all(|key| memory.look_up(&key, 1300) == Some(&(key * 2))));
    assert_eq!(memory.look_up(&32, 1300), None);
}

#[test]
fn a_holder_gets_a_sixteenth_and_the_others_their_own() {
    let mut memory = Memory::new(64);
    for key in 0..4 {
        assert_eq!(remember(&mut memory, key, &[ANNA], 1301), Ok(()));
    }
    assert!(!memory.has_room(&[ANNA], 1000) && memory.has_room(&[BERT], 1000));
    assert_eq!(remember(&mut memory, 4, &[ANNA], 1301), Err(Full));
    assert_eq!(remember(&mut memory, 4, &[BERT, ANNA], 1301), Err(Full), "each of them counts");
    assert_eq!(memory.held.get(&BERT), None, "a refusal costs nothing");
    for key in 4..8 {
        assert_eq!(remember(&mut memory, key, &[BERT], 1301), Ok(()));
    }
    assert_eq!(memory.len(), 8);
}

#[test]
fn both_holders_pay_and_one_that_is_named_twice_pays_once() {
    let mut memory = Memory::new(32);
    assert_eq!(remember(&mut memory, 1, &[ANNA, ANNA], 1301), Ok(()));
    assert_eq!(remember(&mut memory, 2, &[ANNA, BERT], 1301), Ok(()));
    assert_eq!((memory.held[&ANNA], memory.held[&BERT]), (2, 1));
    assert!(!memory.has_room(&[ANNA], 1000) && memory.has_room(&[BERT], 1000));
}

#[test]
fn places_are_free_again_when_the_time_is_over() {
    let mut memory = Memory::new(16);
    assert_eq!(remember(&mut memory, 1, &[ANNA], 1100), Ok(()));
    assert!(!memory.has_room(&[ANNA], 1099));
    assert!(memory.has_room(&[ANNA], 1100));
    assert_eq!(memory.remember(2, &[ANNA], 0, (1100, 1200)), Ok(()));
}

#[test]
fn what_is_remembered_already_stays_and_takes_no_second_place() {
    let mut memory = Memory::new(16);
    assert_eq!(memory.remember(1, &[ANNA], 7, (1000, 1100)), Ok(()));
    assert_eq!(memory.remember(1, &[ANNA], 8, (1000, 1200)), Ok(()));
    assert_eq!(memory.look_up(&1, 1099), Some(&7));
    assert_eq!(memory.len(), 1);
    assert_eq!(memory.look_up(&1, 1100), None);
}

#[test]
fn places_are_taken_as_they_are_needed() {
    let memory = Memory::new(DEFAULT_PLACES);
    assert_eq!((memory.entries.capacity(), memory.held.capacity()), (0, 0));
}

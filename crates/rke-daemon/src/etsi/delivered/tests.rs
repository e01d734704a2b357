use rke_proto::export::etsi::{EtsiKeyId, KeySize, SaeId};

use super::*;

const SESSION: KeyId = KeyId([7; 16]);

fn sae(text: &str) -> SaeId {
    SaeId::new(text).expect("an SAE ID")
}

fn id(number: u32) -> EtsiKeyId {
    let [a, b, c, d] = number.to_be_bytes();
    EtsiKeyId::new(&SESSION, KeySize::DEFAULT, [a, b, c, d, 0, 0, 0])
}

#[test]
fn a_key_is_handed_out_once_to_each_of_the_two() {
    let (alice, bob, [here, there]) = (sae("alice"), sae("bob"), [(); 2].map(|()| Delivered::default()));
    let key = EtsiKey { id: id(1), master: &alice, slave: &bob };
    assert_eq!(here.make(SESSION, &key), Ok(()));
    assert_eq!(here.make(SESSION, &key), Err(Withheld::Repeated));
    assert_eq!(there.fetch(&[(SESSION, key)]), Ok(()));
    assert_eq!(there.fetch(&[(SESSION, key)]), Err(Withheld::Repeated));
    // Another SAE does not use it up.
    let other = EtsiKey { id: id(1), master: &alice, slave: &alice };
    assert_eq!(there.fetch(&[(SESSION, other)]), Ok(()));
}

#[test]
fn a_key_is_not_fetched_where_it_was_made() {
    let (alice, bob, delivered) = (sae("alice"), sae("bob"), Delivered::default());
    let key = |master, slave| EtsiKey { id: id(1), master, slave };
    assert_eq!(delivered.make(SESSION, &key(&alice, &bob)), Ok(()));
    for (master, slave) in [(&alice, &bob), (&bob, &alice)] {
        assert_eq!(delivered.fetch(&[(SESSION, key(master, slave))]), Err(Withheld::MadeHere));
    }
    // An SAE that shares keys with itself makes and fetches them at the same end.
    assert_eq!(delivered.fetch(&[(SESSION, key(&alice, &alice))]), Ok(()));
}

#[test]
fn several_keys_are_fetched_together_or_not_at_all() {
    let (alice, bob, delivered) = (sae("alice"), sae("bob"), Delivered::default());
    let key = |number| (SESSION, EtsiKey { id: id(number), master: &alice, slave: &bob });
    assert_eq!(delivered.fetch(&[key(1), key(2), key(1)]), Err(Withheld::Repeated));
    assert_eq!(delivered.fetch(&[key(2), key(1)]), Ok(()));
}

#[test]
fn a_full_session_hands_out_nothing_more_and_forgets_nothing() {
    let (alice, delivered) = (sae("alice"), Delivered::default());
    let key = |number| EtsiKey { id: id(number), master: &alice, slave: &alice };
    for number in 0..MOST as u32 {
        assert_eq!(delivered.make(SESSION, &key(number)), Ok(()));
        assert_eq!(delivered.fetch(&[(SESSION, key(number))]), Ok(()));
    }
    assert_eq!(delivered.room(&SESSION), 0);
    assert_eq!(delivered.make(SESSION, &key(MOST as u32)), Err(Withheld::Full));
    assert_eq!(delivered.fetch(&[(SESSION, key(MOST as u32))]), Err(Withheld::Full));
    assert_eq!(delivered.fetch(&[(SESSION, key(0))]), Err(Withheld::Repeated));
    delivered.retain(|session| *session != SESSION);
    assert_eq!(delivered.room(&SESSION), MOST);
}

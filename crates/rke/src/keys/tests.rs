use super::*;

#[test]
fn of_many_coins_the_first_are_named_and_the_others_counted() {
    let named = |count: u32| coins(&(0..count).map(|serial| format!("0:{serial}")).collect::<Vec<_>>());
    assert_eq!((named(0), named(1)), (String::new(), "0:0".into()));
    assert_eq!(named(4), "0:0 0:1 0:2 0:3");
    assert_eq!(named(25), "0:0 0:1 0:2 0:3 and 21 more");
}

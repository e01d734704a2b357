use super::*;

#[test]
fn there_is_no_raida_25() {
    assert!(RaidaIndex::new(24).is_some() && RaidaIndex::new(25).is_none());
}

#[test]
fn bitmap_of_the_even_raidas() {
    let even: Bitmap = RaidaIndex::all().filter(|raida| raida.get() % 2 == 0).collect();
    assert_eq!(even.to_bytes(), [0x01, 0x55, 0x55, 0x55]);
    assert_eq!(even.count(), 13);
    assert_eq!(even.iter().last(), RaidaIndex::new(24));
}

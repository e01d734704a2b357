use super::*;

const FIPS_197_A_3: &str = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4\
    9ba354118e6925afa51a8b5f2067fcdea8b09c1a93d194cdbe49846eb75d5b9a";

fn schedule() -> Vec<u8> {
    Finder::new().expand(&hex::decode(&FIPS_197_A_3[..64]).expect("hex"))
}

#[test]
fn expands_the_keys_of_fips_197() {
    let schedule = schedule();
    assert_eq!(schedule.len(), SCHEDULE_LEN);
    assert_eq!(hex::encode(&schedule[..64]), FIPS_197_A_3);
    assert_eq!(hex::encode(&schedule[224..]), "fe4890d1e6188d0b046df344706c631e");
    let short = Finder::new().expand(&hex::decode("2b7e151628aed2a6abf7158809cf4f3c").expect("hex"));
    assert_eq!(hex::encode(&short[160..]), "d014f9a8c9ee2589e13f0cc8b6630ca6");
}

#[test]
fn finds_a_schedule_at_any_offset_in_either_byte_order_and_no_damaged_one() {
    let (finder, schedule) = (Finder::new(), schedule());
    let noise: Vec<u8> = (0..4096_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert_eq!(finder.count(&noise), 0);
    for at in [0, 1, 1023, noise.len() - SCHEDULE_LEN] {
        for form in [schedule.clone(), reverse_words(&schedule)] {
            let mut memory = noise.clone();
            memory[at..at + SCHEDULE_LEN].copy_from_slice(&form);
            assert_eq!(finder.count(&memory), 1, "at {at}");
            memory[at + 200] ^= 1;
            assert_eq!(finder.count(&memory), 0, "at {at}, damaged");
        }
    }
}

#[test]
fn the_decryption_form_unmixes_all_but_the_first_and_the_last_round_key() {
    // The columns of FIPS 197's example of mixing.
    let (mixed, unmixed) = ([0x8E, 0x4D, 0xA1, 0xBC].repeat(4), [0xDB, 0x13, 0x53, 0x45].repeat(4));
    let form = decryption_form(&[mixed.clone(), mixed.clone(), mixed.clone()].concat());
    assert_eq!(form, [mixed.clone(), unmixed, mixed].concat());
}

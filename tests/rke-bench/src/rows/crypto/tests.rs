use super::*;

#[test]
fn the_speed_is_the_last_field_of_its_line() {
    assert_eq!(speed_in("+F:25:AES-256-CTR:7730855936.00"), Some(7_730_855_936.0));
    assert_eq!(speed_in("+H:8192"), None);
}

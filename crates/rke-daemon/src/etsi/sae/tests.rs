use super::*;

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, content.len() as u8], content].concat()
}

fn attribute(kind: &[u8], tag: u8, text: &[u8]) -> Vec<u8> {
    der(SET, &der(SEQUENCE, &[der(OBJECT_ID, kind), der(tag, text)].concat()))
}

#[test]
fn the_last_common_name_counts_in_any_kind_of_text() {
    let organisation = attribute(&[0x55, 0x04, 0x0A], 0x0C, b"An operator");
    for tag in TEXTS {
        let name = [organisation.clone(), attribute(&COMMON_NAME, tag, b"SAE_1")].concat();
        assert_eq!(common_name(&name), Some("SAE_1"));
        let second = [name, attribute(&COMMON_NAME, tag, b"SAE_2")].concat();
        assert_eq!(common_name(&second), Some("SAE_2"));
    }
    assert_eq!(common_name(&organisation), None);
}

#[test]
fn what_is_cut_or_no_text_is_no_name() {
    let name = attribute(&COMMON_NAME, 0x0C, b"SAE_1");
    for end in 0..name.len() {
        assert_eq!(common_name(&name[..end]), None, "{end}");
    }
    assert_eq!(common_name(&attribute(&COMMON_NAME, 0x1E, b"\0S")), None, "two bytes for a character");
    assert_eq!(common_name(&attribute(&COMMON_NAME, 0x0C, &[0xFF])), None, "no UTF-8");
    assert_eq!(common_name(&[SET, 0x83, 0, 0, 1, 0]), None);
}

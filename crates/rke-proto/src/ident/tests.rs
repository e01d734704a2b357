use super::*;

#[test]
fn content_server_ids_keep_their_case_and_their_bounds() {
    for good in ["A", "content-Server01", "!", "~", "an-id-of-thirty-two-characters--"] {
        assert_eq!(ContentServerId::new(good).map(|id| id.to_string()).as_deref(), Some(good));
    }
    for bad in
        ["", "an-id-of-thirty-three-characters-", " x", "x ", "a space", "tab\tx", "\u{7f}", "\u{e9}", "\0"]
    {
        assert!(ContentServerId::new(bad).is_none(), "{bad:?}");
    }
}

#[test]
fn an_id_longer_than_its_field_is_cut_on_the_wire_only() {
    let id = ContentServerId::new("CLOUDCOIN_CONTENT").expect("an ID");
    assert_eq!(id.as_str(), "CLOUDCOIN_CONTENT");
    assert_eq!(id.padded(), b"CLOUDCOIN_CONTEN");
    assert_eq!(ContentServerId::from_padded(*id.padded()), Some(id));
    assert_eq!((id.lower_case().as_str(), id == id.lower_case()), ("cloudcoin_content", false));
}

#[test]
fn a_padded_field_decodes_to_what_was_padded() {
    let id = ContentServerId::new("CS").unwrap_or_else(|| unreachable!());
    assert_eq!(ContentServerId::from_padded(*id.padded()), Some(id));
    let mut holed = *id.padded();
    holed[5] = b'x';
    assert!(ContentServerId::from_padded(holed).is_none());
    assert!(ContentServerId::from_padded([0; 16]).is_none());
}

#[test]
fn every_printable_byte_but_the_space_may_be_in_an_id() {
    for byte in 0..=u8::MAX {
        let is_good = (0x21..=0x7E).contains(&byte);
        assert_eq!(ContentServerId::from_wire_text(&[b'A', byte, b'B']).is_some(), is_good, "{byte:#x}");
        let mut field = [b'A'; CSID_LEN];
        field[CSID_LEN - 1] = byte;
        assert_eq!(ContentServerId::from_padded(field).is_some(), is_good || byte == 0, "{byte:#x}");
    }
    assert!(ContentServerId::from_wire_text(&[b'A'; MAX_TEXT_LEN]).is_some());
    assert!(ContentServerId::from_wire_text(&[b'A'; MAX_TEXT_LEN + 1]).is_none());
}

#[test]
fn key_sets_run_from_1_to_255() {
    assert_eq!(KeySetId::parse("K17").map(KeySetId::get), Some(17));
    assert_eq!(KeySetId::parse("k255").map(KeySetId::get), Some(255));
    for bad in ["k0", "k256", "k", "1", "k01", "k+1", "k1x"] {
        assert!(KeySetId::parse(bad).is_none(), "{bad}");
    }
}

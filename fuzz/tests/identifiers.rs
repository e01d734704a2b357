//! Content Server IDs and key sets' numbers, in text and on the wire.

use rke_fuzz::memory;
use rke_proto::ident::CSID_LEN;
use rke_proto::{ContentServerId, KeySetId};

rke_fuzz::target!(content_server_id, check_cs_id);
rke_fuzz::target!(content_server_id_field, check_field);
rke_fuzz::target!(key_set, check_key_set);

fn check_cs_id(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some(id) = memory::none(|| ContentServerId::new(text)) else { return false };
    assert_eq!(id.as_str(), text);
    assert_eq!(ContentServerId::from_padded(*id.padded()), Some(id), "{text:?} comes back from the wire");
    assert_eq!(ContentServerId::from_wire_text(bytes), Some(id));
    true
}

fn check_field(bytes: &[u8]) -> bool {
    let Ok(field) = <[u8; CSID_LEN]>::try_from(bytes) else { return false };
    let Some(id) = memory::none(|| ContentServerId::from_padded(field)) else { return false };
    assert_eq!(*id.padded(), field);
    true
}

fn check_key_set(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some(id) = memory::none(|| KeySetId::parse(text)) else { return false };
    assert_eq!(id.to_string(), text.to_ascii_lowercase());
    assert_eq!(KeySetId::new(id.get()), Some(id));
    true
}

use rke_proto::coin::CoinId;
use rke_proto::handshake::KeyId;

use super::*;

fn client(coin: Option<CoinId>) -> User {
    User::Session(Client { key_id: KeyId([0xAB; 16]), domain: "content.example".into(), coin })
}

#[test]
fn a_command_learns_what_is_true_of_its_user() {
    let key_id = ("RKE_SESSION_KEY_ID", "ab".repeat(16));
    let (domain, coin) = (("RKE_DOMAIN", "content.example".into()), ("RKE_COIN", "0:42".into()));
    let proven = client(Some(CoinId { denomination: 0, serial: 42 }));
    assert_eq!(proven.variables(), [coin, domain.clone(), key_id.clone()]);
    assert_eq!(client(None).variables(), [domain, key_id]);
    let live = User::Live([1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(live.variables(), [("RKE_SESSION", "0102030405060708".into())]);
}

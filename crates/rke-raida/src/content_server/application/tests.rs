use std::ffi::OsStr;

use super::process::shell;
use super::*;

fn client(coin: Option<CoinId>) -> User {
    User::Session(Client { key_id: KeyId([0xAB; 16]), domain: "content.example".into(), coin })
}

/// What the command finds: `None` where a variable is taken out.
fn environment(user: &User) -> Vec<(String, Option<String>)> {
    let shell = shell("true", VARIABLES.into_iter().zip(user.values()));
    let text = |text: &OsStr| text.to_str().expect("UTF-8").to_owned();
    shell.as_std().get_envs().map(|(name, value)| (text(name), value.map(text))).collect()
}

fn expected(values: [Option<&str>; 4]) -> Vec<(String, Option<String>)> {
    VARIABLES.map(str::to_owned).into_iter().zip(values.map(|value| value.map(str::to_owned))).collect()
}

#[test]
fn a_command_finds_what_is_true_of_its_user_and_inherits_nothing_else_of_it() {
    let (coin, key_id) = (CoinId { denomination: 0, serial: 42 }, "ab".repeat(16));
    let (domain, key_id) = (Some("content.example"), Some(key_id.as_str()));
    assert_eq!(environment(&client(Some(coin))), expected([Some("0:42"), domain, None, key_id]));
    assert_eq!(environment(&client(None)), expected([None, domain, None, key_id]));
    let live = User::Live([1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(environment(&live), expected([None, None, Some("0102030405060708"), None]));
}

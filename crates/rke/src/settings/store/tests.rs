use super::*;

/// The settings that a file of this text has.
fn settled(text: &str) -> Result<Option<Sharing>, String> {
    let address: StoreAddressOptions = toml::from_str(text).map_err(|error| error.to_string())?;
    let options: StoreOptions = toml::from_str(text).map_err(|error| error.to_string())?;
    options.settle(address).map_err(|error| error.to_string())
}

#[test]
fn without_a_store_nothing_is_shared() {
    assert_eq!(settled(""), Ok(None));
    assert_eq!(settled("store-cluster = false"), Ok(None));
}

#[test]
fn a_store_has_addresses_a_key_file_and_a_hold() {
    let sharing = |deployment, hold| Sharing {
        addresses: Addresses { urls: vec!["redis://127.0.0.1:1".into()], deployment },
        key_file: "/key".into(),
        hold: Duration::from_millis(hold),
    };
    let store = "store = 'redis://127.0.0.1:1'\nstore-key-file = '/key'\n";
    assert_eq!(settled(store), Ok(Some(sharing(Deployment::Single, 1000))));
    let cluster = format!("{store}store-cluster = 'on'\nhold = 100\n");
    assert_eq!(settled(&cluster), Ok(Some(sharing(Deployment::Cluster, 100))));
    let sentinel = format!("{store}store-sentinel = 'main'\n");
    assert_eq!(settled(&sentinel), Ok(Some(sharing(Deployment::Sentinel("main".into()), 1000))));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let store = "store = 'redis://127.0.0.1:1'\n";
    for (text, words) in [
        ("store-key-file = '/key'", "--store-key-file has no effect without --store"),
        ("hold = 1000", "--hold has no effect without --store"),
        ("store-sentinel = 'main'", "--store-sentinel has no effect without --store"),
        ("store-cluster = true", "--store-cluster has no effect without --store"),
        (store, "--store needs --store-key-file"),
        (&format!("{store}store-sentinel = 'main'\nstore-cluster = true"), "exclude each other"),
        ("hold = 99", "99 is not in 100..=10000"),
        ("hold = 10001", "10001 is not in 100..=10000"),
        ("store = 'http://127.0.0.1:1'\nstore-key-file = '/key'", "is not the address of a store"),
        ("store = 'redis://192.0.2.1:1'\nstore-key-file = '/key'", "not encrypted"),
    ] {
        let error = settled(text).expect_err(text);
        assert!(error.contains(words), "{text:?}: {error}");
    }
}

use super::*;

fn parsed(url: &str) -> Result<ConnectionInfo, AddressError> {
    parse(url)
}

#[test]
fn each_scheme_of_redis_and_valkey_is_known() {
    for url in [
        "redis://127.0.0.1:1",
        "valkey://localhost:1",
        "rediss://store.example:1",
        "valkeys://store.example:1",
        "redis://[::1]:1",
        "redis+unix:///run/redis.sock",
    ] {
        assert!(parsed(url).is_ok(), "{url}: {:?}", parsed(url).err());
    }
    for url in ["", "http://127.0.0.1", "127.0.0.1:6379", "redis:/127.0.0.1", "redis://"] {
        assert!(matches!(parsed(url), Err(AddressError::Invalid(_))), "{url}");
    }
}

#[test]
fn a_store_beyond_this_machine_needs_tls() {
    for url in ["redis://192.0.2.1:1", "valkey://store.example:1", "redis://u:p@[2001:db8::1]:1"] {
        assert!(matches!(parsed(url), Err(AddressError::WithoutTls(_))), "{url}");
    }
}

#[test]
fn no_error_shows_a_password() {
    for url in ["http://user:secret@host", "redis://user:secret@store.example:1", "x://a:secret@b@c"] {
        let error = parsed(url).expect_err("an error").to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_connection_speaks_resp3() {
    let info = parsed("redis://127.0.0.1:1").expect("an address");
    assert_eq!(format!("{:?}", info.redis_settings().protocol()), "RESP3");
}

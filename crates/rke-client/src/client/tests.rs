use super::*;

#[test]
fn a_response_that_ends_where_its_connection_does_shows_no_end() {
    for (name, value, shown) in [
        ("transfer-encoding", "chunked", true),
        ("content-length", "7", true),
        ("connection", "close", false),
    ] {
        let head = HeaderMap::from_iter([(name.parse().expect("a name"), HeaderValue::from_static(value))]);
        assert_eq!(shows_its_end(&head), shown, "{name}");
    }
}

#[test]
fn an_address_may_come_from_a_browser() {
    for (given, address) in [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://localhost:8080/", "localhost:8080"),
        ("unix:/run/rke.sock", "unix:/run/rke.sock"),
    ] {
        assert_eq!(Client::new(given).address(), address);
    }
}

#[tokio::test]
async fn a_daemon_that_says_nothing_is_left_after_the_limit() {
    // Connections wait in its queue, as they do where a daemon is stopped.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let client = Client::new(&address).with_timeout(Duration::from_millis(50));
    let sent = || &b"data"[..];
    for outcome in [
        client.status().await.map(drop),
        client.events().await.map(drop),
        client.seal_stream("00", sent(), b"").await.map(drop),
        client.tunnel("00", sent()).await.map(drop),
    ] {
        let error = outcome.expect_err("nobody answers");
        assert!(matches!(error, Error::Silent { .. }), "{error}");
        assert_eq!(error.to_string(), format!("the daemon at {address} has not responded within 0.05 s"));
    }
}

use super::*;

fn passes(rules: &OriginRules, text: &str) -> bool {
    rules.pass(text, Some(Own { scheme: "http", host: "127.0.0.1:8080" }))
}

fn rules(loopback: LoopbackOrigins) -> OriginRules {
    let listed = ["https://App.Example", "chrome-extension://abcdefghijklmnop"];
    let listed = listed.into_iter().filter_map(Origin::parse).collect();
    OriginRules { listed, null: NullOrigin::Refused, loopback }
}

#[test]
fn its_own_loopback_and_listed_origins_pass() {
    let rules = rules(LoopbackOrigins::Allowed);
    for text in [
        "http://127.0.0.1:8080",
        "http://localhost",
        "https://LOCALHOST:1",
        "http://[::1]:3000",
        "https://app.example",
        "https://app.example:443",
        "chrome-extension://abcdefghijklmnop",
    ] {
        assert!(passes(&rules, text), "{text}");
    }
    for text in [
        "",
        "null",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example/",
        "https://app.example.evil.test",
        "https://evil.app.example",
        "http://localhost.evil.test",
        "http://127.evil.test",
        "http://[::ffff:127.0.0.1]:8080",
        "http://[::ffff:7f00:1]",
        "http://[0:0:0:0:0:0:0:1]:3000",
        "http://localhost@evil.test",
        "ftp://localhost",
        "http://localhost http://evil.test",
        "localhost",
        "://localhost",
        "chrome-extension://other",
    ] {
        assert!(!passes(&rules, text), "{text}");
    }
}

#[test]
fn loopback_origins_and_null_follow_the_settings() {
    let mut rules = rules(LoopbackOrigins::Refused);
    assert!(passes(&rules, "http://127.0.0.1:8080") && passes(&rules, "https://app.example"));
    assert!(!passes(&rules, "http://127.0.0.1:08080") && !passes(&rules, "https://127.0.0.1:8080"));
    assert!(!passes(&rules, "http://127.0.0.1:8081") && !passes(&rules, "http://localhost:8080"));
    rules.null = NullOrigin::Allowed;
    assert!(passes(&rules, "null") && !passes(&rules, "NULL"));
}

use super::*;

fn guardians(urls: &[&str]) -> Result<Guardians, GuardianError> {
    Guardians::new(&urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>())
}

#[test]
fn a_guardian_is_an_https_url_or_one_of_this_machine() {
    for (url, server, target, authority) in [
        ("https://g.example/host.txt", "g.example:443", "/host.txt", "g.example"),
        (
            "https://G.example.:8443/a/coin4.txt?x=1#y",
            "g.example:8443",
            "/a/coin4.txt?x=1",
            "g.example.:8443",
        ),
        (
            "https://m\u{fc}nchen.example/host.txt",
            "xn--mnchen-3ya.example:443",
            "/host.txt",
            "xn--mnchen-3ya.example",
        ),
        ("https://192.0.2.7/host.txt", "192.0.2.7:443", "/host.txt", "192.0.2.7"),
        ("http://127.0.0.1:8000/host.txt", "127.0.0.1:8000", "/host.txt", "127.0.0.1:8000"),
        ("http://[::1]/host.txt", "[::1]:80", "/host.txt", "[::1]"),
    ] {
        let guardian = Guardian::parse(url).unwrap_or_else(|error| panic!("{error}"));
        let shown = (guardian.server().to_string(), guardian.target(), guardian.authority());
        assert_eq!(shown, (server.into(), target, authority), "{url}");
        assert_eq!(guardian.tls_name().is_some(), url.starts_with("https"), "{url}");
    }
}

#[test]
fn what_is_no_guardian_is_refused_and_the_message_names_it() {
    for (url, part) in [
        ("g.example/host.txt", "is not a URL"),
        ("ftp://g.example/host.txt", "is not a URL"),
        ("https:///host.txt", "names no file"),
        ("https://g.example:0/host.txt", "is not a URL"),
        ("https://g ex/host.txt", "is not a URL"),
        ("http://g.example/host.txt", "has no TLS"),
        ("http://10.0.0.1/host.txt", "has no TLS"),
        ("http://localhost/host.txt", "has no TLS"),
        ("https://user:secret@g.example/host.txt", "has a user"),
        ("https://g.example", "names no file"),
    ] {
        let error = Guardian::parse(url).expect_err(url).to_string();
        assert!(error.contains(part) && error.contains("--guardian"), "{url}: {error}");
    }
}

#[test]
fn there_are_none_or_three_at_different_places() {
    let [one, two, three] = ["a", "b", "c"].map(|host| format!("https://{host}.example/host.txt"));
    assert!(guardians(&[]).is_ok_and(|none| none.is_empty()));
    assert_eq!(guardians(&[&one]), Err(GuardianError::TooFew(1)));
    assert_eq!(guardians(&[&one, &two]), Err(GuardianError::TooFew(2)));
    assert!(guardians(&[&one, &two, &three]).is_ok_and(|three| three.count() == 3));
    for again in [&one, "https://a.example/coin1.txt", "https://A.example:443/host.txt"] {
        assert_eq!(guardians(&[&one, &two, again]), Err(GuardianError::Twice("a.example:443".into())));
    }
    let (there, back) = (guardians(&[&one, &two, &three]), guardians(&[&three, &two, &one]));
    assert_eq!(there.map(|there| there.urls()), back.map(|back| back.urls()));
}

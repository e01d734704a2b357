use super::*;

fn sets(texts: &[&str]) -> KeySets {
    Records::parse(texts.iter().copied()).key_sets(&Directory::default(), Reach::Public)
}

fn servers(count: u8, key_sets: &str) -> String {
    (0..count).map(|i| format!("192.0.2.{i}:5000 {key_sets} raida={i}\n")).collect()
}

#[test]
fn reads_a_whole_domain() {
    let servers = servers(25, "k1 K2");
    let sets = sets(&[
        "K1 = Content_Server",
        "k2=OTHER",
        &servers,
        "Required RAIDAS >= 15",
        "required share-bytes>=32",
    ]);
    assert_eq!((sets.required, sets.form, sets.warnings.len()), (15, Some(Form::Wide), 0));
    let chosen = sets.choose().map(|set| (set.key_set.get(), set.cs_id.to_string(), set.servers.len()));
    assert_eq!(chosen, Some((1, "Content_Server".into(), 25)));
    assert_eq!(sets.all.len(), 2);
}

#[test]
fn never_requires_fewer_than_13() {
    for (text, required) in [("raidas = 13", 13), ("required raidas>=3", 13), ("raidas=25", 25), ("", 13)] {
        assert_eq!(sets(&[text]).required, required, "{text}");
    }
    assert_eq!(sets(&["raidas>=14\nraidas>=20\nraidas>=13"]).required, 20);
}

#[test]
fn sessions_are_live_unless_the_record_asks_for_more() {
    for (text, form) in [
        ("", Some(Form::Live)),
        ("share-bytes = 1", Some(Form::Live)),
        ("required handshake>=2", Some(Form::Live)),
        ("required share-bytes >= 32", Some(Form::Wide)),
        ("required share-bytes>=64", None),
        ("required handshake>=3", Some(Form::Handshake3Narrow)),
        ("required share-bytes>=1\nHandshake = 3", Some(Form::Handshake3Narrow)),
        ("required handshake>=3\nrequired share-bytes>=32", Some(Form::Wide)),
        ("required handshake>=4", None),
        ("required handshake>=4\nrequired share-bytes>=32", None),
    ] {
        assert_eq!(sets(&[text]).form, form, "{text}");
    }
}

#[test]
fn takes_the_lowest_key_set_with_enough_servers() {
    let few = servers(12, "k1");
    let many = servers(13, "k7").replace("192.0.2.", "198.51.100.");
    let chosen = sets(&["k1=A\nk7=B", &few, &many]).choose().map(|set| set.key_set.get());
    assert_eq!(chosen, Some(7));
    assert!(sets(&["k1=A", &few]).choose().is_none());
}

#[test]
fn warns_of_what_it_leaves_out() {
    for (text, warnings) in [
        ("challenge = abc", 1),
        ("v=spf1 -all", 1),
        ("k1 = a-content-server-id-that-is-far-too-long", 1),
        ("k1=A\nk1=B", 1),
        ("k1=A\n192.0.2.1:1 k1", 1),
        ("k1=A\n192.0.2.1:1 k1 raida=25", 1),
        ("k1=A\n192.0.2.1:1 raida=1", 1),
        ("k1=A\n192.0.2.1:1 k1 raida=1\n192.0.2.2:1 k1 raida=1", 1),
        ("192.0.2.1:1 k3 raida=1", 1),
        ("k1=A\n192.0.2.1:1 k1 raida=+1", 1),
        ("raidas>=many", 1),
        ("raidas>=+14", 1),
        ("required share-bytes", 1),
        ("raida7.example:50007 k1", 1),
        ("k1=A\n[2001:db8::7]:50007 k1 raida=7", 0),
    ] {
        assert_eq!(sets(&[text]).warnings.len(), warnings, "{text}");
    }
}

#[test]
fn what_people_put_around_lines_is_taken_off_and_warned_about() {
    let plain = sets(&["k1 = A", &servers(13, "k1"), "required share-bytes>=32"]);
    for (texts, mended) in [
        (vec!["\"k1 = A\"".to_owned(), servers(13, "k1"), "required share-bytes>=32;".into()], 2),
        (vec![format!("k1 = A\\n{}\\nrequired share-bytes>=32", servers(13, "k1").replace('\n', "\\n"))], 0),
        (
            vec![
                "\u{feff}k1 = 'A' ;".into(),
                servers(13, "k1"),
                "\u{201c}required share-bytes>=32\u{201d};".into(),
            ],
            2,
        ),
    ] {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = sets(&texts);
        assert_eq!((&found.all, found.form), (&plain.all, plain.form), "{texts:?}");
        assert_eq!((found.left_out, found.warnings.len()), (0, mended), "{:?}", found.warnings);
    }
}

#[test]
fn what_is_wrong_with_a_line_is_said() {
    for (line, reason) in [
        ("raida7.example:50007 k1", "a server is named by its address"),
        ("192.0.2.7 k1", "the server's port is missing"),
        ("2001:db8::7 k1", "the server's port is missing"),
        ("k1: CONTENT", "a key set is written as"),
        ("k1 CONTENT", "a key set is written as"),
        ("required sharebytes>=32", "not a requirement that there is"),
        ("v=spf1 -all", "not understood"),
    ] {
        let found = sets(&[line]);
        assert!(found.left_out == 1 && found.warnings[0].starts_with(reason), "{:?}", found.warnings);
        assert!(found.warnings[0].ends_with(line));
    }
}

#[test]
fn a_requirement_with_a_typo_is_not_taken_for_none() {
    for line in [
        "required share_bytes>=32",
        "share bytes >= 32",
        "requird share-bytes=>32",
        "required share-bytes>=many",
        "Handshake: 3",
        "required share-bytes \u{2265} 32",
    ] {
        assert!(sets(&["k1=A", line]).unclear.is_some_and(|shown| shown.contains(": ")), "{line}");
    }
    for line in ["v=spf1 -all", "challenge = abc", "k1 CONTENT", "required share-bytes>=32"] {
        assert_eq!(sets(&["k1=A", line]).unclear, None, "{line}");
    }
}

#[test]
fn servers_that_may_not_be_asked_are_left_out_and_named_first() {
    let victim: String = (0..25).map(|i| format!("198.51.100.7:53 k1 raida={i}\n")).collect();
    let found = sets(&["v=spf1 -all", "k1=A", &victim]);
    assert!(found.choose().is_none() && found.all[0].servers.is_empty());
    let warnings = ["one address for several RAIDAs: 198.51.100.7:53", "not understood: v=spf1 -all"];
    assert_eq!(found.warnings, warnings);
    let good = servers(13, "k1");
    let mixed = format!("{good}10.0.0.5:1 k1 raida=20\n[ff02::1]:1 k1 raida=21\n192.0.2.99:0 k1 raida=22");
    let found = sets(&["k1=A", &mixed]);
    assert_eq!((found.all[0].servers.len(), found.warnings.len()), (13, 3));
    assert!(found.warnings[0].contains("--allow-private-raidas"), "{:?}", found.warnings);
    let everywhere = Records::parse(["k1=A", &mixed]).key_sets(&Directory::default(), Reach::Everywhere);
    assert_eq!((everywhere.all[0].servers.len(), everywhere.warnings.len()), (14, 2));
}

#[test]
fn an_addressee_that_is_spelled_in_several_ways_is_one() {
    let keep = |texts: [&str; 2], reach| {
        let texts = [&["k1=A"], &texts[..]].concat();
        Records::parse(texts).key_sets(&Directory::default(), reach).all[0].servers.len()
    };
    // Endpoint by endpoint, as a network on one machine has them.
    for (texts, everywhere) in [
        (["127.0.0.7:4000 k1 raida=1", "[::ffff:127.0.0.7]:4000 k1 raida=2"], 0),
        (["198.51.100.7:4000 k1 raida=1", "[64:ff9b::198.51.100.7]:4000 k1 raida=2"], 0),
        (["198.51.100.7:4000 k1 raida=1", "[2002:c633:6407::1]:4000 k1 raida=2"], 0),
        (["127.0.0.7:4000 k1 raida=1", "[::ffff:127.0.0.7]:4001 k1 raida=2"], 2),
        (["198.51.100.7:4000 k1 raida=1", "198.51.100.7:4001 k1 raida=2"], 2),
    ] {
        assert_eq!(
            (keep(texts, Reach::Public), keep(texts, Reach::Everywhere)),
            (0, everywhere),
            "{texts:?}"
        );
    }
    for apart in [
        ["198.51.100.7:4000 k1 raida=1", "198.51.100.8:4000 k1 raida=2"],
        ["198.51.100.7:4000 k1 raida=1", "[2001:db8::7]:4000 k1 raida=2"],
    ] {
        assert_eq!(keep(apart, Reach::Public), 2, "{apart:?}");
    }
    // All of its ports together are named once.
    let ports: String = (0..25).map(|i| format!("198.51.100.7:{} k1 raida={i}\n", 4000 + i)).collect();
    assert_eq!(sets(&["k1=A", &ports]).warnings, ["one address for several RAIDAs: 198.51.100.7:4000"]);
}

#[test]
fn an_endpoint_of_two_key_sets_is_one_raida() {
    let found = sets(&["k1=A\nk2=B", &servers(13, "k1"), &servers(13, "k2")]);
    assert_eq!((found.all[0].servers.len(), found.all[1].servers.len()), (13, 13));
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
}

#[test]
fn the_directory_gives_an_endpoint_no_second_index() {
    let endpoint = "192.0.2.9:7".parse().unwrap_or_else(|_| unreachable!());
    let raida = RaidaIndex::new(9).unwrap_or_else(|| unreachable!());
    let directory = Directory::new(vec![(endpoint, raida)]);
    let records = Records::parse(["k1=A\n192.0.2.9:7 k1 raida=8\n192.0.2.9:7 k1"]);
    assert!(records.key_sets(&directory, Reach::Public).all[0].servers.is_empty());
}

#[test]
fn the_directory_names_servers_that_the_record_does_not() {
    let endpoint = "192.0.2.9:7".parse().unwrap_or_else(|_| unreachable!());
    let raida = RaidaIndex::new(9).unwrap_or_else(|| unreachable!());
    let directory = Directory::new(vec![(endpoint, raida)]);
    let sets = Records::parse(["k1=A\n192.0.2.9:7 k1"]).key_sets(&directory, Reach::Public);
    assert_eq!(sets.all[0].servers, [(raida, endpoint)]);
}

/// Where guardians say nothing of the first, and of two others something else than the records.
#[test]
fn guardians_give_an_index_only_where_nobody_else_does() {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|_| unreachable!());
    let raida = |index| RaidaIndex::new(index).unwrap_or_else(|| unreachable!());
    let agreed = [("192.0.2.1:1", 1), ("192.0.2.2:2", 12), ("192.0.2.3:3", 13), ("192.0.2.4:4", 2)];
    let agreed = agreed.map(|(endpoint, index)| (at(endpoint), raida(index))).to_vec();
    let directory = Directory::new(vec![(at("192.0.2.3:3"), raida(3))]).with_agreed(agreed);
    let texts = ["k1=A", "192.0.2.4:4 k1", "192.0.2.1:1 k1", "192.0.2.2:2 k1 raida=2", "192.0.2.3:3 k1"];
    let sets = |texts: &[&str]| Records::parse(texts.iter().copied()).key_sets(&directory, Reach::Public);
    let found = sets(&texts);
    let expected =
        [(raida(1), at("192.0.2.1:1")), (raida(2), at("192.0.2.2:2")), (raida(3), at("192.0.2.3:3"))];
    assert_eq!(found.all[0].servers, expected, "the record of RAIDA 2 stands behind the other in DNS");
    assert_eq!(found.warnings, ["a second server for RAIDA 2 in k1: 192.0.2.4:4"]);
    // A second line without an index does not count as a second index.
    let found = sets(&["k1=A", "192.0.2.2:2 k1", "192.0.2.2:2 k1 raida=2", "192.0.2.9:9 k1"]);
    assert_eq!(found.all[0].servers, [(raida(2), at("192.0.2.2:2"))]);
    assert_eq!(found.unindexed, 2, "{:?}", found.warnings);
}

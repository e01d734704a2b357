use super::*;

#[test]
fn reads_names_and_both_kinds_of_addresses() {
    let text = "# ours\nraida0.example:50000 0\n\n192.0.2.7:50007 7\r\n[2001:db8::7]:50007  8 ";
    let hosts: Vec<_> = parse(text).into_iter().flatten().map(|line| (line.host, line.port)).collect();
    assert_eq!(hosts.len(), 3);
    assert_eq!(hosts[2], ("2001:db8::7".into(), 50007));
}

#[test]
fn names_the_line_that_is_wrong() {
    for bad in ["x:1 25", "x 1", "x:1", ":1 1", "x:70000 1", "x:1 1 1", "x:1 -1", "x:1 +1", "x:+1 1"] {
        assert_eq!(parse(&format!("a:1 1\n{bad}")).map_err(|e| e.line), Err(2), "{bad}");
    }
}

#[test]
fn finds_by_endpoint_then_by_a_host_that_is_unambiguous() {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|_| unreachable!());
    let raida = |index| RaidaIndex::new(index).unwrap_or_else(|| unreachable!());
    let directory = Directory::new(vec![
        (at("127.0.0.1:1"), raida(1)),
        (at("127.0.0.1:2"), raida(2)),
        (at("192.0.2.3:3"), raida(3)),
    ]);
    assert_eq!(directory.index_of(at("127.0.0.1:2")), Some(raida(2)));
    assert_eq!(directory.index_of(at("127.0.0.1:9")), None);
    assert_eq!(directory.index_of(at("192.0.2.3:9")), Some(raida(3)));
    let directory = directory.with_others(vec![(at("[2001:db8::3]:3"), raida(3))]);
    assert_eq!(directory.index_of(at("[2001:db8::3]:3")), Some(raida(3)));
    assert!(directory.lists(at("192.0.2.3:3"), raida(3)) && directory.lists(at("[2001:db8::3]:3"), raida(3)));
    assert!(!directory.lists(at("192.0.2.3:9"), raida(3)) && !directory.lists(at("192.0.2.3:3"), raida(1)));
    assert_eq!(directory.entries().len(), 3);
    let agreed =
        directory.clone().with_agreed(vec![(at("127.0.0.1:2"), raida(9)), (at("192.0.2.4:4"), raida(4))]);
    assert_eq!(
        (agreed.index_of(at("127.0.0.1:2")), agreed.index_of(at("192.0.2.4:4"))),
        (Some(raida(2)), None)
    );
    assert_eq!(agreed.agreed_index_of(at("192.0.2.4:9")), Some(raida(4)));
    assert_eq!(directory.with_agreed_of(&agreed).agreed_index_of(at("192.0.2.4:4")), Some(raida(4)));
}

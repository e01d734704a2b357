use super::*;

const HOSTS: &str = "# the RAIDAs\n192.0.2.7:50007 r7\r\n\n[2001:db8::8]:50008 R8\n192.0.2.8:50008 m8\n";
const COIN: &str = "raida7.example:50007 7-0-4-P\n192.0.2.9:50009 9-1-x-p\n192.0.2.10:50010 9-1-x-M\n# end";

fn named(text: &str) -> Vec<String> {
    let lines = GuardianList::parse(text).lines.into_iter();
    lines.map(|line| format!("{} {} {}", line.host, line.port, line.raida)).collect()
}

#[test]
fn both_forms_are_read_and_mirrors_and_comments_are_skipped() {
    assert_eq!(named(HOSTS), ["192.0.2.7 50007 7", "2001:db8::8 50008 8"]);
    assert_eq!(named(COIN), ["raida7.example 50007 7", "192.0.2.9 50009 9"]);
    for text in [HOSTS, COIN, ""] {
        assert!(GuardianList::parse(text).warnings.is_empty(), "{text}");
    }
    assert_eq!(named(&format!("\u{feff}{HOSTS}{COIN}")).len(), 3, "the forms may be mixed");
}

#[test]
fn what_cannot_be_read_is_skipped_and_said() {
    for (line, reason) in [
        ("192.0.2.1:1", "not a server and its RAIDA"),
        ("192.0.2.1:1 r1 r2", "not a server and its RAIDA"),
        ("192.0.2.1 r1", "not a server,"),
        ("192.0.2.1:70000 r1", "not a server,"),
        (":1 r1", "not a server,"),
        ("192.0.2.1:1 1", "not a RAIDA"),
        ("192.0.2.1:1 x1", "not a RAIDA"),
        ("192.0.2.1:1 1-0-P", "not a RAIDA"),
        ("192.0.2.1:1 1-0-0-Q", "not a RAIDA"),
        ("192.0.2.1:1 r", "no such RAIDA index"),
        ("192.0.2.1:1 r25", "no such RAIDA index"),
        ("192.0.2.1:1 m25", "no such RAIDA index"),
        ("192.0.2.1:1 r+1", "no such RAIDA index"),
        ("192.0.2.1:1 25-0-0-P", "no such RAIDA index"),
        ("192.0.2.1:1 r999999999999999999999", "no such RAIDA index"),
        ("192.0.2.1:1 r7", "a second server for the same RAIDA"),
    ] {
        let list = GuardianList::parse(&format!("192.0.2.7:50007 r7\n{line}\n192.0.2.8:50008 r8"));
        assert_eq!(list.lines.len(), 2, "{line}");
        assert!(list.warnings[0].starts_with(&format!("line 2: {reason}")), "{:?}", list.warnings);
        assert_eq!(list.warnings.len(), 1);
    }
    let page = "<p>no list</p>\n".repeat(100);
    assert_eq!(GuardianList::parse(&page).warnings.len(), MAX_WARNINGS + 1);
}

#[test]
fn there_is_one_server_for_each_raida_at_most() {
    let many: String = (0..60).map(|at| format!("192.0.2.{at}:50000 r{at}\n")).collect();
    let list = GuardianList::parse(&format!("{many}{many}"));
    assert_eq!(list.lines.len(), 25);
}

#[test]
fn a_list_that_is_cut_or_altered_at_any_byte_is_read_as_far_as_it_goes() {
    for text in [HOSTS, COIN] {
        for cut in 0..=text.len() {
            assert!(GuardianList::parse(&text[..cut]).lines.len() <= 2);
            for byte in [b' ', b':', b'-', b'[', b']', b'r', b'9', b'\n', 0, 0xFF] {
                let mut altered = text.as_bytes().to_vec();
                altered.insert(cut, byte);
                assert!(GuardianList::parse(&String::from_utf8_lossy(&altered)).lines.len() <= 3);
            }
        }
    }
}

#[test]
fn addresses_that_dns_may_not_name_a_guardian_may_not_either() {
    let raida = |index| RaidaIndex::new(index).unwrap_or_else(|| unreachable!());
    let at = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|_| unreachable!());
    let named = |reach| {
        let resolved = vec![
            (at("8.8.8.8:1"), raida(1)),
            (at("8.8.8.8:1"), raida(2)),
            (at("8.8.8.9:3"), raida(3)),
            (at("8.8.8.9:3"), raida(3)),
            (at("127.0.0.1:4"), raida(4)),
            (at("224.0.0.1:5"), raida(5)),
            (at("8.8.8.8:0"), raida(6)),
        ];
        let mut warnings = Vec::new();
        let usable = usable(resolved, reach, &mut warnings);
        (usable.iter().map(|(_, raida)| raida.get()).collect::<Vec<_>>(), warnings.len())
    };
    assert_eq!(named(Reach::Public), (vec![3], 4));
    assert_eq!(named(Reach::Everywhere), (vec![3, 4], 3));
}

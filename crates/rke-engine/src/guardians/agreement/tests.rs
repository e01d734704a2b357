use super::*;

/// A list from entries such as `7@1`: RAIDA 7 at port 1.
fn list(text: &str) -> List {
    let entry = |word: &str| {
        let (raida, port) = word.split_once('@')?;
        let endpoint = SocketAddr::from(([192, 0, 2, 1], port.parse().ok()?));
        Some((endpoint, RaidaIndex::new(raida.parse().ok()?)?))
    };
    text.split_whitespace().map(|word| entry(word).expect("an entry")).collect()
}

fn shown(lists: &[&str], guardians: usize) -> String {
    let lists: Vec<List> = lists.iter().map(|text| list(text)).collect();
    let shown = agreed(lists.iter(), needed(guardians)).into_iter().map(|(raida, agreed)| {
        let ports: Vec<String> = agreed.endpoints.iter().map(|at| at.port().to_string()).collect();
        format!("{raida}@{}x{}", ports.join("+"), agreed.guardians)
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_majority_of_all_and_three_at_least_have_to_agree() {
    let wanted: Vec<usize> = (3..=9).map(needed).collect();
    assert_eq!(wanted, [3, 3, 3, 4, 4, 5, 5]);
    assert_eq!((needed(26), needed(0)), (14, 3));
}

#[test]
fn one_that_lies_changes_nothing_and_without_a_majority_nothing_is_said() {
    let good = "0@1 1@2";
    assert_eq!(shown(&[good, good, good], 3), "0@1x3 1@2x3");
    assert_eq!(shown(&[good, good, "0@1 1@9"], 3), "0@1x3");
    assert_eq!(shown(&[good, good, good, "0@2 1@1"], 4), "0@1x3 1@2x3");
    assert_eq!(shown(&[good, good, good, "0@2 1@1"], 7), "", "three of seven are no majority");
    assert_eq!(shown(&[good, good], 3), "");
    assert_eq!(shown(&["0@1", "0@1", "0@2", "0@2"], 4), "");
    assert_eq!(shown(&[good, good, good, good, "0@1"], 7), "0@1x5 1@2x4");
}

#[test]
fn a_raida_may_have_several_addresses() {
    assert_eq!(shown(&["0@1 0@2", "0@1 0@2", "0@2 0@1", "0@1"], 4), "0@1+2x3");
}

#[test]
fn who_contradicts_is_known_and_who_says_less_does_not() {
    let agreed = agreed(vec![list("0@1 1@2"); 3].iter(), 3);
    for (text, expected) in [
        ("0@1 1@2", ""),
        ("0@1", ""),
        ("", ""),
        ("0@1 1@2 2@3", ""),
        ("0@1 1@9", "1"),
        ("0@2 1@1", "0 1"),
        ("2@1", "0"),
    ] {
        let raidas: Vec<String> =
            contradicted(&list(text), &agreed).iter().map(ToString::to_string).collect();
        assert_eq!(raidas.join(" "), expected, "{text}");
    }
}

use super::*;

fn query(text: &str) -> Query<'_> {
    Query::new(text)
}

#[test]
fn reads_percent_and_form_encoding() {
    let query = query("a=x%20y+z%2B&b=&c&d=%C3%A9");
    assert_eq!(query.required("a").expect("a"), "x y z+");
    assert_eq!(query.required("d").expect("d"), "\u{e9}");
    assert!(query.required("b").is_err() && query.required("c").is_err() && query.required("e").is_err());
}

#[test]
fn a_switch_is_true_or_false_and_nothing_else() {
    assert!(query("a=true").flag("a").expect("a") && !query("a=false").flag("a").expect("a"));
    assert!(!query("b=true").flag("a").expect("a"));
    for text in ["a=", "a", "a=1", "a=TRUE", "a=true&a=true"] {
        assert!(query(text).flag("a").is_err(), "{text}");
    }
}

#[test]
fn only_named_parameters_pass_where_that_is_asked_for() {
    for text in ["", "&", "domain=x", "domain=x&forget=true&"] {
        assert!(query(text).only(&["domain", "forget"]).is_ok(), "{text}");
    }
    for text in ["domian=x", "forget=true&Domain=x", "session_id", "domain[]=x"] {
        assert!(query(text).only(&["domain", "forget"]).is_err(), "{text}");
    }
}

#[test]
fn refuses_what_is_ambiguous() {
    for text in ["a=1&a=2", "a=%ff", "a=%00", "a=1&a="] {
        let failure = query(text).required("a").expect_err(text);
        assert!(String::from_utf8_lossy(&failure.to_json()).contains("Missing or invalid 'a' parameter"));
    }
}

#[test]
fn a_plus_in_base64_may_arrive_as_a_space() {
    for text in ["p=+/+/", "p=%2B/%2B/", "p=%20/+/", "p=%2b%2f%2b%2F"] {
        assert_eq!(query(text).base64("p").expect(text), [0xFB, 0xFF, 0xBF]);
    }
    for text in ["p=abc", "p=!!!!", "p=YQ", "p=YR==", "p=YQ%3", "p=Y%%3D=", "p=YWF%", "p=%59%5", "p=Y-E_"] {
        assert!(query(text).base64("p").is_err(), "{text}");
    }
}

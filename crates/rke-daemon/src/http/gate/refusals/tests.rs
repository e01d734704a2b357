use super::*;

#[test]
fn counts_each_rule_and_keeps_the_last() {
    let refusals = Refusals::default();
    let origin: HeaderValue = "x".repeat(300).parse().expect("a value");
    refusals.add(Rule::Host, None, Attempt::Read);
    refusals.add(Rule::Origin, Some(&origin), Attempt::DeleteSession);
    refusals.add(Rule::Origin, Some(&origin), Attempt::DeleteSession);
    let all = refusals.all();
    assert_eq!(all.counts, BTreeMap::from([(Rule::Host, 1), (Rule::Origin, 2)]));
    let last = all.last.clone().expect("a refusal");
    assert_eq!((last.rule.name(), last.origin.map(|text| text.len())), ("origin", Some(256)));
    assert_eq!((last.attempt, all.total()), (Attempt::DeleteSession, 3));
}

#[test]
fn a_page_sees_what_was_refused_to_itself() {
    let refusals = Refusals::default();
    let add = |rule, origin: &str| {
        let origin = HeaderValue::from_str(origin).expect("a value");
        refusals.add(rule, Some(&origin), Attempt::OpenSession);
    };
    let total = |origin: &str| refusals.seen_by(&Viewer::Page(Page::new(origin))).total();
    refusals.add(Rule::Fetch, None, Attempt::OpenSession);
    add(Rule::Fetch, "http://localhost:3000");
    add(Rule::Method, "http://LOCALHOST:3000");
    add(Rule::Origin, "http://evil.test");
    assert_eq!((total("http://localhost:3000"), total("http://localhost:3001")), (2, 0));
    assert_eq!(total("http://evil.test"), 0, "it is not let in");
    let last = refusals.seen_by(&Viewer::Page(Page::new("http://localhost:3000"))).last;
    assert_eq!(last.map(|last| last.rule), Some(Rule::Method));
    assert_eq!(refusals.seen_by(&Viewer::NullOrigin).total(), 0);
    assert_eq!(refusals.seen_by(&Viewer::Program).total(), 4);
    // Many other pages make the first lose its counts, while one that is refused again and again keeps them.
    for port in 4000..4100 {
        add(Rule::Fetch, &format!("http://localhost:{port}"));
        add(Rule::Fetch, "http://localhost:3001");
    }
    assert_eq!((total("http://localhost:3000"), total("http://localhost:3001")), (0, 100));
    assert_eq!(refusals.lock().of_pages.len(), MAX_PAGES);
}

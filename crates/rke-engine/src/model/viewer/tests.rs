use super::*;

#[test]
fn a_page_sees_what_its_origin_opened_and_a_program_sees_all() {
    let (one, other) = (Page::new("http://localhost:3000"), Page::new("http://localhost:3001"));
    let viewers = [Viewer::Program, Viewer::Page(Page::new(one.origin())), Viewer::NullOrigin];
    for (opened_for, seen) in [
        (Some(&one), [true, true, false]),
        (Some(&other), [true, false, false]),
        (None, [true, false, false]),
    ] {
        assert_eq!(viewers.each_ref().map(|viewer| viewer.sees(opened_for)), seen, "{opened_for:?}");
    }
    assert_eq!(viewers.each_ref().map(Viewer::page), [None, Some(&one), None]);
}

#[test]
fn a_page_is_kept_once_and_only_as_long_as_somebody_has_it() {
    let pages = Pages::default();
    let kept = pages.of("http://localhost:1");
    kept.note_change();
    for port in 2..10_000 {
        pages.of(&format!("http://localhost:{port}"));
    }
    assert_eq!(pages.of("http://localhost:1").changes(), 1);
    assert!(pages.0.lock().expect("unpoisoned").capacity() < 16);
}

#[test]
fn origins_are_compared_as_browsers_write_them() {
    for (given, written) in [
        ("http://localhost:3000", "http://localhost:3000"),
        ("HTTP://LocalHost:80", "http://localhost"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:443", "http://app.example:443"),
        ("https://[::1]:80", "https://[::1]:80"),
        ("http://[::80]", "http://[::80]"),
        ("chrome-extension://abc:80", "chrome-extension://abc:80"),
    ] {
        assert_eq!(Page::new(given).origin(), written);
    }
}

#[test]
fn a_page_takes_one_word_of_a_session() {
    assert_eq!(size_of::<Option<Page>>(), size_of::<usize>());
}

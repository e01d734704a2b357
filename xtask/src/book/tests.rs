use std::collections::BTreeSet;

use super::links::{check_links, tags};
use super::*;

/// What pictures and pages may be, in bytes.
const MOST_OF_A_PICTURE: usize = 30_000;
const MOST_OF_ALL: usize = 1_200_000;

#[test]
fn the_pages_are_those_of_the_documents() {
    let built = built().expect("a book");
    let folder = root().join(PAGES);
    let written = names_in(&folder).expect("pages").into_iter().map(|name| {
        let content = fs::read_to_string(folder.join(&name)).expect("a page");
        (name, content)
    });
    let written: Files = written.collect();
    let differ = |name: &&String| built.get(*name) != written.get(*name);
    let stale: BTreeSet<&String> = built.keys().chain(written.keys()).filter(differ).collect();
    assert!(stale.is_empty(), "run cargo xtask book: {stale:?} are out of date");
    assert_eq!(read(NAMES).expect("names"), super::names(&built), "run cargo xtask book");
}

#[test]
fn nothing_in_a_page_loads_from_elsewhere_and_only_the_theme_runs() {
    let files = built().expect("a book");
    for (name, tag) in files.iter().flat_map(|(name, content)| tags(content).map(move |tag| (name, tag))) {
        let kind = tag.split_whitespace().next().unwrap_or_default();
        // It applies the theme of the console, and the page is whole without it.
        assert!(kind != "script" || tag == "script src=\"../console/theme.js\"", "{tag} in {name}");
        for forbidden in ["iframe", "form", "object", "embed", "image", "foreignObject"] {
            assert!(kind != forbidden, "{forbidden} in {name}");
        }
        for forbidden in [" onclick=", " onload=", "javascript:", "src=\"http", "xlink:", "@import"] {
            assert!(!tag.contains(forbidden), "{forbidden} in {name}: {tag}");
        }
        let is_page = name.ends_with(".html");
        assert!(!is_page || kind != "style" && !tag.contains(" style="), "{name} has a style: {tag}");
    }
    for (name, content) in &files {
        assert_eq!(
            content.matches("url(").count(),
            content.matches("url(#").count(),
            "{name} loads something"
        );
        assert!(!content.contains("@import"), "{name} loads something");
    }
}

#[test]
fn the_book_is_small() {
    let files = built().expect("a book");
    for (name, content) in files.iter().filter(|(name, _)| name.ends_with(".svg")) {
        assert!(content.len() <= MOST_OF_A_PICTURE, "{name} has {} bytes", content.len());
    }
    let all: usize = files.values().map(String::len).sum();
    assert!(all <= MOST_OF_ALL, "the book has {all} bytes");
}

#[test]
fn every_document_is_a_chapter() {
    let chapters = chapters(&read("docs/SUMMARY.md").expect("a summary")).expect("chapters");
    for folder in ["docs", "docs/decisions", "docs/readers"] {
        for name in names_in(&root().join(folder)).expect("documents") {
            let path = format!("{folder}/{name}");
            let is_chapter = chapters.iter().any(|chapter| chapter.source == path);
            assert!(
                is_chapter || !name.ends_with(".md") || name == "SUMMARY.md",
                "{path} is not in docs/SUMMARY.md"
            );
        }
    }
}

#[test]
fn a_link_to_a_page_or_an_anchor_that_is_not_there_is_found() {
    let page = |link: &str| {
        let html = format!("<h2 id=\"here\">Here</h2><a href=\"{link}\">there</a>");
        Files::from([("one.html".to_owned(), html), ("two.html".to_owned(), "<p id=\"below\">".to_owned())])
    };
    for good in ["#here", "two.html", "two.html#below", "../", "https://example.com/"] {
        assert!(check_links(&page(good)).is_ok(), "{good}");
    }
    for wrong in ["#nowhere", "three.html", "two.html#here", "two.md", "../else"] {
        assert!(check_links(&page(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn every_status_of_the_interface_has_an_anchor_among_the_errors() {
    let files = built().expect("a book");
    let interface: serde_json::Value =
        serde_json::from_str(&read("docs/openapi.json").expect("a document")).expect("JSON");
    let paths = interface["paths"].as_object().expect("paths").values();
    let operations = paths.filter_map(|path| path.as_object()).flatten().map(|(_, operation)| operation);
    let responses = operations.filter_map(|operation| operation["responses"].as_object()).flatten();
    let errors: BTreeSet<&String> =
        responses.map(|(status, _)| status).filter(|status| status.as_str() >= "400").collect();
    assert!(errors.len() > 10, "{errors:?}");
    for status in errors {
        assert!(files["errors.html"].contains(&format!(" id=\"error-{status}\"")), "{status}");
    }
}

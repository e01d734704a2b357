//! Every link of the book, followed: to pages and pictures that it has, and to anchors that these pages have.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::Files;

/// Where the daemon has other pages, as seen from the book.
const OF_THE_DAEMON: [&str; 6] = [
    "../",
    "../docs",
    "../openapi.json",
    "../console/icon.svg",
    "../console/theme.js",
    "../console/console.css",
];

/// Fails at the first link that leads nowhere.
pub(super) fn check_links(files: &Files) -> Result<()> {
    let pages = || files.iter().filter(|(name, _)| name.ends_with(".html"));
    for (name, html) in pages() {
        let ids: Vec<&str> = values(html, "id").collect();
        let once: BTreeSet<&str> = ids.iter().copied().collect();
        ensure!(ids.len() == once.len(), "{name} has an id twice: {ids:?}");
        for link in values(html, "href").chain(values(html, "src")) {
            ensure!(leads_somewhere(files, name, link), "{name} has a link to {link}, which is not there");
        }
    }
    Ok(())
}

fn leads_somewhere(files: &Files, page: &str, link: &str) -> bool {
    if OF_THE_DAEMON.contains(&link) || ["https://", "http://"].iter().any(|scheme| link.starts_with(scheme))
    {
        return true;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let file = match path {
        "" => page,
        "./" => "index.html",
        path => path,
    };
    let target = files.get(file);
    target.is_some_and(|html| anchor.is_none_or(|anchor| values(html, "id").any(|id| id == anchor)))
}

/// The values of an attribute, as tags have them. In text, what opens a tag is escaped.
fn values<'a>(html: &'a str, attribute: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let start = format!(" {attribute}=\"");
    tags(html).filter_map(move |tag| Some(tag.split_once(start.as_str())?.1.split_once('"')?.0))
}

/// What stands in each tag.
pub(super) fn tags(html: &str) -> impl Iterator<Item = &str> {
    html.split('<').skip(1).filter_map(|part| Some(part.split_once('>')?.0))
}

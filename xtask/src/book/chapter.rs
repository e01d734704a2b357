//! The chapters of the book, in the order of `docs/SUMMARY.md`.

use anyhow::{Context, Result, ensure};
use mdbook_summary::{Link, SummaryItem, parse_summary};

use super::file_name;

/// A chapter: what it is called, where its text lies, and the name of its page.
#[derive(Debug, Clone)]
pub(super) struct Chapter {
    pub(super) name: String,
    /// Its path from the top of the project.
    pub(super) source: String,
    pub(super) page: String,
    /// The title of the part that begins with it.
    pub(super) part: Option<String>,
    /// The page of the chapter that it is part of. Lists of chapters show it only there.
    pub(super) within: Option<String>,
}

/// All chapters. No two of them have the same page.
pub(super) fn chapters(summary: &str) -> Result<Vec<Chapter>> {
    let summary = parse_summary(summary).context("cannot read docs/SUMMARY.md")?;
    let mut chapters = Vec::new();
    let mut part = None;
    let items = [summary.prefix_chapters, summary.numbered_chapters, summary.suffix_chapters];
    for item in items.into_iter().flatten() {
        match item {
            SummaryItem::PartTitle(title) => part = Some(title),
            SummaryItem::Link(link) => add(&link, part.take(), None, &mut chapters)?,
            _ => {}
        }
    }
    for (number, one) in chapters.iter().enumerate() {
        let twice = chapters[..number].iter().find(|other| other.page == one.page);
        ensure!(twice.is_none(), "docs/SUMMARY.md makes two pages with the name {}", one.page);
    }
    Ok(chapters)
}

fn add(link: &Link, part: Option<String>, within: Option<&str>, chapters: &mut Vec<Chapter>) -> Result<()> {
    let location = link.location.as_deref().and_then(|path| path.to_str());
    let location = location.with_context(|| format!("{} in docs/SUMMARY.md has no file", link.name))?;
    let source = from_top("docs", location);
    let page = page_of(&source);
    let within = within.map(str::to_owned);
    chapters.push(Chapter { name: link.name.clone(), source, page: page.clone(), part, within });
    for item in &link.nested_items {
        if let SummaryItem::Link(nested) = item {
            add(nested, None, Some(&page), chapters)?;
        }
    }
    Ok(())
}

/// The name of the page of a source. All pages lie in one folder.
fn page_of(source: &str) -> String {
    let parts: Vec<&str> = source.split('/').collect();
    match parts[..] {
        ["docs", "README.md"] => "index.html".to_owned(),
        [.., folder, "README.md"] => format!("{folder}.html"),
        _ => file_name(source).to_lowercase().replace(".md", ".html"),
    }
}

/// The path from the top of the project of what is named in a folder.
pub(super) fn from_top(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

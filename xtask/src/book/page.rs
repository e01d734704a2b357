//! The page around the text of a chapter: head, list of chapters, sections of this one, the chapters before and after.

use super::chapter::Chapter;
use super::text::Text;

/// The page of a chapter.
pub(super) fn page(chapters: &[Chapter], number: usize, text: &Text) -> String {
    let chapter = &chapters[number];
    let before = number.checked_sub(1).map(|number| &chapters[number]);
    let name = escaped(&chapter.name);
    let title =
        if chapter.page == "index.html" { "rke: the book".to_owned() } else { format!("{name} · rke") };
    let list = list(chapters, chapter);
    let sections = sections(text);
    let turn = turn(before, chapters.get(number + 1));
    let text = &text.html;
    format!(
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="../console/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="book.css">
</head>
<body>
<a class="skip" href="#text">Skip to the text</a>
<header class="top">
<p class="brand"><a href="./">rke <span class="quiet">book</span></a></p>
<nav aria-label="Pages of this daemon"><a class="narrow" href="#chapters">Chapters</a> <a href="../">Console</a> <a href="../docs">API reference</a></nav>
</header>
<div class="book">
<main id="text" tabindex="-1">
{text}{turn}</main>
{sections}<nav class="chapters" id="chapters" aria-label="Chapters">
{list}</nav>
</div>
</body>
</html>
"##
    )
}

/// The list of chapters. Those within another are shown where they or their chapter are read.
fn list(chapters: &[Chapter], shown: &Chapter) -> String {
    let open = shown.within.as_ref().unwrap_or(&shown.page);
    let mut list = "<ul>\n".to_owned();
    for chapter in chapters.iter().filter(|one| one.within.as_ref().is_none_or(|within| within == open)) {
        if let Some(part) = &chapter.part {
            list += &format!("</ul>\n<h2>{}</h2>\n<ul>\n", escaped(part));
        }
        let class = if chapter.within.is_some() { " class=\"within\"" } else { "" };
        let current = if chapter.page == shown.page { " aria-current=\"page\"" } else { "" };
        list += &format!(
            "<li{class}><a href=\"{}\"{current}>{}</a></li>\n",
            chapter.page,
            escaped(&chapter.name)
        );
    }
    list + "</ul>\n"
}

/// Where the page is long enough to want one, a list of its sections.
fn sections(text: &Text) -> String {
    if text.sections.len() < 3 {
        return String::new();
    }
    let rows = text
        .sections
        .iter()
        .map(|(id, words)| format!("<li><a href=\"#{id}\">{}</a></li>\n", escaped(words)));
    let rows: String = rows.collect();
    format!(
        "<nav class=\"sections\" aria-label=\"On this page\">\n<h2>On this page</h2>\n<ul>\n{rows}</ul>\n</nav>\n"
    )
}

/// Links to the chapters before and after.
fn turn(before: Option<&Chapter>, after: Option<&Chapter>) -> String {
    let link = |chapter: Option<&Chapter>, rel: &str, what: &str| match chapter {
        Some(Chapter { name, page, .. }) => {
            format!(
                "<a rel=\"{rel}\" href=\"{page}\"><span class=\"quiet\">{what}</span> {}</a>\n",
                escaped(name)
            )
        }
        None => String::new(),
    };
    let links = link(before, "prev", "Before:") + &link(after, "next", "Next:");
    format!("<nav class=\"turn\" aria-label=\"Before and after\">\n{links}</nav>\n")
}

/// Text as it may stand in HTML and in an attribute.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

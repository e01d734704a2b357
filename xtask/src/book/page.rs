//! The page around the text of a chapter: head, list of chapters, sections of this one, the chapters before and after. It
//! looks like the console: style sheet, font, logo and theme are the console's own.

use super::chapter::Chapter;
use super::text::Text;

/// The page of a chapter.
pub(super) fn page(chapters: &[Chapter], number: usize, text: &Text) -> String {
    let chapter = &chapters[number];
    let before = number.checked_sub(1).map(|number| &chapters[number]);
    let name = escaped(&chapter.name);
    let title =
        if chapter.page == "index.html" { "rke: the book".to_owned() } else { format!("{name} · rke") };
    let main = format!("{}{}", text.html, turn(before, chapters.get(number + 1)));
    framed(&title, &main, &sections(text), &list(chapters, Some(chapter)))
}

/// The page that stands for one that does not exist.
pub(super) fn missing(chapters: &[Chapter]) -> String {
    let main = "<h1 id=\"no-such-page\">No such page</h1>\n\
         <p>The book has no page with this name (<a href=\"errors.html#error-404\">error 404</a>). Its chapters are in the list, \
         and it begins at <a href=\"./\">the first page</a>.</p>\n";
    framed("No such page · rke", main, "", &list(chapters, None))
}

fn framed(title: &str, main: &str, sections: &str, list: &str) -> String {
    format!(
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="../console/icon.svg" type="image/svg+xml">
<script src="../console/theme.js"></script>
<link rel="stylesheet" href="../console/console.css">
<link rel="stylesheet" href="book.css">
</head>
<body>
<a class="skip" href="#text">Skip to the text</a>
<header class="top">
<div class="wide">
<a class="brand" href="./"><svg class="mark" viewBox="0 0 24 24" aria-hidden="true"><circle class="mark-track" cx="12" cy="12" r="9"/><path class="mark-arc" d="M12 3a9 9 0 1 1-8.6 6.3"/></svg> rke <span class="quiet">book</span></a>
<nav class="facts" aria-label="Pages of this daemon"><a class="narrow" href="#chapters">Chapters</a> <a href="../">Console</a> <a href="../docs">API reference</a></nav>
</div>
</header>
<div class="book">
<main id="text" tabindex="-1">
{main}</main>
{sections}<nav class="chapters" id="chapters" aria-label="Chapters">
{list}</nav>
</div>
</body>
</html>
"##
    )
}

/// The list of chapters. Those within another are shown where they or their chapter are read.
fn list(chapters: &[Chapter], shown: Option<&Chapter>) -> String {
    let open = shown.map(|shown| shown.within.as_ref().unwrap_or(&shown.page));
    let mut list = "<ul>\n".to_owned();
    for chapter in chapters.iter().filter(|one| one.within.is_none() || one.within.as_ref() == open) {
        if let Some(part) = &chapter.part {
            list += &format!("</ul>\n<h2>{}</h2>\n<ul>\n", escaped(part));
        }
        let class = if chapter.within.is_some() { " class=\"within\"" } else { "" };
        let current =
            if shown.is_some_and(|shown| shown.page == chapter.page) { " aria-current=\"page\"" } else { "" };
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

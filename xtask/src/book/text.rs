//! The text of a chapter, from Markdown to HTML. Nothing in it needs a style of its own or a script: the policy of the
//! pages forbids both.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use mdbook_markdown::pulldown_cmark::{
    Alignment, CodeBlockKind, CowStr, Event, HeadingLevel, Tag, TagEnd, html,
};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

use super::chapter::{Chapter, from_top};
use super::page::escaped;
use super::{file_name, root};

/// The text of a chapter, and what the page around it has to know.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) html: String,
    /// The headings below the title: id and text.
    pub(super) sections: Vec<(String, String)>,
    /// The drawn pictures that it shows, by their paths from the top of the project.
    pub(super) pictures: BTreeSet<String>,
}

/// The text of a chapter, in which links to the sources of `chapters` are links to their pages.
pub(super) fn text(chapter: &Chapter, chapters: &[Chapter]) -> Result<Text> {
    let source = super::read(&chapter.source)?;
    let mut options = MarkdownOptions::default();
    options.smart_punctuation = false;
    let mut writer = Writer::new(chapter, chapters);
    for event in new_cmark_parser(&source, &options) {
        writer.take(event)?;
    }
    let Writer { events, mut text, .. } = writer;
    html::push_html(&mut text.html, events.into_iter());
    Ok(text)
}

/// Takes the events of a Markdown text, and keeps those that make the page.
struct Writer<'a> {
    /// The folder of the text, from the top of the project.
    folder: &'a str,
    chapters: &'a [Chapter],
    events: Vec<Event<'a>>,
    text: Text,
    /// Where the heading that is being read began.
    heading: Option<usize>,
    /// What ends the link that is being read.
    link_end: &'static str,
    /// How often each id was wanted.
    ids: BTreeMap<String, usize>,
}

impl<'a> Writer<'a> {
    fn new(chapter: &'a Chapter, chapters: &'a [Chapter]) -> Self {
        let folder = chapter.source.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (events, text, ids) = (Vec::new(), Text::default(), BTreeMap::new());
        Self { folder, chapters, events, text, heading: None, link_end: "", ids }
    }

    fn take(&mut self, event: Event<'a>) -> Result<()> {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                self.heading = Some(self.events.len());
                self.events.push(event);
            }
            Event::End(TagEnd::Heading(level)) => self.end_heading(level),
            Event::Start(Tag::Link { dest_url, .. }) => self.link(&dest_url)?,
            Event::End(TagEnd::Link) => self.write(self.link_end.to_owned()),
            Event::Start(Tag::Image { ref dest_url, .. }) if dest_url.ends_with(".png") => {
                self.console(dest_url)?;
            }
            Event::End(TagEnd::Image) if self.link_end == IN_PICTURE => {
                self.link_end = "";
                self.write("</a>".to_owned());
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                let dest_url = self.picture(&dest_url)?;
                // It scrolls by itself where it would be too small to read, by keyboard too.
                self.write(
                    "<span class=\"picture\" tabindex=\"0\" role=\"group\" aria-label=\"Picture\">"
                        .to_owned(),
                );
                self.events.push(Event::Start(Tag::Image { link_type, dest_url, title, id }));
            }
            Event::End(TagEnd::Image) => {
                self.events.push(event);
                self.write("</span>".to_owned());
            }
            Event::Start(Tag::Table(alignments)) => self.table(&alignments),
            Event::End(TagEnd::Table) => {
                self.events.push(event);
                self.write("</div>\n".to_owned());
            }
            Event::Start(Tag::CodeBlock(kind)) => self.code(&kind),
            Event::End(TagEnd::CodeBlock) => self.write("</code></pre>\n".to_owned()),
            Event::Code(code) => self.code_in_a_line(code),
            event => self.events.push(event),
        }
        Ok(())
    }

    fn write(&mut self, html: String) {
        self.events.push(Event::InlineHtml(html.into()));
    }

    /// Gives a heading its id, as GitHub would, and makes it a link to itself.
    fn end_heading(&mut self, level: HeadingLevel) {
        let Some(start) = self.heading.take() else { return };
        let words: String = self.events[start..].iter().filter_map(said).collect();
        let id = self.id_of(&words);
        if let Event::Start(Tag::Heading { id: heading, .. }) = &mut self.events[start] {
            *heading = Some(id.clone().into());
        }
        let link = format!("<a class=\"self\" href=\"#{id}\">");
        self.events.insert(start + 1, Event::InlineHtml(link.into()));
        self.write("</a>".to_owned());
        self.events.push(Event::End(TagEnd::Heading(level)));
        if level == HeadingLevel::H2 {
            self.text.sections.push((id, words));
        }
    }

    fn id_of(&mut self, words: &str) -> String {
        let signs = words.trim().to_lowercase();
        let signs = signs.chars().filter(|sign| sign.is_alphanumeric() || ['-', '_', ' '].contains(sign));
        let id = signs.collect::<String>().replace(' ', "-");
        let seen = self.ids.entry(id.clone()).or_default();
        *seen += 1;
        if *seen == 1 { id } else { format!("{id}-{}", *seen - 1) }
    }

    /// A link to a chapter goes to its page. What is in the sources and not in the book is named, and not a link.
    fn link(&mut self, to: &str) -> Result<()> {
        let (path, anchor) = to.split_once('#').map_or((to, None), |(path, anchor)| (path, Some(anchor)));
        let outside = ["https://", "http://", "mailto:"].iter().any(|scheme| to.starts_with(scheme));
        let anchor = anchor.map(|anchor| format!("#{anchor}")).unwrap_or_default();
        let place = from_top(self.folder, path);
        let chapter = self.chapters.iter().find(|chapter| chapter.source == place);
        let (start, end) = match chapter {
            _ if outside => (format!("<a rel=\"noreferrer\" href=\"{}\">", escaped(to)), "</a>"),
            _ if path.is_empty() => (format!("<a href=\"{anchor}\">"), "</a>"),
            Some(chapter) => (format!("<a href=\"{}{anchor}\">", chapter.page), "</a>"),
            None if place == "docs/openapi.json" => ("<a href=\"../openapi.json\">".to_owned(), "</a>"),
            None => {
                ensure!(root().join(&place).exists(), "a link leads to {place}, which does not exist");
                (format!("<span class=\"source\" title=\"{place}, in the sources\">"), "</span>")
            }
        };
        self.link_end = end;
        self.write(start);
        Ok(())
    }

    /// Pictures of the console would be larger than the rest of the book. Here the console itself is one click away.
    fn console(&mut self, to: &str) -> Result<()> {
        let place = from_top(self.folder, to);
        ensure!(root().join(&place).exists(), "a picture is {place}, which does not exist");
        self.link_end = IN_PICTURE;
        self.write("<a href=\"../\">".to_owned());
        Ok(())
    }

    fn picture(&mut self, to: &str) -> Result<CowStr<'a>> {
        let place = from_top(self.folder, to);
        ensure!(root().join(&place).exists(), "a picture is {place}, which does not exist");
        let name = file_name(&place);
        self.text.pictures.insert(place);
        Ok(name.into())
    }

    /// A table scrolls by itself where it is wider than the page. Columns of numbers are named by classes, because
    /// the writer would give each cell a style.
    fn table(&mut self, alignments: &[Alignment]) {
        let right = alignments.iter().enumerate().filter(|(_, alignment)| **alignment == Alignment::Right);
        let classes: String = right.map(|(column, _)| format!(" right-{}", column + 1)).collect();
        self.write(format!(
            "<div class=\"table{classes}\" tabindex=\"0\" role=\"group\" aria-label=\"Table\">\n"
        ));
        self.events.push(Event::Start(Tag::Table(Vec::new())));
    }

    /// A browser breaks a line after a hyphen too. A single word of code stays whole, as the style sheet says; so does each word
    /// of longer code, as far as it fits a line on a phone.
    fn code_in_a_line(&mut self, code: CowStr<'a>) {
        if code.len() <= LONGEST_WHOLE && !code.contains(' ') {
            return self.events.push(Event::Code(code));
        }
        self.write("<code class=\"long\">".to_owned());
        for word in code.split_inclusive(BETWEEN_WORDS) {
            let (whole, after) = word.split_at(word.trim_end_matches(BETWEEN_WORDS).len());
            let is_kept = whole.contains('-') && whole.len() <= LONGEST_WHOLE;
            let (start, end) = if is_kept { ("<span>", "</span>") } else { ("", "") };
            self.write(start.to_owned());
            self.events.push(Event::Text(whole.to_owned().into()));
            self.write(end.to_owned());
            self.events.push(Event::Text(after.to_owned().into()));
        }
        self.write("</code>".to_owned());
    }

    fn code(&mut self, kind: &CodeBlockKind<'_>) {
        let language = match kind {
            CodeBlockKind::Fenced(info) => info.split([' ', ',']).next().unwrap_or_default(),
            CodeBlockKind::Indented => "",
        };
        let class =
            if language.is_empty() { String::new() } else { format!(" class=\"language-{language}\"") };
        self.write(format!("<pre tabindex=\"0\"><code{class}>"));
    }
}

/// The longest word of code that is never broken, and what stands between words of code.
const LONGEST_WHOLE: usize = 36;
const BETWEEN_WORDS: [char; 6] = [' ', '/', '=', ',', '?', '&'];

/// Stands in place of what ends a link while a picture is one.
const IN_PICTURE: &str = "a picture";

/// What is read of a part of a heading.
fn said<'a>(event: &'a Event<'_>) -> Option<&'a str> {
    match event {
        Event::Text(text) | Event::Code(text) => Some(text),
        _ => None,
    }
}

//! What the commands print in a terminal of 40 columns.

use crate::dev::Dev;
use crate::support::DOMAIN;

const WIDTH: usize = 40;

fn narrow(dev: &Dev, arguments: &[&str]) -> String {
    let output = dev.command(arguments).env("COLUMNS", WIDTH.to_string()).output();
    let text = String::from_utf8(output.expect("rke runs").stdout).expect("UTF-8");
    let too_long: Vec<&str> = text.lines().filter(|line| line.chars().count() > WIDTH).collect();
    assert!(!text.is_empty() && too_long.is_empty(), "{arguments:?}: {too_long:#?}\n{text}");
    text
}

#[test]
fn text_is_broken_between_words_only() {
    let dev = Dev::start();
    let id = dev.create_id();
    let paths = "/a/long/path/to/a/folder/that/does/not/exist";
    for arguments in [
        vec!["status"],
        vec!["version"],
        vec!["session", "show", &id],
        vec!["discover", DOMAIN],
        vec!["doctor"],
        vec!["doctor", "--wallet", paths],
    ] {
        let (wide, narrow) = (dev.rke(&arguments).text(), narrow(&dev, &arguments));
        // A second later, "now" is "1 s ago".
        let later = dev.rke(&arguments).text();
        let words: Vec<&str> = wide.split_whitespace().chain(later.split_whitespace()).collect();
        let joints = ['.', '/', '-'];
        let mut goes_on = false;
        for word in narrow.split_whitespace() {
            let is_broken = goes_on || word.ends_with(joints);
            let is_number = word.trim_start_matches('(').parse::<u64>().is_ok();
            assert!(words.contains(&word) || is_broken || is_number, "{arguments:?}: {word:?}\n{narrow}");
            goes_on = is_broken && !words.contains(&word);
        }
        assert!(narrow.lines().count() > wide.lines().count(), "{arguments:?}: {narrow}");
    }
}

#[test]
fn the_important_columns_of_tables_stay() {
    let dev = Dev::start();
    let id = dev.create_id();
    let list = narrow(&dev, &["session", "list"]);
    let row = list.lines().nth(1).expect("a row");
    assert!(row.starts_with(&format!("{}  {DOMAIN}  ", &id[..8])) && row.ends_with("ok"), "{list}");
    assert_eq!(dev.rke(&["session", "show", &row[..8]]).code, Some(0));
    let activity = narrow(&dev, &["activity"]);
    let titles: Vec<&str> = activity.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(titles, ["WHEN", "EVENT", "DOMAIN"], "{activity}");
    let created = activity.lines().find(|line| line.contains("session")).expect("an event");
    assert!(created.contains(" ago  ") || created.contains("now  "), "{activity}");
    assert!(created.ends_with("content.rke."), "{activity}");
}

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde::Serialize;
use serde_json::Value;

use super::event::Mark;
use super::*;
use crate::data_dir::{Role, Sharing};

/// Events of a program.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Happened {
    KeysForgotten { domain: String },
    SessionDeleted { domain: String },
    RequestRefused { rule: &'static str, count: u64 },
}

impl Event for Happened {
    fn kind_to_collect(&self) -> Option<Kind> {
        match self {
            Self::RequestRefused { rule, .. } => Some(("request", rule)),
            _ => None,
        }
    }

    fn collect(&mut self, other: Self) {
        if let (Self::RequestRefused { count, .. }, Self::RequestRefused { count: more, .. }) = (self, other)
        {
            *count += more;
        }
    }
}

/// A data directory and a log next to it.
struct Place {
    dir: tempfile::TempDir,
    log: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let log = dir.path().join("audit.log");
        Self { dir, log }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn open(&self) -> Audit<Happened> {
        let data_dir = DataDir::open(&self.data(), Role::Daemon, Sharing::Alone).expect("a data directory");
        Audit::open(&self.log, Arc::new(data_dir)).expect("an audit log")
    }

    /// Runs the daemon once, with this many events.
    fn run(&self, events: usize) {
        self.run_for("test", events);
    }

    /// The same, with events about domains below this one.
    fn run_for(&self, parent: &str, events: usize) {
        let audit = self.open();
        for event in 0..events {
            audit.record(forgotten(&format!("d{event}.{parent}")));
        }
        audit.close();
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.log).expect("a log").lines().map(str::to_owned).collect()
    }

    fn write(&self, lines: &[String]) {
        fs::write(&self.log, lines.iter().map(|line| format!("{line}\n")).collect::<String>())
            .expect("written");
    }

    fn events(&self) -> Vec<String> {
        self.lines().iter().map(|line| field(line, "event").as_str().expect("a name").to_owned()).collect()
    }

    fn sealed(&self, files: &[PathBuf]) -> Report {
        let check = Check::with_data_dir(&self.data()).expect("a key");
        verify(files, &check).expect("files")
    }

    fn wrong(&self) -> Vec<(u64, Wrong)> {
        wrong(self.sealed(std::slice::from_ref(&self.log)))
    }

    fn wrong_hashes(&self) -> Vec<(u64, Wrong)> {
        wrong(verify(std::slice::from_ref(&self.log), &Check::Hashes).expect("a file"))
    }
}

fn wrong(report: Report) -> Vec<(u64, Wrong)> {
    report.findings.into_iter().map(|finding| (finding.line, finding.wrong)).collect()
}

fn field(line: &str, name: &str) -> Value {
    serde_json::from_str::<Value>(line).expect("JSON")[name].take()
}

fn forgotten(name: &str) -> Happened {
    Happened::KeysForgotten { domain: name.into() }
}

#[test]
fn what_is_told_is_in_the_file_in_order_and_whole() {
    let place = Place::new();
    place.run(100);
    place.run(100);
    let lines = place.lines();
    assert_eq!(lines.len(), 201);
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(field(line, "n"), at + 1);
    }
    assert_eq!(field(&lines[150], "domain"), "d49.test");
    let report = place.sealed(std::slice::from_ref(&place.log));
    assert_eq!((report.findings.len(), report.lines, report.first), (0, 201, Some(1)));
    assert_eq!(place.wrong_hashes(), []);
    let mode = fs::metadata(&place.log).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_session_has_the_same_tag_after_a_restart_and_its_id_is_nowhere() {
    let place = Place::new();
    for id in [1, 1, 2] {
        let audit = place.open();
        audit.record_of([id; 16], Happened::SessionDeleted { domain: "a.test".into() });
        audit.close();
    }
    let tags: Vec<_> = place.lines()[1..].iter().map(|line| field(line, "session")).collect();
    assert!(tags[0] == tags[1] && tags[1] != tags[2] && tags[0].as_str().is_some_and(|tag| tag.len() == 24));
    assert!(!fs::read_to_string(&place.log).expect("a log").contains(&hex::encode([1; 4])));
}

#[test]
fn every_way_to_alter_it_is_found_where_it_is() {
    use Wrong::{Changed, EndMissing, Forged, Missing, NoBeginning, NotALine, OutOfPlace};
    let place = Place::new();
    place.run(9);
    let good = place.lines();
    let altered = |alter: &dyn Fn(&mut Vec<String>)| {
        let mut lines = good.clone();
        alter(&mut lines);
        place.write(&lines);
        (place.wrong(), place.wrong_hashes())
    };
    let changed = altered(&|lines| lines[4] = lines[4].replace("d3.test", "x3.test"));
    assert_eq!(changed, (vec![(5, Changed)], vec![(5, Changed)]));
    let removed = altered(&|lines| drop(lines.remove(4)));
    assert_eq!(removed, (vec![(5, Missing(5, 5))], vec![(5, Missing(5, 5))]));
    let swapped = vec![(5, Missing(5, 5)), (6, OutOfPlace(5, 7))];
    assert_eq!(altered(&|lines| lines.swap(4, 5)), (swapped.clone(), swapped));
    let repeated = vec![(6, OutOfPlace(5, 6))];
    assert_eq!(altered(&|lines| lines.insert(5, lines[4].clone())), (repeated.clone(), repeated));
    let added = altered(&|lines| lines.insert(5, "{\"n\":6}".into()));
    assert_eq!(added, (vec![(6, NotALine)], vec![(6, NotALine)]));
    let no_start = altered(&|lines| drop(lines.drain(..3)));
    assert_eq!(no_start, (vec![(1, NoBeginning)], vec![(1, NoBeginning)]));
    // A log with its end cut off is consistent in itself: only the data directory knows that it was longer.
    assert_eq!(altered(&|lines| lines.truncate(7)), (vec![(7, EndMissing(8, 10))], vec![]));
    assert_eq!(altered(&|lines| lines.clear()), (vec![(0, EndMissing(1, 10))], vec![]));
    let other_seal = altered(&|lines| {
        let digit = if lines[4].ends_with("0\"}") { "1\"}" } else { "0\"}" };
        let keep = lines[4].len() - 3;
        lines[4].replace_range(keep.., digit);
    });
    assert_eq!(other_seal.0, [(5, Forged), (6, Missing(5, 5))]);
    let capitals = altered(&|lines| {
        let hash = lines[4].find("\"hash\"").expect("a hash") + 8;
        lines[4][hash..].make_ascii_uppercase();
        lines[4] = lines[4].replace("\"SEAL\"", "\"seal\"");
    });
    let not_a_line = vec![(5, NotALine), (6, Missing(5, 5))];
    assert_eq!(capitals, (not_a_line.clone(), not_a_line));
}

#[test]
fn each_byte_of_it_counts() {
    let place = Place::new();
    place.run(2);
    let good = fs::read(&place.log).expect("a log");
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&place.log, bytes).expect("written");
        assert!(!place.wrong().is_empty(), "byte {at}");
        fs::write(&place.log, &good[..at]).expect("written");
        assert!(!place.wrong().is_empty(), "cut at {at}");
    }
}

#[test]
fn a_chain_that_was_computed_anew_fits_and_is_not_sealed() {
    let place = Place::new();
    place.run(4);
    let master_key = rke_secret::Secret::random().expect("random");
    let sealer = crate::sealed::Sealer::new(master_key, crate::sealed::Kind::Cache);
    let keys = (key::AuditKey::of(&sealer).expect("a key"), AuditTags::of(&sealer).expect("a key"));
    let (keys, mut lines, mut at) = ((&keys.0, &keys.1), Vec::new(), position::Position::default());
    for event in 0..5 {
        let begun = || Entry::now(Mark::FileBegun { follows: hex::encode([0; 32]) });
        let written = match event {
            0 => line::write(keys, &at, &begun()),
            _ => line::write(keys, &at, &Entry::now(forgotten("forged.test"))),
        };
        let (text, after) = written.expect("a line");
        lines.push(text.trim_end().to_owned());
        at = after;
    }
    place.write(&lines);
    assert_eq!(place.wrong_hashes(), []);
    let found = place.wrong();
    assert_eq!(found[..5].iter().filter(|(_, wrong)| *wrong == Wrong::Forged).count(), 5, "{found:?}");
}

#[test]
fn a_torn_line_is_told_of_and_the_chain_goes_on() {
    for (lines, len) in [(4, 17), (4, 1), (1, 30)] {
        let place = Place::new();
        place.run(3);
        let good = place.lines();
        fs::remove_file(place.data().join(file::HEAD)).expect("removed");
        let torn = good[..lines].join("\n");
        let torn = &torn[..torn.len() - good[lines - 1].len() + len];
        fs::write(&place.log, torn).expect("written");
        assert!(!place.wrong().is_empty() && !place.wrong_hashes().is_empty());
        place.run(1);
        assert_eq!((place.wrong(), place.wrong_hashes()), (vec![], vec![]), "{lines} {len}");
        let now = place.lines();
        assert_eq!(field(&now[lines], "event"), "line_torn");
        assert_eq!((field(&now[lines], "n"), field(&now[lines], "bytes")), (lines.into(), len.into()));
        assert_eq!(place.sealed(std::slice::from_ref(&place.log)).torn, 1);
        let mut altered = now.clone();
        altered[lines - 1] += "x";
        place.write(&altered);
        assert_eq!(place.wrong()[0], (lines as u64, Wrong::NotALine));
        altered.remove(lines - 1);
        place.write(&altered);
        assert_eq!(place.wrong()[0], (lines as u64, Wrong::NoTornLine));
    }
}

#[test]
fn a_last_line_that_lacks_only_its_line_feed_is_whole() {
    let place = Place::new();
    place.run(3);
    let text = fs::read_to_string(&place.log).expect("a log");
    fs::write(&place.log, text.trim_end()).expect("written");
    place.run(1);
    assert_eq!((place.wrong(), place.lines().len()), (vec![], 5));
}

#[test]
fn what_was_cut_while_the_daemon_was_away_shows_for_ever() {
    let place = Place::new();
    place.run(9);
    place.write(&place.lines()[..6]);
    place.run(2);
    let gap = vec![(7, Wrong::Missing(7, 10))];
    assert_eq!((place.wrong(), place.wrong_hashes()), (gap.clone(), gap));
    fs::write(&place.log, "").expect("emptied");
    place.run(1);
    let report = place.sealed(std::slice::from_ref(&place.log));
    assert_eq!((report.first, report.findings.len()), (Some(13), 0), "a new file says how many came before");
}

#[test]
fn what_somebody_else_appends_is_found_and_the_chain_goes_on() {
    let place = Place::new();
    place.run(2);
    place.write(&[place.lines(), vec!["{\"n\":4,\"event\":\"made_up\"}".into()]].concat());
    place.run(2);
    assert_eq!(place.wrong(), [(4, Wrong::NotALine)]);
    assert_eq!(place.lines().len(), 6);
}

#[test]
fn a_number_that_somebody_has_changed_is_not_taken_up() {
    let place = Place::new();
    place.run(2);
    let mut lines = place.lines();
    lines[2] = lines[2].replacen("{\"n\":3,", "{\"n\":900,", 1);
    place.write(&lines);
    place.run(1);
    assert_eq!(field(&place.lines()[3], "n"), 4);
    assert_eq!(place.wrong(), [(3, Wrong::Forged), (4, Wrong::Missing(3, 3))]);
}

#[test]
fn lines_of_two_histories_do_not_fit_together() {
    let place = Place::new();
    place.run(2);
    let (head, before) = (place.data().join(file::HEAD), place.lines());
    let copy = fs::read(&head).expect("a copy of the last line");
    place.run(2);
    let one = place.lines();
    place.write(&before);
    fs::write(&head, copy).expect("an old state comes back");
    // Lines of the same millisecond about the same domains would be the same lines.
    place.run_for("other.test", 3);
    let other = place.lines();
    assert_eq!(place.wrong(), []);
    place.write(&[&one[..4], &other[4..]].concat());
    assert_eq!(place.wrong(), [(5, Wrong::Changed)], "each line is sealed and has its number");
}

#[test]
fn a_file_that_is_cut_under_a_running_daemon_shows_it() {
    let place = Place::new();
    let audit = place.open();
    for name in ["a.test", "b.test"] {
        audit.record(forgotten(name));
    }
    while fs::read_to_string(&place.log).expect("a log").lines().count() < 3 {
        std::thread::yield_now();
    }
    place.write(&place.lines()[..2]);
    audit.record(forgotten("c.test"));
    while place.lines().len() < 3 {
        std::thread::yield_now();
    }
    assert_eq!(place.wrong_hashes(), [(3, Wrong::Missing(3, 3))]);
    let copy = place.dir.path().join("copy");
    fs::copy(&place.log, &copy).expect("copied");
    fs::write(&place.log, "").expect("emptied");
    audit.record(forgotten("d.test"));
    audit.close();
    assert_eq!(place.events(), ["file_begun", "keys_forgotten"]);
    assert_eq!(wrong(place.sealed(&[copy, place.log.clone()])), [(3, Wrong::Missing(3, 3))]);
}

#[test]
fn files_that_were_moved_away_are_one_chain() {
    let place = Place::new();
    let audit = place.open();
    let (first, second) = (place.dir.path().join("audit.log.2"), place.dir.path().join("audit.log.1"));
    for moved in [&first, &second] {
        audit.record(forgotten("a.test"));
        audit.reopen();
        audit.record(forgotten("b.test"));
        while place.lines().len() < 3 {
            std::thread::yield_now();
        }
        fs::rename(&place.log, moved).expect("moved");
        audit.reopen();
        while !place.log.exists() {
            std::thread::yield_now();
        }
    }
    audit.close();
    let all = [first.clone(), second.clone(), place.log.clone()];
    let report = place.sealed(&all);
    assert_eq!((wrong(report).len(), place.sealed(&all).last.map(|last| last.number)), (0, Some(9)));
    assert_eq!(place.events(), ["file_begun"]);
    let one = |file: &PathBuf| place.sealed(std::slice::from_ref(file));
    assert!(one(&first).findings.is_empty() && one(&first).goes_on);
    assert_eq!((one(&second).first, one(&second).findings.len()), (Some(5), 0));
    assert_eq!((one(&place.log).first, one(&place.log).findings.len()), (Some(9), 0));
    let gap = place.sealed(&[first.clone(), place.log.clone()]).findings;
    assert_eq!((&gap[0].file, &gap[0].wrong), (&place.log, &Wrong::Missing(5, 8)));
    let cut = fs::read_to_string(&second).expect("a log");
    fs::write(&second, cut.lines().take(2).map(|line| format!("{line}\n")).collect::<String>())
        .expect("written");
    assert_eq!(one(&second).findings[0].wrong, Wrong::EndMissing(7, 9));
}

#[test]
fn many_refusals_are_few_lines_that_say_how_many() {
    let place = Place::new();
    let audit = place.open();
    for rule in ["host", "host", "token", "host"] {
        audit.record(Happened::RequestRefused { rule, count: 1 });
    }
    audit.close();
    let lines = place.lines()[1..].to_vec();
    let told: Vec<_> = lines.iter().map(|line| (field(line, "rule"), field(line, "count"))).collect();
    assert_eq!(told, [("host".into(), 1.into()), ("token".into(), 1.into()), ("host".into(), 2.into())]);
}

#[test]
fn lines_that_cannot_be_written_are_counted_and_told_of_later() {
    let place = Place::new();
    let audit = place.open();
    fs::remove_file(&place.log).expect("removed");
    fs::create_dir(&place.log).expect("a folder in its place");
    audit.reopen();
    for _ in 0..3 {
        audit.record(forgotten("a.test"));
    }
    while audit.lost() < 3 {
        std::thread::yield_now();
    }
    fs::remove_dir(&place.log).expect("removed");
    audit.record(forgotten("b.test"));
    audit.close();
    let lines = place.lines();
    assert_eq!(place.events(), ["file_begun", "lines_lost", "keys_forgotten"]);
    assert_eq!((field(&lines[1], "count"), field(&lines[2], "domain")), (3.into(), "b.test".into()));
    assert_eq!(place.wrong(), []);
}

#[test]
fn events_lost_before_a_stop_are_told_of_after_the_next_start() {
    let place = Place::new();
    let audit = place.open();
    fs::remove_file(&place.log).expect("removed");
    fs::create_dir(&place.log).expect("a folder in its place");
    audit.reopen();
    (0..3).for_each(|_| audit.record(forgotten("a.test")));
    audit.close();
    fs::remove_dir(&place.log).expect("removed");
    place.write(&[]);
    assert_eq!(place.sealed(std::slice::from_ref(&place.log)).lost, 3);
    drop(audit);

    place.run(1);
    let lines = place.lines();
    assert_eq!(place.events(), ["file_begun", "lines_lost", "keys_forgotten"]);
    assert_eq!(field(&lines[1], "count"), 3);
    assert_eq!((place.wrong(), place.sealed(std::slice::from_ref(&place.log)).lost), (vec![], 3));
    place.run(1);
    assert_eq!(place.events()[3..], ["keys_forgotten"]);
}

#[test]
fn a_damaged_count_of_lost_events_is_kept_aside() {
    let place = Place::new();
    place.run(1);
    let count = place.data().join("audit.lost");
    fs::write(&count, "twelve\n").expect("written");
    place.run(1);
    assert_eq!(fs::read_to_string(&count).expect("a count"), format!("{:020}\n", 0));
    assert_eq!(fs::read_to_string(place.data().join("damaged/audit.lost")).expect("kept"), "twelve\n");
}

#[test]
fn a_file_that_cannot_be_a_log_is_refused_with_its_name() {
    let place = Place::new();
    let data_dir =
        Arc::new(DataDir::open(&place.data(), Role::Daemon, Sharing::Alone).expect("a data directory"));
    let pipe = place.dir.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("a FIFO");
    let (other, link) = (place.dir.path().join("other"), place.dir.path().join("link"));
    fs::write(&other, "").expect("written");
    std::os::unix::fs::symlink(&other, &link).expect("a link");
    let nowhere = place.dir.path().join("nowhere/audit.log");
    for path in [&nowhere, place.dir.path(), &pipe, &link, Path::new("/dev/null")] {
        let error = Audit::<Happened>::open(path, Arc::clone(&data_dir)).err().expect("no log");
        assert!(error.to_string().contains(path.to_str().expect("UTF-8")), "{error}");
    }
    let audit = Audit::<Happened>::open(&place.log, Arc::clone(&data_dir)).expect("a log");
    let other = Audit::<Happened>::open(&place.log, data_dir).err().expect("no second one");
    assert!(other.to_string().contains("another process"), "{other}");
    audit.close();
}

#[test]
fn a_damaged_copy_of_the_last_line_is_found_and_not_fatal() {
    let place = Place::new();
    place.run(2);
    let head = place.data().join(file::HEAD);
    fs::write(&head, "nonsense").expect("written");
    assert_eq!(place.wrong(), [(3, Wrong::HeadDamaged)]);
    place.run(1);
    assert_eq!((place.wrong(), place.lines().len()), (vec![], 4));
}

#[test]
fn tags_come_from_a_shared_key_where_there_is_one() {
    let place = Place::new();
    let tags = || AuditTags::shared(rke_secret::Secret::fill(|key| key.fill(7)).expect("a key"));
    let audit = place.open();
    audit.record_of([1; ID_LEN], forgotten("own.test"));
    audit.tag_with(tags());
    audit.record_of([1; ID_LEN], forgotten("shared.test"));
    audit.close();
    let text = fs::read_to_string(&place.log).expect("a log");
    let tag_of = |domain: &str| {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let line = lines.into_iter().find(|line| line["domain"] == domain).expect("a line");
        line["session"].as_str().expect("a tag").to_owned()
    };
    let own = AuditTags::at(&place.data()).expect("a key");
    assert_eq!(tag_of("own.test"), own.tag(&[1; ID_LEN]));
    assert_eq!(tag_of("shared.test"), tags().tag(&[1; ID_LEN]));
    assert_ne!(tag_of("shared.test"), own.tag(&[1; ID_LEN]));
}

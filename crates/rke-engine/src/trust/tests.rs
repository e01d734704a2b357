use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;

use super::*;

const PAST: &str = "a.test CS-A wide 2026-01-31T09:30:00Z";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("known-content-servers")
}

fn domain(name: &str) -> Domain {
    Domain::new(name).expect("a domain")
}

fn offer(cs_id: &str, form: Form) -> Offer {
    Offer { cs_id: ContentServerId::new(cs_id).expect("an ID"), form }
}

/// The known servers of a file with this text.
fn known(folder: &TempDir, text: &str) -> KnownServers {
    fs::write(path(folder), text).expect("written");
    KnownServers::open(folder.path(), Vec::new()).expect("known servers")
}

fn pinned(folder: &TempDir, pin: &str) -> KnownServers {
    KnownServers::open(folder.path(), vec![pin.parse().expect("a pin")]).expect("known servers")
}

/// The lines of the file without comments.
fn lines(folder: &TempDir) -> Vec<String> {
    let text = fs::read_to_string(path(folder)).expect("a file");
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn refusal(known: &KnownServers, name: &str, offer: &Offer) -> String {
    known.check(&domain(name), offer).expect_err("a refusal").to_string()
}

#[test]
fn the_first_use_is_trusted_and_remembered() {
    let folder = folder();
    let known = KnownServers::open(folder.path(), Vec::new()).expect("known servers");
    let (name, first) = (domain("a.test"), offer("CS-A", Form::Wide));
    assert_eq!(known.check(&name, &first).expect("first use"), Standing::New);
    assert!(!path(&folder).exists(), "a check writes nothing");
    known.remember(&name, &first).expect("remembered");
    assert_eq!(known.check(&name, &first).expect("the same"), Standing::Remembered);
    let lines = lines(&folder);
    assert!(lines.len() == 1 && lines[0].starts_with("a.test CS-A wide 20"), "{lines:?}");
    let mode = fs::metadata(path(&folder)).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = KnownServers::open(folder.path(), Vec::new()).expect("known servers");
    assert!(again.check(&name, &offer("CS-B", Form::Wide)).is_err());
}

#[test]
fn what_is_known_is_not_written_again() {
    let folder = folder();
    let known = known(&folder, PAST);
    let before = fs::metadata(path(&folder)).expect("metadata");
    known.remember(&domain("a.test"), &offer("CS-A", Form::Wide)).expect("known");
    let file = TrustFile::in_folder(folder.path());
    assert_eq!(file.stamp().expect("a stamp"), Some(Stamp::of(&before)));
}

#[test]
fn another_content_server_is_refused_with_both_and_the_command_that_accepts_it() {
    let folder = folder();
    let known = known(&folder, PAST);
    let other = offer("CS-B", Form::Wide);
    let text = refusal(&known, "a.test", &other);
    let command = format!("`rke trust accept --data-dir {} a.test CS-B`", folder.path().display());
    assert!(
        text.contains("CS-A (wide)") && text.contains("CS-B (wide)") && text.contains(&command),
        "{text}"
    );
    assert!(known.remember(&domain("a.test"), &other).is_err());
    assert_eq!(lines(&folder), [PAST]);
    known.check(&domain("b.test"), &other).expect("another domain");
}

#[test]
fn ids_that_agree_in_16_bytes_are_one() {
    let folder = folder();
    let known = known(&folder, "a.test CLOUDCOIN_CONTENT wide 2026-01-31T09:30:00Z\n");
    known.check(&domain("a.test"), &offer("CLOUDCOIN_CONTENX", Form::Wide)).expect("the same");
    assert!(known.check(&domain("a.test"), &offer("CLOUDCOIN_CONTEX", Form::Wide)).is_err());
}

#[test]
fn a_weaker_form_is_refused_and_a_stronger_one_raises_the_line() {
    let folder = folder();
    let known = known(&folder, "a.test CS-A live 2026-01-31T09:30:00Z\n");
    for form in [Form::Live, Form::Handshake3Narrow, Form::Wide] {
        known.remember(&domain("a.test"), &offer("CS-A", form)).expect("as strong or stronger");
        assert_eq!(lines(&folder), [format!("a.test CS-A {form} 2026-01-31T09:30:00Z")]);
    }
    for form in [Form::Live, Form::Handshake3Narrow] {
        let text = refusal(&known, "a.test", &offer("CS-A", form));
        let command = format!(" --form {form} a.test CS-A`");
        assert!(
            text.contains(&format!("CS-A ({form}, which is weaker)")) && text.contains(&command),
            "{text}"
        );
        assert!(known.remember(&domain("a.test"), &offer("CS-A", form)).is_err());
    }
}

#[test]
fn what_was_accepted_or_removed_counts_at_once() {
    let folder = folder();
    let known = known(&folder, PAST);
    let (name, file) = (domain("a.test"), TrustFile::in_folder(folder.path()));
    file.accept(&name, &offer("CS-B", Form::Live)).expect("accepted");
    known.check(&name, &offer("CS-B", Form::Live)).expect("accepted");
    assert!(known.check(&name, &offer("CS-A", Form::Wide)).is_err());
    assert!(file.remove(&name).expect("removed") && !file.remove(&name).expect("nothing left"));
    known.check(&name, &offer("CS-A", Form::Wide)).expect("a first use");
}

#[test]
fn an_edit_of_the_same_length_in_the_same_tick_is_noticed() {
    let folder = folder();
    let known = known(&folder, PAST);
    fs::write(path(&folder), PAST.replace("CS-A", "CS-B")).expect("written");
    // Simulates a file system whose clock has not moved between the two.
    let stamp = known.file.stamp().expect("a stamp");
    known.read.lock().expect("unpoisoned").stamp = stamp;
    known.check(&domain("a.test"), &offer("CS-B", Form::Wide)).expect("the edit");
    let later = Timestamp::from_second(Timestamp::now().as_second() + 5).expect("a time");
    assert!(is_settled(&stamp.expect("a file"), later));
}

#[test]
fn a_pin_goes_over_the_file_and_nothing_over_a_pin() {
    let folder = folder();
    let (name, right, wrong) = (domain("a.test"), offer("CS-P", Form::Wide), offer("CS-A", Form::Wide));
    let known = known(&folder, PAST);
    known.set_pins(vec!["A.test=CS-P".parse().expect("a pin")]);
    known.check(&name, &right).expect("as pinned");
    TrustFile::in_folder(folder.path()).accept(&name, &wrong).expect("accepted");
    let text = refusal(&known, "a.test", &wrong);
    assert!(text.contains("--pin a.test=CS-P") && text.contains("CS-A"), "{text}");
    assert!(text.contains("`rke trust accept` cannot override it") && known.remember(&name, &wrong).is_err());
    known.remember(&name, &right).expect("as pinned");
    assert!(lines(&folder)[0].starts_with("a.test CS-P wide "));
    known.set_pins(Vec::new());
    assert!(known.check(&name, &wrong).is_err());
}

#[test]
fn a_pin_does_not_let_a_weaker_form_in() {
    let folder = folder();
    fs::write(path(&folder), PAST).expect("written");
    let known = pinned(&folder, "a.test=CS-P");
    assert!(known.check(&domain("a.test"), &offer("CS-P", Form::Live)).is_err());
    known.check(&domain("a.test"), &offer("CS-P", Form::Wide)).expect("as pinned");
}

#[test]
fn pins_are_a_domain_and_an_id() {
    let pin: Pin = "a.test=CS=1,2".parse().expect("a pin");
    assert_eq!((pin.domain, pin.cs_id.as_str()), (domain("a.test"), "CS=1,2"));
    for bad in ["", "a.test", "a.test=", "=CS", "a test=CS"] {
        assert!(bad.parse::<Pin>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_damaged_line_is_reported_kept_and_no_first_use() {
    let folder = folder();
    let damaged: [&[u8]; 5] = [
        b"a.test CS-A wide",
        b"b.test CS-B widest 2026-01-31T09:30:00Z",
        b"c.test CS-C wide yesterday",
        b"d.test \xff wide 2026-01-31T09:30:00Z",
        b"e!test CS-E wide 2026-01-31T09:30:00Z",
    ];
    fs::write(path(&folder), damaged.join(&b'\n')).expect("written");
    let known = KnownServers::open(folder.path(), Vec::new()).expect("known servers");
    let file = TrustFile::in_folder(folder.path());
    let reported: Vec<usize> = file.read().expect("lines").complaints().map(|(number, _)| number).collect();
    assert_eq!(reported, [1, 2, 3, 4, 5]);
    for (at, name) in ["a.test", "b.test", "c.test", "d.test"].into_iter().enumerate() {
        let text = refusal(&known, name, &offer("CS-X", Form::Wide));
        assert!(text.contains(&format!("line {} of ", at + 1)) && text.contains("accept"), "{text}");
    }
    known.remember(&domain("f.test"), &offer("CS-F", Form::Wide)).expect("remembered");
    let after = fs::read(path(&folder)).expect("a file");
    assert!(after.starts_with(&damaged.join(&b'\n')), "{}", String::from_utf8_lossy(&after));
    file.accept(&domain("b.test"), &offer("CS-X", Form::Wide)).expect("accepted");
    known.check(&domain("b.test"), &offer("CS-X", Form::Wide)).expect("accepted");
    assert_eq!(file.read().expect("lines").complaints().count(), 4);
}

#[test]
fn of_two_lines_with_one_domain_the_first_counts_until_one_is_accepted() {
    let folder = folder();
    let known = known(&folder, &format!("# mine\n{PAST}\n\n{}\r\n", PAST.replace("CS-A", "CS-B")));
    let file = TrustFile::in_folder(folder.path());
    assert_eq!(file.read().expect("lines").complaints().map(|(number, _)| number).collect::<Vec<_>>(), [4]);
    known.check(&domain("a.test"), &offer("CS-A", Form::Wide)).expect("the first line");
    assert!(known.check(&domain("a.test"), &offer("CS-B", Form::Wide)).is_err());
    file.accept(&domain("a.test"), &offer("CS-C", Form::Wide)).expect("accepted");
    let text = fs::read_to_string(path(&folder)).expect("a file");
    assert!(text.starts_with("# mine\na.test CS-C wide ") && text.ends_with("Z\n\n"), "{text:?}");
}

#[test]
fn an_id_that_looks_like_something_else_comes_back() {
    let folder = folder();
    let known = KnownServers::open(folder.path(), Vec::new()).expect("known servers");
    for id in ["wide", "#", "2026-01-31T09:30:00Z", "a.test"] {
        let name = domain(&format!("{}.test", id.len()));
        known.remember(&name, &offer(id, Form::Wide)).expect("remembered");
        let read = TrustFile::in_folder(folder.path()).read().expect("lines");
        assert_eq!(read.known(&name).expect("known").cs_id.as_str(), id);
    }
}

#[test]
fn writers_at_the_same_time_lose_none_of_each_other_s_lines() {
    let folder = folder();
    let known = KnownServers::open(folder.path(), Vec::new()).expect("known servers");
    thread::scope(|scope| {
        for writer in 0..4 {
            let (known, folder) = (&known, folder.path());
            scope.spawn(move || {
                for number in 0..10 {
                    let (name, offer) = (domain(&format!("{writer}.{number}.test")), offer("CS", Form::Wide));
                    match writer % 2 {
                        0 => known.remember(&name, &offer).expect("remembered"),
                        _ => TrustFile::in_folder(folder).accept(&name, &offer).expect("accepted"),
                    }
                }
            });
        }
    });
    assert_eq!(lines(&folder).len(), 40);
}

#[test]
fn a_file_that_cannot_be_read_is_no_empty_one() {
    let folder = folder();
    fs::create_dir(path(&folder)).expect("a folder in its place");
    let error = KnownServers::open(folder.path(), Vec::new()).err().expect("an error").to_string();
    assert!(error.contains("known-content-servers: ") && error.contains("make the file readable"), "{error}");
    fs::remove_dir(path(&folder)).expect("removed");
    let known = known(&folder, PAST);
    fs::remove_file(path(&folder)).expect("removed");
    fs::create_dir(path(&folder)).expect("a folder in its place");
    assert!(matches!(
        known.check(&domain("new.test"), &offer("CS", Form::Wide)),
        Err(Untrusted::File(TrustFileError::Read { .. }))
    ));
}

#[test]
fn what_cannot_be_written_is_not_remembered() {
    let folder = folder();
    let known = known(&folder, "# mine\n");
    fs::create_dir(folder.path().join("known-content-servers.lock")).expect("a folder in its place");
    let error = known.remember(&domain("a.test"), &offer("CS", Form::Wide)).expect_err("an error");
    assert!(error.to_string().starts_with("cannot change the known Content Servers in "), "{error}");
    assert_eq!(fs::read_to_string(path(&folder)).expect("a file"), "# mine\n");
}

#[test]
fn the_file_of_another_role_or_behind_a_link_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, name) = (TrustFile::in_folder(folder.path()), domain("a.test"));
    file.accept(&name, &offer("ONE", Form::Wide)).expect("accepted");
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(file.path(), &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, file.path()).expect("a link");
    let error = file.read().expect_err("refused").to_string();
    assert!(error.contains("symbolic link"), "{error}");
    fs::rename(&elsewhere, file.path()).expect("moved back");
    fs::write(folder.path().join("role"), "content-server\n").expect("written");
    let error = file.accept(&name, &offer("TWO", Form::Wide)).expect_err("refused").to_string();
    assert!(error.contains("of a Content Server, not of a daemon"), "{error}");
}

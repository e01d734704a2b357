//! The file of pending deletions.

use super::super::line::{self, Line, write_begun, write_done};
use super::*;

const PORT_9: &str = "cs.content.example.com 9 2100-01-01T00:00:00Z";

fn line_of(byte: u8) -> String {
    let digits = |byte: u8| hex::encode([byte; 16]);
    format!("{} {} {} {PORT_9}\n", digits(byte), digits(byte ^ 1), digits(byte ^ 2))
}

/// The pending deletions in a file with this text.
fn found(folder: &TempDir, text: impl AsRef<[u8]>) -> Vec<u8> {
    fs::write(folder.path().join("pending-deletions"), text).expect("written");
    PendingFile::open(folder.path()).expect("a file").1.iter().map(|deletion| deletion.id[0]).collect()
}

fn in_folder(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).expect("a folder").flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("pending")).collect();
    names.sort();
    names
}

#[test]
fn a_line_says_what_was_written() {
    for host in ["cs.content.example.com", "192.0.2.7", "2001:db8::7", "a\\032b.test"] {
        let server = ServerName { host: host.into(), port: 50007 };
        let (deletion, mut text) = (deletion(7, &server), Vec::new());
        write_begun(&deletion, &mut text);
        let Ok(Line::Begun(read)) = line::parse(&text) else { panic!("not read: {text:?}") };
        assert_eq!((read.id, read.server, read.lives_until), (deletion.id, server, deletion.lives_until));
        assert!(read.token.matches(&deletion.token) && read.proof.matches(&deletion.proof));
    }
    let mut text = Vec::new();
    write_done([7; 16], &mut text);
    assert!(matches!(line::parse(&text), Ok(Line::Done(id)) if id == [7; 16]));
}

#[test]
fn a_line_that_says_anything_else_is_damaged() {
    let good = line_of(7);
    assert!(matches!(line::parse(good.as_bytes()), Ok(Line::Begun(_))));
    let with = |old: &str, new: &str| good.replacen(old, new, 1);
    for wrong in [
        with("0707", "07"),
        with("0707", "07g7"),
        with(" 9 ", " 65536 "),
        with(" 9 ", " "),
        with("2100-01-01T00:00:00Z", "2106-02-07T06:28:16Z"),
        with("2100-01-01T00:00:00Z", "1969-12-31T23:59:59Z"),
        with("2100-01-01T00:00:00Z", "tomorrow"),
        with("\n", " more\n"),
        "done\n".into(),
        "done 0707\n".into(),
        "x".into(),
    ] {
        assert!(line::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
    assert!(line::parse(b"\xFF\xFE").is_err());
}

#[test]
fn what_has_ended_is_not_pending() {
    let folder = folder();
    let (done, first) = (format!("done {}\n", "07".repeat(16)), line_of(7));
    assert!(found(&folder, "").is_empty());
    assert_eq!(found(&folder, format!("# x\n\n{first}{}", line_of(8))), [7, 8]);
    assert_eq!(found(&folder, format!("{first}{}{done}", line_of(8))), [8]);
    assert_eq!(found(&folder, format!("{first}{done}{first}")), [7], "it began again");
    assert_eq!(found(&folder, format!("{first}{first}")), [7]);
}

#[tokio::test]
async fn damaged_lines_are_set_aside_and_the_others_go_on() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Proof]).await);
    let digits = |byte: u8| hex::encode([byte; 16]);
    let at_server = format!("127.0.0.1 {} 2100-01-01T00:00:00Z", server.name.port);
    let good = format!("{} {} {} {at_server}\n", digits(7), digits(6), digits(5));
    let damaged = "0707 cut off\n";
    let torn = &line_of(9)[..40];
    let aside = folder.path().join("pending-deletions.damaged");
    fs::write(&aside, "earlier\n").expect("written");
    fs::write(folder.path().join("pending-deletions"), format!("{damaged}{good}{torn}")).expect("written");
    let remote = open(&folder, LONG);
    // A deletion that is added before the file is in order again is not lost either.
    let hangs = Fake::start(&[Reply::Hang]).await;
    remote.submit([deletion(8, &hangs.name)]);
    assert_eq!(remote.settled([7; 16], LONG).await, Remote::Forgotten);
    let expected = format!("earlier\n{damaged}{torn}\n");
    until("they are set aside", || fs::read_to_string(&aside).expect("a file") == expected).await;
    until("they are gone", || !text(&folder).contains(torn)).await;
    drop(remote);
    assert_eq!(open(&folder, LONG).counts(), counts(1, 0));
    assert_eq!(fs::read_to_string(&aside).expect("a file"), expected, "they are set aside once");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_no_reason_not_to_start() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Hang]).await);
    fs::create_dir(folder.path().join("pending-deletions")).expect("a folder in its place");
    let remote = open(&folder, LONG);
    remote.submit([deletion(7, &server.name)]);
    assert_eq!(in_folder(&folder), ["pending-deletions", "pending-deletions.damaged"]);
    drop(remote);
    assert_eq!(open(&folder, LONG).counts(), counts(1, 0));
}

#[tokio::test]
async fn where_the_disk_takes_nothing_deletions_go_on_and_are_written_down_later() {
    let (folder, hangs, well) =
        (folder(), Fake::start(&[Reply::Hang]).await, Fake::start(&[Reply::Proof]).await);
    let remote = open(&folder, LONG);
    fs::remove_dir_all(folder.path()).expect("the folder is gone");
    remote.submit([deletion(7, &hangs.name), deletion(8, &well.name)]);
    assert_eq!(remote.settled([8; 16], LONG).await, Remote::Forgotten);
    assert!(remote.shared.lock().file.has_failed && !folder.path().exists());
    fs::create_dir(folder.path()).expect("the folder is there again");
    until("it is written", || folder.path().join("pending-deletions").exists()).await;
    drop(remote);
    assert_eq!(found(&folder, text(&folder)), [7]);
}

#[tokio::test]
async fn a_full_disk_leaves_no_torn_line_before_a_whole_one() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Hang]).await);
    // Only this test brings the file up to date.
    let remote = open_with(&folder, LONG, Timing { sync_after: LONG * 10, ..timing() }, Arc::default());
    remote.submit([deletion(7, &server.name)]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a disk that is full");
    let whole = remote.shared.lock().file.out.replace(Arc::new(full)).expect("a file");
    remote.submit([deletion(8, &server.name)]);
    // The part of the line that was written, and a disk with room again.
    std::io::Write::write_all(&mut &*whole, b"0808").expect("written");
    remote.shared.lock().file.out = Some(whole);
    remote.submit([deletion(9, &server.name)]);
    let pending = || {
        let all = PendingFile::open(folder.path()).expect("a file").1;
        let mut all: Vec<u8> = all.iter().map(|deletion| deletion.id[0]).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(pending(), [7, 9]);
    assert!(remote.shared.keep_file());
    assert_eq!(pending(), [7, 8, 9]);
    assert_eq!(in_folder(&folder), ["pending-deletions"], "nothing of it was damaged");
}

#[tokio::test]
async fn the_file_stays_short_and_for_its_owner_alone() {
    let (folder, well, hangs) =
        (folder(), Fake::start(&[Reply::Proof]).await, Fake::start(&[Reply::Hang]).await);
    let remote = open(&folder, LONG);
    remote.submit([deletion(0xFE, &hangs.name)]);
    for round in 0..3 {
        for of in 0..100 {
            let of = RemoteDeletion { id: [of; 16], ..deletion(of, &well.name) };
            remote.submit([of]);
        }
        until("all are confirmed", || remote.counts() == counts(1, 100 * (round + 1))).await;
    }
    until("it is short", || text(&folder).lines().count() < 80).await;
    let mode = fs::metadata(folder.path().join("pending-deletions")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(text(&folder).starts_with("# "), "{}", text(&folder));
    drop(remote);
    assert_eq!(found(&folder, text(&folder)), [0xFE]);
    assert_eq!(in_folder(&folder), ["pending-deletions"]);
}

#[tokio::test]
async fn what_is_appended_while_the_file_is_rewritten_is_in_it() {
    let (folder, server) = (folder(), Fake::start(&[Reply::Hang]).await);
    let remote = open_with(&folder, LONG, Timing { sync_after: LONG * 10, ..timing() }, Arc::default());
    let mut count = 0_u16;
    for _ in 0..20 {
        let keeping = Arc::clone(&remote.shared);
        let keeps = std::thread::spawn(move || {
            keeping.lock().file.is_wrong = true;
            keeping.keep_file()
        });
        while !keeps.is_finished() {
            let [high, low] = count.to_be_bytes();
            let mut deletion = deletion(high, &server.name);
            deletion.id[1] = low;
            remote.submit([deletion]);
            count += 1;
        }
        assert!(keeps.join().expect("no panic"));
        assert_eq!(PendingFile::open(folder.path()).expect("a file").1.len(), usize::from(count));
    }
    assert!(count > 40, "{count}");
}

#[tokio::test]
async fn without_a_deletion_there_is_no_file() {
    let folder = folder();
    let remote = open(&folder, LONG);
    remote.submit(None);
    assert!(remote.shared.keep_file());
    remote.stop(Instant::now() + LONG).await;
    assert_eq!(in_folder(&folder), [""; 0]);
}

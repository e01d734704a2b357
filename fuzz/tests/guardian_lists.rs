//! Lists of guardians. Nothing in them is an error; whatever is read must follow the rules, and read the same when it
//! is written out again.

use rke_fuzz::memory;
use rke_proto::directory::Line;
use rke_proto::directory::guardian::GuardianList;

rke_fuzz::target!(guardian_lists, check);

/// Bytes allocated for each byte of text: a short line becomes a warning.
const WORTH: u64 = 64;

/// Bytes allocated for a text of any length.
const FIXED: u64 = 4096;

fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let (list, allocated) = memory::peak(|| GuardianList::parse(&text));
    let most = FIXED + WORTH * text.len() as u64;
    assert!(allocated <= most, "{allocated} bytes allocated for {} bytes of text", text.len());
    for (at, line) in list.lines.iter().enumerate() {
        assert!(!line.host.is_empty() && !line.host.contains(char::is_whitespace));
        assert!(
            list.lines[..at].iter().all(|earlier| earlier.raida != line.raida),
            "one server for each RAIDA"
        );
    }
    for warning in &list.warnings {
        assert!(!warning.chars().any(char::is_control), "{warning:?}");
    }
    for written in [to_text(&list.lines, hosts_form), to_text(&list.lines, coin_form)] {
        assert_eq!(GuardianList::parse(&written), GuardianList { warnings: Vec::new(), ..list.clone() });
    }
    list.warnings.is_empty()
}

fn to_text(lines: &[Line], form: fn(&Line) -> String) -> String {
    lines.iter().map(form).collect()
}

fn hosts_form(Line { host, port, raida }: &Line) -> String {
    format!("[{host}]:{port} r{raida}\n")
}

fn coin_form(Line { host, port, raida }: &Line) -> String {
    format!("[{host}]:{port} {raida}-0-0-P\n")
}

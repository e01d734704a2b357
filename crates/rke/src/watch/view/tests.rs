use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

fn seen(sessions: usize) -> Snapshot {
    let row = |at: usize| {
        json!({"session_id": format!("{at:032x}"), "domain": "content.test", "cs_id": "C", "created_at":
               "2025-11-30T10:00:00Z", "expires_at": format!("2025-11-30T11:00:{:02}Z", 59 - at),
               "encrypt_count": at, "decrypt_count": 0})
    };
    let state = |at: usize| ["well", "failing", "lying", "unknown", "no_key_set"][at % 5];
    let raida = |at: usize| {
        json!({"raida": at, "endpoint": null, "state": state(at),
               "last_ms": 1.0, "median_ms": 12.4, "asked": 1, "answered": 1, "lies": 0, "form": null,
               "last_fault": null, "last_fault_at": null})
    };
    let status = json!({"sessions": {"total": sessions, "active": sessions, "max": 16},
        "keystore": {"total": 1, "valid": 1, "expired": 0, "max": 64, "default_ttl_hours": 24},
        "config": {"session_timeout_sec": 3600, "version": "0.1.0"},
        "secret_memory": {"kind": "secretmem", "bytes": 1, "inspection": "refused", "residues_found": 0},
        "daemon": {"uptime_sec": 7200, "started_at": "2025-11-30T10:00:00Z"},
        "remote_deletions": {"pending": sessions / 4, "confirmed": 7}});
    let rows: Vec<Value> = (0..sessions).rev().map(row).collect();
    let detail = |row: &Value| {
        let mut detail = row.clone();
        let bits = if row["encrypt_count"] == 0 { 256 } else { 8 };
        let authenticated = if bits == 256 { "strong" } else { "no" };
        let more = json!({"key_bits": bits, "envelope": [4], "raidas": [0], "liars": [], "from_cache": false,
            "confirmed": true, "key_id": null, "forward_secret": bits == 256, "authenticated": authenticated,
            "coin": (bits == 256).then_some("0:1001")});
        detail.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        let shown: Shown = serde_json::from_value(detail).expect("a session");
        (shown.row.session_id.as_str().to_owned(), Arc::new(shown))
    };
    let details = rows.iter().map(detail).collect();
    let raidas: Vec<Value> = (0..25).map(raida).collect();
    Snapshot {
        status: serde_json::from_value(status).expect("a status"),
        sessions: serde_json::from_value(
            json!({"total": sessions, "active": sessions, "sessions": rows, "weak": 0,
            "weakly_authenticated": 0}),
        )
        .expect("sessions"),
        details,
        raidas: serde_json::from_value(json!({"required": 13, "margin": 3, "raidas": raidas}))
            .expect("RAIDAs"),
    }
}

fn view(latest: Option<Observation>) -> View {
    View { latest, signs: Signs { unicode: false }, ..View::new("127.0.0.1:8080") }
}

fn plain(view: &mut View, width: usize, height: usize) -> Vec<String> {
    view.lines(width, height).iter().map(Line::plain).collect()
}

fn shown(observation: Option<Observation>, width: usize, height: usize) -> Vec<String> {
    plain(&mut view(observation), width, height)
}

const WAY_OUT: &str = "q quits   ? help   j k scroll";

const LEGEND: &str = "o healthy   / no response   x no key set   ! wrong share   . not asked yet";

#[test]
fn all_is_there_where_there_is_room() {
    let lines = shown(Some(Ok(seen(2))), 110, 24);
    assert_eq!(lines[0], "rke watch  127.0.0.1:8080  version 0.1.0  up 2 h");
    assert_eq!(lines[1], "2 of 16 sessions   1 of 64 cached keys   spare RAIDAs: 3");
    assert!(
        lines[3].starts_with("  SESSION   EXPIRES ") && lines[4].starts_with("0 00000000  "),
        "{lines:?}"
    );
    let cells = |line: &str| {
        line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect::<Vec<_>>().join("|")
    };
    assert!(cells(&lines[4]).ends_with("|weak, expires soon|content.test|-|1|0"), "{lines:?}");
    assert!(cells(&lines[5]).ends_with("|expires soon|content.test|0:1001|0|0"), "{lines:?}");
    let starts = |line: &str, word: &str| line.find(word);
    assert_eq!(starts(&lines[3], "DOMAIN"), starts(&lines[5], "content.test"));
    assert_eq!(starts(&lines[3], "COIN"), starts(&lines[5], "0:1001"));
    assert_eq!(lines[7].trim_end(), " 0 o 12 ms      1 / 12 ms      2 ! 12 ms      3 . 12 ms      4 x 12 ms");
    assert_eq!(lines[12].trim_end(), LEGEND);
    assert_eq!(lines.last().map(String::as_str), Some(WAY_OUT));
}

#[test]
fn no_size_is_too_small() {
    for width in 0..100 {
        for height in 0..40 {
            for observation in [None, Some(Ok(seen(9))), Some(Err("gone\nfor good".into()))] {
                let mut view = view(observation);
                for _ in 0..2 {
                    let lines = plain(&mut view, width, height);
                    assert!(lines.len() <= height && lines.iter().all(|line| line.chars().count() <= width));
                    assert!(
                        height == 0 || lines.last().is_some_and(|line| WAY_OUT.starts_with(line.as_str()))
                    );
                    view.switch_help();
                }
            }
        }
    }
}

#[test]
fn sessions_that_do_not_fit_are_scrolled_to() {
    let mut view = view(Some(Ok(seen(9))));
    let mut scrolled = |how: Scroll| {
        view.scroll(how);
        let lines = plain(&mut view, 80, 16);
        assert!(lines[1].ends_with("   2 deletions pending"), "{lines:#?}");
        let ids: Vec<String> = lines[4..7].iter().map(|line| line[2..10].to_owned()).collect();
        (ids.len(), lines[7].clone())
    };
    for (how, expected) in [
        (Scroll::Lines(-1), "1 to 3 of 9"),
        (Scroll::Lines(1), "2 to 4 of 9"),
        (Scroll::Pages(1), "5 to 7 of 9"),
        (Scroll::Pages(1), "7 to 9 of 9"),
        (Scroll::Lines(1), "7 to 9 of 9"),
        (Scroll::Lines(-1), "6 to 8 of 9"),
        (Scroll::Last, "7 to 9 of 9"),
        (Scroll::Pages(-1), "4 to 6 of 9"),
        (Scroll::First, "1 to 3 of 9"),
    ] {
        assert_eq!(scrolled(how), (3, expected.into()), "{how:?}");
    }
}

/// How many lines a small screen says are above and below those that it shows.
fn hidden(lines: &[String]) -> (usize, usize) {
    let hint = lines.iter().rev().nth(1).expect("a hint");
    let counts = hint.strip_prefix("lines above: ").and_then(|counts| counts.split_once("   below: "));
    let (above, below) = counts.unwrap_or_else(|| panic!("{lines:#?}"));
    (above.parse().expect("a number"), below.parse().expect("a number"))
}

#[test]
fn in_a_small_terminal_the_whole_page_is_scrolled_to() {
    let mut view = view(Some(Ok(seen(2))));
    // Head, counts, titles, 2 sessions, 13 rows of RAIDAs, 2 lines of legend, and an empty line after each group.
    let page = plain(&mut view, 40, 200);
    let page = &page[..22];
    let first = plain(&mut view, 40, 15);
    assert_eq!((first.len(), hidden(&first)), (15, (0, 9)), "{first:#?}");
    for (how, expected) in [
        (Scroll::Lines(-1), (0, 9)),
        (Scroll::Lines(1), (1, 8)),
        (Scroll::Pages(1), (9, 0)),
        (Scroll::Lines(1), (9, 0)),
        (Scroll::Lines(-1), (8, 1)),
        (Scroll::First, (0, 9)),
        (Scroll::Pages(1), (9, 0)),
        (Scroll::Pages(-1), (0, 9)),
        (Scroll::Last, (9, 0)),
    ] {
        view.scroll(how);
        let lines = plain(&mut view, 40, 15);
        assert_eq!(hidden(&lines), expected, "{how:?}");
        assert_eq!(lines[..13], page[expected.0..expected.0 + 13], "{how:?}");
        assert_eq!(lines[14], WAY_OUT, "{how:?}");
    }
    let last = plain(&mut view, 40, 15);
    assert_eq!(last[10].trim_end(), "24 x 12 ms");
    assert_eq!(last[12].trim_end(), "! wrong share   . not asked yet");
}

#[test]
fn a_resize_keeps_what_a_small_terminal_shows_within_the_page() {
    let mut view = view(Some(Ok(seen(2))));
    plain(&mut view, 40, 15);
    view.scroll(Scroll::Last);
    for (width, height, expected) in [(40, 15, (9, 0)), (40, 20, (4, 0)), (40, 10, (4, 10))] {
        assert_eq!(hidden(&plain(&mut view, width, height)), expected, "{width} x {height}");
    }
    assert!(plain(&mut view, 110, 24)[0].starts_with("rke watch  "), "it begins with its head");
    assert_eq!(hidden(&plain(&mut view, 40, 15)), (4, 5));
    // Too small for the hint, but not for the page.
    let lines = plain(&mut view, 40, 4);
    assert!(lines[0].starts_with("0 00000000  ") && lines.len() == 4, "{lines:#?}");
}

#[test]
fn a_ring_runs_down_with_a_life() {
    for (unicode, rings) in [(true, "●●●◕◕◑◔◔○○○"), (false, "44433211000")] {
        let ring = |left| Signs { unicode }.ring(left, 3600);
        let shown: String =
            [9000, 3600, 3300, 3100, 2700, 1800, 900, 500, 400, 60, -5].into_iter().map(ring).collect();
        assert_eq!(shown, rings);
    }
}

#[test]
fn help_covers_all_and_knows_the_signs() {
    let mut view = view(Some(Ok(seen(2))));
    view.switch_help();
    let lines = plain(&mut view, 100, 24);
    assert!(lines.iter().any(|line| line.trim_end() == LEGEND), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("  q  Esc  Ctrl-C    leave")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("content.test")), "{lines:#?}");
}

#[test]
fn a_daemon_that_went_away_is_waited_for() {
    let lines = shown(Some(Err("no daemon\x1b[2J".into())), 80, 24);
    assert_eq!(lines[1..3], ["no daemon\u{fffd}[2J", "Waiting for it to come back."]);
}

#[test]
fn in_a_narrow_terminal_help_is_whole_and_scrolls() {
    let words = |lines: &[String]| -> Vec<String> {
        lines.iter().flat_map(|line| line.split_whitespace()).map(String::from).collect()
    };
    let mut wide = view(None);
    wide.switch_help();
    let wide = plain(&mut wide, 200, 100);
    for width in [26, 30, 40, 60, 80] {
        let mut view = view(None);
        view.switch_help();
        let all = plain(&mut view, width, 200);
        let cut =
            [words(&wide[..wide.len() - 1]), words(&[WAY_OUT[..WAY_OUT.len().min(width)].into()])].concat();
        assert_eq!(words(&all), cut, "{width}");
        let page = plain(&mut view, width, 10);
        assert_eq!(page[..9], all[..9], "{width}");
        view.scroll(Scroll::Pages(1));
        let next = 9.min(all.len() - 10);
        assert_eq!(plain(&mut view, width, 10)[..9], all[next..next + 9], "{width}");
        view.scroll(Scroll::Last);
        assert_eq!(plain(&mut view, width, 10)[..9], all[all.len() - 10..all.len() - 1], "{width}");
    }
}

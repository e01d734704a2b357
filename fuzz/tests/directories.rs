//! RAIDA directories: a parsed text reads the same when it is written out again.

use rke_fuzz::memory;
use rke_proto::directory::{self, Line};

rke_fuzz::target!(raida_directory, check);

/// Bytes allocated for each byte of text: `a:1 1` and its end become a line and a host.
const WORTH: u64 = 64;

/// Bytes allocated for a text of any length.
const FIXED: u64 = 1024;

fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let (parsed, allocated) = memory::peak(|| directory::parse(&text));
    assert!(allocated <= FIXED + WORTH * text.len() as u64, "{allocated} for {} bytes", text.len());
    match parsed {
        Ok(lines) => {
            let written: String = lines.iter().map(to_text).collect();
            assert_eq!(directory::parse(&written).as_ref(), Ok(&lines));
            true
        }
        Err(wrong) => {
            assert_eq!(text.lines().nth(wrong.line - 1).map(str::trim), Some(wrong.text.as_str()));
            assert!(directory::parse(&wrong.text).is_err());
            false
        }
    }
}

fn to_text(line: &Line) -> String {
    format!("[{}]:{} {}\n", line.host, line.port, line.raida)
}

//! A program whose metrics grow with each scrape: for alerts about what a test cannot bring about, such as a bug.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// What it shows. `N` stands for twenty times the number of scrapes.
const METRICS: &str = "\
# TYPE rke_residues_total counter
rke_residues_total 1
# TYPE rke_audit_write_failures_total counter
rke_audit_write_failures_total N
# TYPE rke_raida_directory_agreed_time_seconds gauge
rke_raida_directory_agreed_time_seconds 1700000000
# TYPE rke_raida_wrong_shares_total counter
rke_raida_wrong_shares_total{raida=\"7\"} N
# TYPE rke_wipe_delay_seconds histogram
rke_wipe_delay_seconds_bucket{le=\"1\"} 0
rke_wipe_delay_seconds_bucket{le=\"10\"} N
rke_wipe_delay_seconds_bucket{le=\"+Inf\"} N
rke_wipe_delay_seconds_sum N
rke_wipe_delay_seconds_count N
# TYPE rke_raida_preloads_total counter
rke_raida_preloads_total{outcome=\"failed\"} N
# TYPE rke_raida_refusals_total counter
rke_raida_refusals_total{reason=\"coin_not_found\"} N
# TYPE rke_content_server_refusals_total counter
rke_content_server_refusals_total{reason=\"wrong_shares\"} N
rke_content_server_refusals_total{reason=\"busy\"} N
rke_content_server_refusals_total{reason=\"stale\"} N
# TYPE rke_content_server_data_dir_writable gauge
rke_content_server_data_dir_writable 0
# TYPE rke_content_server_cuts_total counter
rke_content_server_cuts_total{reason=\"no_application\"} N
rke_content_server_cuts_total{reason=\"unreachable\"} N
";

/// Starts it. It runs until the test program ends.
pub(super) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for (scrapes, stream) in listener.incoming().flatten().enumerate() {
            respond(stream, 20 * scrapes);
        }
    });
    address
}

fn respond(mut stream: TcpStream, number: usize) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1..) => head.push(byte[0]),
            _ => return,
        }
    }
    let body = METRICS.replace('N', &number.to_string());
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\ncontent-length:";
    let _ = write!(stream, "{head} {}\r\n\r\n{body}", body.len());
}

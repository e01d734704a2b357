use axum::response::IntoResponse;
use futures_util::StreamExt;
use futures_util::stream::pending;
use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_daemon_with_nothing_to_report_gives_a_sign_of_life_every_three_seconds() {
    let mut body = response(pending()).into_response().into_body().into_data_stream();
    for sign in 1..4 {
        let began = Instant::now();
        let data = body.next().await.expect("data").expect("no error");
        assert_eq!((&data[..], began.elapsed().as_secs()), (&b":\n\n"[..], 3), "sign {sign}");
    }
}

#[test]
fn the_console_does_not_miss_a_daemon_before_its_next_sign_of_life() {
    let script = include_str!("../../../../console/connection.js");
    let late = script.lines().find_map(|line| line.strip_prefix("const LATE = ")?.strip_suffix(';'));
    let late: u64 = late.expect("the constant").parse().expect("seconds");
    assert!(late > HEARTBEAT.as_secs());
}

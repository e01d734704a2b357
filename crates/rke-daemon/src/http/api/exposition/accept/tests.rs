use axum::http::HeaderValue;

use super::*;

fn wanted(accept: &[&'static str]) -> Format {
    let headers = accept.iter().map(|value| (header::ACCEPT, HeaderValue::from_static(value)));
    Format::wanted(&headers.collect())
}

#[test]
fn the_format_is_the_one_with_the_higher_weight() {
    for (accept, format) in [
        // Prometheus 2.42, and 3.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            Format::OpenMetrics,
        ),
        ("text/plain; version=0.0.4", Format::Text),
        ("Application/OpenMetrics-Text; Version=\"1.0.0\"; q=1", Format::OpenMetrics),
        ("application/openmetrics-text;q=0.3, text/plain;q=0.4", Format::Text),
        ("application/openmetrics-text;q=0.3, text/*;q=0.4", Format::Text),
        ("application/openmetrics-text;q=0.4, text/plain;q=0.4, */*", Format::OpenMetrics),
        ("application/openmetrics-text;version=0.0.1", Format::Text),
        ("application/openmetrics-text;q=0", Format::Text),
        ("application/openmetrics-text;q=much", Format::Text),
        ("*/*", Format::Text),
        ("application/json", Format::Text),
        ("", Format::Text),
    ] {
        assert_eq!(wanted(&[accept]), format, "{accept}");
    }
    assert_eq!(wanted(&[]), Format::Text);
    assert_eq!(wanted(&["text/plain;q=0.1", "application/openmetrics-text"]), Format::OpenMetrics);
}

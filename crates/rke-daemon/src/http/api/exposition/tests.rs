use axum::http::HeaderValue;
use rke_host::monitored::Labels;

use super::*;

fn registry() -> Registry {
    let mut registry = Registry::default();
    let labels: Labels = vec![("kind", "tunnel"), ("outcome", "cut")];
    let cuts =
        Metric { samples: vec![Sample { labels, value: 7 }], ..Metric::counter("cuts", "Cut tunnels", 0) };
    add_all(&mut registry, vec![cuts, Metric::gauge("tunnels", "Open tunnels", 3)]);
    let time = Gauge::<i64>::default();
    registry.register_with_unit("time", "A time", Unit::Seconds, time);
    registry.register("build", "The version", Info::new([("version", "1")]));
    registry
}

#[test]
fn both_formats_have_the_same_samples_and_their_own_comments() {
    let mut text = String::new();
    encode(&mut text, &registry()).expect("encoded");
    assert_eq!(
        text,
        "# HELP cuts Cut tunnels.\n# TYPE cuts counter\ncuts_total{kind=\"tunnel\",outcome=\"cut\"} 7\n\
         # HELP tunnels Open tunnels.\n# TYPE tunnels gauge\ntunnels 3\n\
         # HELP time_seconds A time.\n# TYPE time_seconds gauge\n# UNIT time_seconds seconds\ntime_seconds 0\n\
         # HELP build The version.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n"
    );
    assert_eq!(
        without_openmetrics(&text),
        "# HELP cuts_total Cut tunnels.\n# TYPE cuts_total counter\ncuts_total{kind=\"tunnel\",outcome=\"cut\"} 7\n\
         # HELP tunnels Open tunnels.\n# TYPE tunnels gauge\ntunnels 3\n\
         # HELP time_seconds A time.\n# TYPE time_seconds gauge\ntime_seconds 0\n\
         # HELP build_info The version.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n"
    );
}

#[test]
fn the_response_names_its_format() {
    let asking = |accept| [(header::ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
    for (accept, content_type) in [
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
    ] {
        let response = answer(&registry(), &asking(accept)).expect("a response");
        assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
    }
}

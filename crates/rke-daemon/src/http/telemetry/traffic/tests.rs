use super::*;
use crate::http::routes;

#[test]
fn each_path_has_counters_of_its_own_and_all_that_there_are_not_have_one() {
    let paths: Vec<Rows> = routes::paths().collect();
    let traffic = Traffic::new(routes::paths());
    for rows in &paths {
        traffic.of(*rows).answered(MethodName::of(&Method::GET), StatusCode::OK, Duration::ZERO);
    }
    traffic.of(Rows::NONE).answered(
        MethodName::of(&"BREW".parse().expect("a method")),
        StatusCode::NOT_FOUND,
        Duration::ZERO,
    );
    let counted: Vec<_> =
        traffic.routes().map(|route| (route.path(), route.responses().collect::<Vec<_>>())).collect();
    assert_eq!(counted.len(), paths.len() + 1);
    for (rows, (path, answers)) in paths.iter().zip(&counted) {
        assert_eq!((*path, &answers[..]), (rows.path(), &[("GET", "2xx", 1)][..]));
    }
    assert_eq!(counted[paths.len()], ("none", vec![("other", "4xx", 1)]));
}

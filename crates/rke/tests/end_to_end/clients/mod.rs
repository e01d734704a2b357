//! The client libraries in `clients/`, each with its own tests, against real daemons. All of them make the calls of
//! `clients/conformance`.

mod cast;
mod list;
mod listeners;
mod page;
mod python;
mod rust;

use std::path::PathBuf;
use std::process::Command;

use self::cast::Cast;

/// The folder of the client libraries.
fn clients() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../clients").canonicalize().expect("a folder")
}

/// Runs a program in a client's folder and returns its output. The program must succeed.
fn run(cast: &Cast, folder: &str, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(clients().join(folder)).env("RKE_CONFORMANCE", cast.file());
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client_passes_its_tests_in_node() {
    let cast = Cast::start().await;
    let report = run(&cast, "js", "sh", &["-c", "node --test --test-reporter=tap test/*.test.js"]);
    assert!(report.contains("\n# skipped 0\n") && report.contains("\n# todo 0\n"), "{report}");
    cast.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_go_client_passes_its_tests() {
    let cast = Cast::start().await;
    assert_eq!(run(&cast, "go", "gofmt", &["-l", "."]), "", "files that are not formatted");
    run(&cast, "go", "go", &["vet", "./..."]);
    let report = run(&cast, "go", "go", &["test", "-count=1", "-v", "./..."]);
    assert!(report.contains("--- PASS: ExampleError") && !report.contains("SKIP"), "{report}");
    cast.stop().await;
}

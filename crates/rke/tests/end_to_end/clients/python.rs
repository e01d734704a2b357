//! The Python client: its tests, its linters and its build, in a separate environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::cast::Cast;
use super::{clients, run};

/// The tests use the sources without installing them, and leave no files among them.
const TESTS: &str = "PYTHONPATH=\"$PWD/src\" PYTHONDONTWRITEBYTECODE=1 \
                     \"$0\" -W error::ResourceWarning -m unittest discover -v -s tests 2>&1";

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_passes_its_tests() {
    let programs = tokio::task::block_in_place(environment);
    let program = |name| programs.join(name).to_str().expect("UTF-8").to_owned();
    let cast = Cast::start().await;
    run(&cast, "python", &program("ruff"), &["check", "--no-cache", "."]);
    run(&cast, "python", &program("ruff"), &["format", "--check", "--no-cache", "."]);
    let report = run(&cast, "python", "sh", &["-c", TESTS, &program("python")]);
    let kinds = [
        "(dev, blocking, unix socket)",
        "(dev, asyncio)",
        "strictly_typed",
        "from_the_folder",
        "from_a_wheel",
    ];
    assert!(kinds.iter().all(|kind| report.contains(kind)) && report.ends_with("\nOK\n"), "{report}");
    cast.stop().await;
}

/// The programs of an environment with the required packages. It is kept for the next run, and made again when the
/// requirements change.
fn environment() -> PathBuf {
    let requirements = clients().join("python/tests/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).expect("the requirements");
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-client");
    let (programs, mark) = (environment.join("bin"), environment.join("installed"));
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return programs;
    }
    finish(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"];
    finish(Command::new(programs.join("python")).args(install).arg(&requirements));
    std::fs::write(mark, wanted).expect("written");
    programs
}

fn finish(command: &mut Command) {
    let output = command.output().expect("python3 and python3-venv are needed for this test");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

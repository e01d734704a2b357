//! The owner of a data directory: the program refuses another program's directory, and key sets whose master key is
//! gone, with a message that says what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::network;

/// The message of the program when it refuses to start.
fn refusal(arguments: &[&str], data_dir: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
    let output = command.args(arguments).arg("--data-dir").arg(data_dir).output().expect("rke runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?} on {}: {said}", data_dir.display());
    said
}

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];
const CONTENT_SERVER: [&str; 6] =
    ["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--listen", "127.0.0.1:0"];

fn node<'a>(index: &'a str, coins: &'a str) -> [&'a str; 7] {
    ["raida", "--index", index, "--listen", "127.0.0.1:0", "--coins", coins]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_takes_the_data_directory_of_another() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    let coins = network.wallet().join("Bank");
    let node = node("4", coins.to_str().expect("UTF-8"));
    let at = |name: &str| dir.path().join(name);
    let trust: &[&str] = &["trust", "list"];
    let owners: &[&str] = &["raida", "owner", "list"];
    for (arguments, folder, whose) in [
        (&SERVE[..], "raida-03", "the data directory of the node of RAIDA 3, not of a daemon"),
        (&SERVE, "content-server/data", "the data directory of a Content Server, not of a daemon"),
        (&SERVE, "", "the data directory of a local network, not of a daemon"),
        (trust, "content-server/data", "the data directory of a Content Server, not of a daemon"),
        (&node, "raida-03", "the data directory of the node of RAIDA 3, not of the node of RAIDA 4"),
        (&CONTENT_SERVER, "raida-03", "the data directory of the node of RAIDA 3, not of a Content Server"),
        (owners, "content-server/data", "is not the data directory of a RAIDA node"),
    ] {
        let said = refusal(arguments, &at(folder));
        assert!(said.contains(whose), "{arguments:?}: {said}");
    }
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_is_not_as_it_should_be_is_refused_with_the_command_that_repairs_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    let coins = network.wallet().join("Bank");
    let node = node("3", coins.to_str().expect("UTF-8"));
    let (of_node, of_server) = (dir.path().join("raida-03"), dir.path().join("content-server/data"));
    network.stop().await;
    for (arguments, folder) in [(&node[..], &of_node), (&CONTENT_SERVER, &of_server)] {
        let key = folder.join("master.key");
        fs::rename(&key, folder.join("saved")).expect("moved");
        let said = refusal(arguments, folder);
        assert!(said.contains("master.key is missing") && said.contains("backup") && !key.exists(), "{said}");
        std::os::unix::fs::symlink("saved", &key).expect("a link");
        let said = refusal(arguments, folder);
        assert!(said.contains("cp --remove-destination"), "{said}");
        fs::rename(folder.join("saved"), &key).expect("moved back");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o770)).expect("a mode");
        let said = refusal(arguments, folder);
        assert!(said.contains(&format!("run `chmod go-w {}`", folder.display())), "{said}");
    }
}

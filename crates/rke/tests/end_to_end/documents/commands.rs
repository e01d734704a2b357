//! Runs each block of commands in the documents as it stands, with the daemon, the domain, the wallet and the session
//! of `rke dev` in place of those on the page. A block that is not run begins with the reason, in the form
//! of ```` ```sh not-run="reason" ````.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::documents_in;
use crate::dev::Dev;
use crate::support::DOMAIN;

/// Opens a session if the last one has ended, and prints what later commands use: the session, a ciphertext with its
/// nonce, and sealed data.
const BEFORE: &str = r#"
ID=$(cat id 2>/dev/null || true)
rke session show "$ID" >/dev/null 2>&1 || ID=$(rke session create "$DOMAIN" --wallet "$WALLET" 2>/dev/null)
echo "$ID" > id
field() { sed 's/.*"'$1'":"\([^"]*\).*/\1/'; }
encrypted=$(curl -sG "$API/encrypt" -d "session_id=$ID" --data-urlencode plaintext=SGVsbG8gV29ybGQh)
sealed=$(curl -s "$API/seal" --json '{"session_id":"'$ID'","plaintext":"SGVsbG8gV29ybGQh","associated_data":"aW52b2ljZSAxNw=="}')
echo "$ID" "$(echo "$encrypted" | field ciphertext)" "$(echo "$encrypted" | field nonce)" "$(echo "$sealed" | field sealed)"
"#;

/// The session id in the documents.
const SESSION: &str = "a1b2c3d4e5f67890a1b2c3d4e5f67890";

/// A block of commands.
pub(crate) struct Block {
    document: PathBuf,
    pub(crate) text: String,
    /// Why the block is not run.
    reason: Option<String>,
}

fn blocks(root: &Path) -> Vec<Block> {
    let folders = ["", "docs", "docs/decisions", "docs/readers"];
    let documents = folders.iter().flat_map(|folder| documents_in(&root.join(folder)));
    let mut documents: Vec<PathBuf> = documents.collect();
    documents.sort();
    let text = |document: &PathBuf| fs::read_to_string(document).expect("text");
    documents.iter().flat_map(|document| blocks_of(document, &text(document))).collect()
}

/// The blocks in the text of a document, including those in lists.
pub(crate) fn blocks_of(document: &Path, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let Some(info) = line.trim_start().strip_prefix("```sh") else { continue };
        let inside = lines.by_ref().take_while(|line| !line.trim_start().starts_with("```"));
        let text = inside.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect();
        let reason = info.split_once("not-run=\"").map(|(_, rest)| rest.trim_end_matches('"').to_owned());
        assert!(info.is_empty() || reason.is_some(), "{}: {info:?}", document.display());
        blocks.push(Block { document: document.to_owned(), text, reason });
    }
    blocks
}

/// The network for the blocks, and the folder to run them in.
struct Stand {
    dev: Dev,
}

impl Stand {
    fn start() -> Self {
        let dev = Dev::start();
        fs::create_dir(dev.path("photos")).expect("a folder");
        for file in ["letter.txt", "photos/one", "backup.tar"] {
            fs::write(dev.path(file), "a text\n".repeat(1000)).expect("written");
        }
        Self { dev }
    }

    /// The output of a script. It fails if one of its commands fails.
    fn run(&self, script: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let program = Path::new(env!("CARGO_BIN_EXE_rke")).parent().expect("a folder");
        let mut command = Command::new("bash");
        command
            .args(["-e", "-u", "-o", "pipefail", "-c", script])
            .current_dir(self.dev.dir.path())
            .env_clear();
        command.env("PATH", format!("{}:/usr/bin:/bin", program.display())).env("HOME", self.dev.dir.path());
        command.env("DOMAIN", DOMAIN).env("WALLET", &self.dev.wallet).env("RKE_DAEMON", &self.dev.daemon);
        command.env("API", format!("http://{}/api/rke", self.dev.daemon)).envs(variables.iter().copied());
        let output = command.output().expect("bash runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        let well = output.status.success() && !printed.contains("\"error\":true");
        if well { Ok(printed) } else { Err(format!("{}\n{printed}\n{complaints}", output.status)) }
    }

    /// Runs a block.
    fn try_block(&self, text: &str) -> Result<String, String> {
        let before = self.run(BEFORE, &[])?;
        let [id, ciphertext, nonce, sealed] = before.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(before);
        };
        let wallet = self.dev.wallet.to_str().expect("UTF-8");
        let mut text = text.replace("localhost:8080", &self.dev.daemon).replace(SESSION, id);
        text = text.replace("127.0.0.1:25053", &self.dev.dns);
        for written in ["/home/alice/wallet", "/path/to/wallet", "~/wallet"] {
            text = text.replace(written, wallet);
        }
        text = text.replace("content.example.com", DOMAIN).replace("ID=…", "ID=$SESSION_ID");
        text = text.replace("cargo run --release -- ", "rke ");
        let variables = [
            ("ID", id),
            ("SESSION_ID", id),
            ("CIPHERTEXT", ciphertext),
            ("NONCE", nonce),
            ("SEALED", sealed),
        ];
        self.run(&text, &variables)
    }
}

#[test]
fn every_command_runs_or_says_why_it_does_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let stand = Stand::start();
    let (mut run, mut wrong) = (0, String::new());
    for Block { document, text, reason } in blocks(&root) {
        match reason {
            Some(reason) => {
                assert!(reason.len() > 10, "{}: why is this not run?\n{text}", document.display())
            }
            None => match stand.try_block(&text) {
                Ok(_) => run += 1,
                Err(error) => wrong += &format!("{}:\n{text}{error}\n", document.display()),
            },
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(run > 25, "only {run} blocks were run");
}

#[test]
fn a_command_that_fails_is_noticed() {
    let stand = Stand::start();
    for wrong in
        ["false | true", "rke nothing", "curl -s http://localhost:8080/api/rke/nothing", "echo $UNKNOWN"]
    {
        assert!(stand.try_block(wrong).is_err(), "{wrong}");
    }
    assert!(stand.try_block("curl -s http://localhost:8080/api/rke/status").is_ok());
}

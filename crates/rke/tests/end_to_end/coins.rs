//! Coins for one's own network: a wallet with new coins, and the files with what each node may know of them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use crate::dev::{Done, rke};

/// The length of what precedes the ANs in a file with one coin, and the length of an AN, in bytes.
const AT: usize = 39;
const LEN: usize = 16;

fn run(dir: &Path, line: &str) -> Done {
    rke(&line.split(' ').collect::<Vec<_>>(), dir).output().expect("rke runs").into()
}

fn ok(dir: &Path, line: &str) -> String {
    let done = run(dir, line);
    assert_eq!(done.code, Some(0), "{line}: {}", done.err);
    done.text()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

#[test]
fn a_new_wallet_has_the_coins_that_were_named() {
    let dir = tempfile::tempdir().expect("a folder");
    assert!(ok(dir.path(), "wallet new wallet 0:2001 -1:7").starts_with("wallet has 2 coins more."));
    let listed = ok(dir.path(), "wallet list wallet");
    for row in ["0:2001  25 of 25  Bank/coin_0_2001.bin", "-1:7    25 of 25  Bank/coin_-1_7.bin"] {
        assert!(listed.lines().any(|line| line == row), "{row}: {listed}");
    }
    assert!(ok(dir.path(), "wallet check wallet").contains("2 coin files, usable at 25 of 25 RAIDAs"));
    let checked = run(dir.path(), "wallet check wallet");
    assert!(checked.err.contains("Only RAIDAs know whether the ANs are right"), "{}", checked.err);
    let file = dir.path().join("wallet/Bank/coin_0_2001.bin");
    let before = fs::read(&file).expect("a coin");
    assert_eq!((mode(&file), mode(&dir.path().join("wallet/Bank"))), (0o600, 0o700));
    let again = run(dir.path(), "wallet new wallet 0:2001");
    assert!(again.code == Some(1) && again.err.contains("coin_0_2001.bin"), "{}", again.err);
    assert_eq!(fs::read(&file).expect("a coin"), before, "a coin that is there stays");
    for line in ["wallet list nowhere", "wallet check nowhere"] {
        assert_eq!(run(dir.path(), line).code, Some(1), "{line}");
    }
}

#[test]
fn each_raida_gets_its_own_an_and_no_other() {
    let dir = tempfile::tempdir().expect("a folder");
    ok(dir.path(), "wallet new wallet 0:2001 0:2002");
    let files = "wallet/Bank/coin_0_2001.bin wallet/Bank/coin_0_2002.bin";
    assert!(ok(dir.path(), &format!("coin split {files} --out coins")).contains("have the ANs of 2 coins"));
    let read = |path: String| fs::read(dir.path().join(path)).expect("a coin");
    for coin in ["coin_0_2001.bin", "coin_0_2002.bin"] {
        let whole = read(format!("wallet/Bank/{coin}"));
        for raida in 0..25 {
            let own = read(format!("coins/raida-{raida}/{coin}"));
            assert_eq!(own.len(), whole.len());
            for (at, an) in own[AT..].chunks(LEN).enumerate() {
                let place = AT + at * LEN;
                let expected = if at == raida { &whole[place..place + LEN] } else { &[0; LEN][..] };
                assert_eq!(an, expected, "{coin}: AN {at} for RAIDA {raida}");
            }
            let file = dir.path().join(format!("coins/raida-{raida}/{coin}"));
            assert_eq!((mode(&file), mode(file.parent().expect("a folder"))), (0o600, 0o700));
        }
    }
    let again = run(dir.path(), &format!("coin split {files} --out coins"));
    assert!(again.code == Some(1) && again.err.contains("exists already"), "{}", again.err);
}

/// A node of a network. Dropping it kills it.
struct RunningNode {
    child: Child,
    /// Its log, until it listened, and the rest.
    log: Vec<String>,
    _rest: BufReader<ChildStderr>,
}

impl RunningNode {
    fn start(dir: &Path, index: usize, line: &str) -> Self {
        let line =
            format!("raida --index {index} --listen 127.0.0.1:0 --data-dir nodes/{index} --coins {line}");
        let mut node = rke(&line.split(' ').collect::<Vec<_>>(), dir);
        let mut child = node.stderr(Stdio::piped()).spawn().expect("rke runs");
        let mut log = Vec::new();
        let mut rest = BufReader::new(child.stderr.take().expect("a log"));
        for line in rest.by_ref().lines().map_while(Result::ok) {
            log.push(line);
            if log.last().is_some_and(|line| line.contains(" listens on ")) {
                break;
            }
        }
        Self { child, log, _rest: rest }
    }

    /// Where it listens.
    fn address(&self) -> &str {
        let words = self.log.last().and_then(|line| line.split(" listens on ").nth(1));
        words
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_else(|| panic!("it does not: {:#?}", self.log))
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_node_warns_of_coins_with_the_ans_of_others() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("nodes")).expect("a folder");
    ok(dir.path(), "wallet new wallet 0:2001 0:2002");
    ok(dir.path(), "coin split wallet/Bank/coin_0_2001.bin --out coins");
    for (coins, warns) in [("wallet", true), ("coins/raida-7", false)] {
        let node = RunningNode::start(dir.path(), 7, coins);
        assert!(!node.address().is_empty());
        let warnings: Vec<&String> = node.log.iter().filter(|line| line.contains("rke coin split")).collect();
        assert_eq!(warnings.len(), usize::from(warns), "{coins}: {:#?}", node.log);
        assert!(warnings.iter().all(|line| line.contains("files=2")), "{warnings:?}");
    }
}

#[test]
fn nodes_that_know_only_their_own_ans_are_preloaded_with_the_whole_coins() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("nodes")).expect("a folder");
    ok(dir.path(), "wallet new wallet 0:2001 0:2002");
    ok(dir.path(), "coin split wallet/Bank/coin_0_2001.bin wallet/Bank/coin_0_2002.bin --out coins");
    let start = |index| {
        let own = format!("coins/raida-{index}");
        RunningNode::start(dir.path(), index, &format!("{own} --preloader {own}/coin_0_2001.bin=SHOP"))
    };
    let nodes: Vec<RunningNode> = (0..25).map(start).collect();
    let lines = nodes.iter().enumerate().map(|(index, node)| format!("{} {index}\n", node.address()));
    fs::write(dir.path().join("raidas.txt"), lines.collect::<String>()).expect("written");
    let preload = "content-server preload --data-dir keys --domain shop.test --host cs.shop.test \
                   --raida-directory raidas.txt --wallet wallet --timeout 30 --cs-id";
    let done = run(dir.path(), &format!("{preload} SHOP"));
    assert!(done.code == Some(0) && done.err.contains("25 of 25 RAIDAs hold"), "{}", done.err);
    let done = run(dir.path(), &format!("{preload} OTHER"));
    assert_eq!(done.code, Some(1), "the coin may preload no other ID: {}", done.err);
}

#[test]
fn a_node_does_not_start_with_another_nodes_coins() {
    let dir = tempfile::tempdir().expect("a folder");
    ok(dir.path(), "wallet new wallet 0:2001");
    ok(dir.path(), "coin split wallet/Bank/coin_0_2001.bin --out coins");
    fs::create_dir(dir.path().join("nodes")).expect("a folder");
    let mut node = RunningNode::start(dir.path(), 7, "coins/raida-8");
    let said = node.log.join("\n");
    assert!(!said.contains(" listens on "), "{said}");
    assert_eq!(node.child.wait().expect("an end").code(), Some(1), "{said}");
    for part in ["another node's", "only for RAIDA 8", "no usable coin file"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_check_names_what_is_wrong_with_a_wallet() {
    let dir = tempfile::tempdir().expect("a folder");
    ok(dir.path(), "wallet new wallet 0:2001");
    let bank = dir.path().join("wallet/Bank");
    fs::copy(bank.join("coin_0_2001.bin"), bank.join("copy.bin")).expect("copied");
    let whole = fs::read(bank.join("copy.bin")).expect("a coin");
    fs::write(bank.join("cut.bin"), &whole[..100]).expect("written");
    for folder in ["wallet", "wallet/Bank"] {
        fs::set_permissions(dir.path().join(folder), fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    fs::set_permissions(bank.join("copy.bin"), fs::Permissions::from_mode(0o644)).expect("a mode");
    fs::set_permissions(bank.join("cut.bin"), fs::Permissions::from_mode(0o600)).expect("a mode");
    let said = ok(dir.path(), "wallet check wallet");
    for part in [
        "2 coin files, usable at 25 of 25 RAIDAs, at only 0 with two coins",
        "coins that are in it more than once count once: 0:2001",
        "1 file cannot be used: cut.bin",
        "1 coin file may be read by others",
        "0 ok, 4 to look at, 0 failed",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn several_coins_are_made_or_none() {
    let dir = tempfile::tempdir().expect("a folder");
    ok(dir.path(), "wallet new wallet 0:2002");
    for (line, reason) in [
        ("wallet new wallet 0:2001 0:2002", "exists already"),
        ("wallet new wallet 0:2003 0:2003", "named twice"),
    ] {
        let done = run(dir.path(), line);
        assert!(done.code == Some(1) && done.err.contains(reason), "{line}: {}", done.err);
        assert_eq!(fs::read_dir(dir.path().join("wallet/Bank")).expect("a folder").count(), 1, "{line}");
    }
}

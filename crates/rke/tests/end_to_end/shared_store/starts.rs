//! What a daemon refuses to start with, in words.

use super::{Server, Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_says_why_it_does_not_share_a_store() {
    let site = Site::new().await;
    let key = |name: &str| site.path(name).display().to_string();
    std::fs::write(site.path("short.key"), [7; 31]).expect("written");
    let own = site.store.url();
    for (more, words) in [
        (vec!["--store-key-file", &key("missing.key")], "missing.key"),
        (vec!["--store-key-file", &key("short.key")], "short.key"),
        (vec!["--store", "redis://192.0.2.1:6379"], "not encrypted"),
        (vec!["--store", "http://127.0.0.1:1"], "is not the address of a store"),
        (vec!["--hold", "99"], "99 is not in 100..=10000"),
        (vec!["--etsi", "127.0.0.1:0"], "--etsi"),
    ] {
        let refusal = site.refusal(&more);
        assert!(refusal.contains(words), "{more:?} at {own}: {refusal}");
        assert!(!refusal.contains("panicked"), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfit_store_is_refused_and_a_weak_one_is_named_in_the_log() {
    let mut site = Site::new().await;
    site.store.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let refusal = site.refusal(&[]);
    assert!(refusal.contains("maxmemory-policy noeviction"), "{refusal}");
    site.store = Server::start(&["--appendonly", "yes"]);
    let log = site.log_of_start();
    assert!(log.contains("WARN") && log.contains("appendonly no"), "{log}");
    // Nobody listens there.
    site.store.kill();
    let refusal = site.refusal(&[]);
    assert!(refusal.contains("the store cannot be used at the moment"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_tls_whose_members_are_beyond_this_machine_is_refused() {
    let bus = super::server::free_port().to_string();
    let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-announce-ip", "192.0.2.1"];
    let site = Site::with(Server::start(&cluster)).await;
    site.store.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    site.store.until(|store| store.cli(&["CLUSTER", "SLOTS"]).contains("192.0.2.1"));
    let refusal = site.refusal(&["--store-cluster"]);
    assert!(refusal.contains("it names 192.0.2.1, which is beyond this machine"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_with_other_limits_or_other_keys_does_not_pass_for_one_of_them() {
    let site = Site::new().await;
    let one = site.daemon("one");
    let refusal = site.refusal(&["--max-sessions", "17"]);
    assert!(refusal.contains("max-sessions=17 here, max-sessions=16 there"), "{refusal}");
    site.make_key("other.key");
    let other = site.path("other.key").display().to_string();
    let two = site.daemon_with("two", &["--store-key-file", &other]);
    let id = site.create_id(&one).await;
    super::settled(&one).await;
    let answer = two.encrypt(&id).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(
        answer.body.contains("The store has records that are sealed under a key that is not "),
        "{}",
        answer.body
    );
    let answer = two.delete(&id).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    one.uses(&id).await;
}

//! What is made on one daemon works on all, and dies on all.

use rustix::process::Signal;

use super::{Daemon, Site, settled};
use crate::support::{DOMAIN, again, get, percent, raw};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_works_and_dies_on_all_daemons() {
    let site = Site::new().await;
    let [one, two, three] = site.daemons();
    let id = site.create_id(&one).await;
    let encrypted = two.uses(&id).await;
    let part = |name: &str| percent(encrypted[name].as_str().expect("a text"));
    let target = format!("decrypt?session_id={id}&ciphertext={}&nonce={}", part("ciphertext"), part("nonce"));
    assert_eq!(three.get(&target).await.json()["plaintext"], "aGVsbG8=");
    for daemon in [&one, &two, &three] {
        let shown = daemon.get(&format!("session/{id}")).await.json();
        assert_eq!((&shown["domain"], &shown["key_bits"]), (&DOMAIN.into(), &256.into()));
        let list = daemon.list().await;
        assert_eq!((&list["total"], &list["active"]), (&1.into(), &1.into()));
    }
    // All of them hold the key when one deletes it.
    for daemon in [&one, &two, &three] {
        daemon.uses(&id).await;
    }
    two.deletes(&id).await;
    for daemon in [&one, &two, &three] {
        daemon.does_not_have(&id).await;
        assert_ne!(daemon.delete(&id).await.status, 200, "it dies once");
        assert_eq!(daemon.list().await["total"], 0);
    }
    settled(&one).await;
    assert_eq!(three.delete(&id).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_delete_reaches_every_daemon() {
    let site = Site::new().await;
    let [one, two, _] = site.daemons();
    for way in ["sessions", &format!("sessions?domain={DOMAIN}"), "sessions?forget=true"] {
        let ids = [site.create_id(&one).await, site.create_id(&two).await];
        for id in &ids {
            one.uses(id).await;
            two.uses(id).await;
        }
        let deleted = two.request("DELETE", way).await;
        assert_eq!(deleted.json()["deleted"], 2, "{way}: {}", deleted.body);
        for id in &ids {
            one.does_not_have(id).await;
            two.does_not_have(id).await;
        }
        assert_eq!(one.list().await["total"], 0);
    }
    assert_eq!(one.request("DELETE", "sessions?domain=other.test").await.json()["deleted"], 0);
    let id = site.create_id(&one).await;
    let deleted = two.request("DELETE", &format!("session/{id}?everywhere=true&verify=true")).await.json();
    assert_eq!((&deleted["remote"], &deleted["wipe"]["hits"]), (&"forgotten".into(), &0.into()));
    one.does_not_have(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_machine_that_has_a_copy_searches_its_memory_for_the_deleted_key() {
    let site = Site::new().await;
    // Long enough for all copies to be there.
    let daemons = ["one", "two", "three"].map(|name| site.daemon_with(name, &["--hold", "10000"]));
    let wipe = async |users: &[&Daemon], deletes: &Daemon| {
        let id = site.create_id(&daemons[0]).await;
        for user in users {
            user.uses(&id).await;
        }
        let deleted = deletes.request("DELETE", &format!("session/{id}?verify=true")).await.json();
        for daemon in &daemons {
            daemon.does_not_have(&id).await;
        }
        assert_eq!(deleted["wipe"]["hits"], 0, "{deleted}");
        (deleted["wipe"]["machines"].clone(), deleted["wipe"]["scanned_bytes"].as_u64().expect("bytes"))
    };
    let [one, two, three] = &daemons;
    let (machines, bytes) = wipe(&[], two).await;
    assert_eq!(machines, 1);
    let (machines, of_all) = wipe(&[one, two, three], two).await;
    assert_eq!(machines, 3);
    assert!(of_all > 2 * bytes, "{of_all} bytes of three, {bytes} of one");

    // One that does not answer is waited for, and not counted.
    let id = site.create_id(one).await;
    one.uses(&id).await;
    two.uses(&id).await;
    one.signal(Signal::STOP);
    let deleted = two.request("DELETE", &format!("session/{id}?verify=true")).await.json();
    assert_eq!(deleted["wipe"]["machines"], 1, "{deleted}");
    one.signal(Signal::CONT);
    one.does_not_have(&id).await;
    let activity = two.request("GET", "activity").await.json();
    let receipts = activity["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| &event["receipt"]["wipe"]["machines"]);
    assert_eq!(receipts.filter(|machines| **machines == 1).count(), 2, "{activity}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_that_of_all_daemons_together() {
    let site = Site::new().await;
    let limit = ["--max-sessions", "5"];
    let [one, two] = ["one", "two"].map(|name| site.daemon_with(name, &limit));
    let target = super::create_target(&site);
    let attempts: Vec<_> = [&one, &two].repeat(6).into_iter().map(|daemon| daemon.address).collect();
    let attempts = attempts.into_iter().map(|address| {
        let target = target.clone();
        tokio::spawn(async move { get(address, &target).await })
    });
    let mut answers = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        answers.push(attempt.await.expect("no panic"));
    }
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(429)), (5, 7), "{answers:?}");
    let full = answers.iter().find(|answer| answer.status == 429).expect("one");
    assert!(full.header("retry-after").is_some() && full.body.contains("Maximum of 5 sessions"));
    for daemon in [&one, &two] {
        assert_eq!(daemon.list().await["total"], 5);
        let status = daemon.get("status").await.json();
        assert_eq!((&status["sessions"]["active"], &status["sessions"]["max"]), (&5.into(), &5.into()));
    }
    let id = answers.iter().find(|answer| answer.status == 200).expect("one").json();
    two.deletes(id["session_id"].as_str().expect("an id")).await;
    site.create(&one).await;
    assert_eq!(site.try_create(&two).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_a_key_are_those_of_all_daemons_together() {
    let site = Site::new().await;
    let limit = ["--key-max-messages", "6"];
    let [one, two] = ["one", "two"].map(|name| site.daemon_with(name, &limit));
    let id = site.create_id(&one).await;
    for daemon in [&one, &two, &one, &one, &two, &two] {
        daemon.uses(&id).await;
    }
    for daemon in [&one, &two] {
        let answer = daemon.encrypt(&id).await;
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert_eq!(daemon.get(&format!("session/{id}")).await.status, 200, "it can still decrypt");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_exchange_serves_all_daemons_until_it_is_forgotten() {
    let site = Site::new().await;
    let [one, two, _] = site.daemons();
    assert_eq!(site.create(&one).await["from_cache"], false);
    assert_eq!(site.create(&two).await["from_cache"], true);
    for daemon in [&one, &two] {
        assert_eq!(daemon.get("keys").await.json()["total"], 1);
        assert_eq!(daemon.get("status").await.json()["keystore"]["valid"], 1);
    }
    assert_eq!(two.request("DELETE", "keys").await.json()["deleted"], 1);
    assert_eq!(one.get("keys").await.json()["total"], 0);
    assert_eq!(site.create(&one).await["from_cache"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_on_one_daemon_counts_on_all() {
    let site = Site::new().await;
    let [one, two, _] = site.daemons();
    let id = site.create_id(&one).await;
    let end = |shown: &serde_json::Value| shown["expires_at"].as_str().expect("a time").to_owned();
    let before = end(&one.get(&format!("session/{id}")).await.json());
    let renewed = again(async || {
        let renewed = end(&two.request("POST", &format!("session/{id}/renew")).await.json());
        if renewed > before { Ok(renewed) } else { Err(format!("{renewed} is not after {before}")) }
    })
    .await;
    let shown = async || {
        let shown = end(&one.get(&format!("session/{id}")).await.json());
        if shown == renewed { Ok(()) } else { Err(format!("{shown}, not {renewed}")) }
    };
    again(shown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_ends_nothing_and_sigusr1_ends_all() {
    let site = Site::new().await;
    let [one, two, three] = site.daemons();
    let id = site.create_id(&one).await;
    for daemon in [&one, &two, &three] {
        daemon.uses(&id).await;
    }
    one.stop();
    let mut killed = three;
    killed.kill();
    two.uses(&id).await;
    let three = site.daemon("three");
    three.uses(&id).await;
    two.signal(Signal::USR1);
    again(async || match three.encrypt(&id).await.status {
        200 => Err("it still works".to_owned()),
        _ => Ok(()),
    })
    .await;
    let total = async || match two.list().await["total"].as_u64() {
        Some(0) => Ok(()),
        total => Err(format!("{total:?} sessions")),
    };
    again(total).await;
}

/// A tunnel renews its hold, and ends when another daemon deletes its session.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_outlives_its_hold_and_ends_with_its_session() {
    let site = Site::new().await;
    let [one, two] = ["one", "two"].map(|name| site.daemon_with(name, &["--hold", "1000"]));
    let id = site.create_id(&one).await;
    let head = format!(
        "POST /api/rke/session/{id}/tunnel HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let tunnel = tokio::spawn(raw(two.address, head));
    let holds = async |daemon: &Daemon| daemon.list().await["held"].as_u64();
    // It holds the key from now on, for several times as long as a hold.
    again(async || match holds(&two).await {
        Some(1) => Ok(()),
        held => Err(format!("{held:?} held")),
    })
    .await;
    for _ in 0..16 {
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        assert_eq!(holds(&two).await, Some(1));
    }
    assert!(!tunnel.is_finished());
    one.deletes(&id).await;
    let cut = tunnel.await.expect("no panic");
    assert_eq!(cut.status, 200);
    assert!(!cut.body.ends_with("0\r\n\r\n"), "a cut is not an end: {cut:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_after_its_hold_and_sealed_data_opens_elsewhere() {
    let site = Site::new().await;
    let [one, two] = ["one", "two"].map(|name| site.daemon_with(name, &["--hold", "100"]));
    let id = site.create_id(&one).await;
    let data = vec![7; 3_000_000];
    let post = |what: &str, body: &[u8]| {
        let head = format!(
            "POST /api/rke/{what} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-rke-session: {id}\r\n\
             content-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let sealed = bytes(one.address, post("seal", &data)).await;
    assert_eq!(bytes(two.address, post("open", &sealed)).await, data);
}

/// The body of a response, which must be a success.
async fn bytes(address: std::net::SocketAddr, request: Vec<u8>) -> Vec<u8> {
    use std::io::{Read, Write};
    let exchange = move || {
        let mut stream = std::net::TcpStream::connect(address).expect("connected");
        let mut sending = stream.try_clone().expect("a clone");
        // Slower than a hold.
        let sent = std::thread::spawn(move || {
            for piece in request.chunks(500_000) {
                sending.write_all(piece).expect("sent");
                std::thread::sleep(std::time::Duration::from_millis(60));
            }
        });
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("a response");
        sent.join().expect("sent");
        let end = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..end]));
        answer.split_off(end)
    };
    tokio::task::spawn_blocking(exchange).await.expect("no panic")
}

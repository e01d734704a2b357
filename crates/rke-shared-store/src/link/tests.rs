use std::time::Duration;

use super::*;
use crate::tests::node::until;
use crate::tests::server::Server;

/// The longest that a client waits for its answer.
const A_SECOND: Duration = Duration::from_secs(1);

fn addresses(server: &Server) -> Addresses {
    Addresses { urls: vec![server.url()], deployment: address::Deployment::Single }
}

pub(crate) fn link_to(server: &Server) -> Link {
    Link::open(addresses(server), b"channel".to_vec(), |_| ()).expect("a link")
}

async fn ping(link: &Link) -> Result<Value, Outage> {
    link.command(&redis::cmd("PING")).await
}

async fn ping_shared(link: Arc<Link>) -> Result<Value, Outage> {
    ping(&link).await
}

async fn until_up(link: &Link) {
    until(async || ping(link).await.is_ok()).await;
}

#[tokio::test]
async fn a_link_comes_back_by_itself_after_the_server_was_killed() {
    let server = Server::start(&[]);
    let link = link_to(&server);
    ping(&link).await.expect("a response");
    server.kill();
    let begin = Instant::now();
    assert!(ping(&link).await.is_err());
    assert!(begin.elapsed() < A_SECOND);
    server.start_again();
    until_up(&link).await;
}

#[tokio::test]
async fn each_request_is_answered_within_a_second_while_the_server_is_stopped() {
    let server = Server::start(&[]);
    let link = link_to(&server);
    ping(&link).await.expect("a response");
    server.signal("STOP");
    for number in 0..3 {
        let begin = Instant::now();
        let outage = ping(&link).await.expect_err("an outage");
        assert!(begin.elapsed() < A_SECOND, "request {number}");
        // The first was sent, and may still be carried out. The others find no connection.
        assert_eq!(outage.may_have_happened(), number == 0, "{outage}");
    }
    server.signal("CONT");
    until_up(&link).await;
}

#[tokio::test]
async fn of_several_addresses_the_first_that_responds_is_used() {
    let (dead, server) = (Server::start(&[]), Server::start(&[]));
    dead.kill();
    let urls = vec![dead.url(), server.url()];
    let addresses = Addresses { urls, deployment: address::Deployment::Single };
    let link = Link::open(addresses, b"channel".to_vec(), |_| ()).expect("a link");
    ping(&link).await.expect("a response");
}

#[tokio::test]
async fn one_connection_serves_all_requests_and_there_is_one_attempt_at_a_time() {
    let server = Server::start(&[]);
    let link = Arc::new(link_to(&server));
    ping(&link).await.expect("a response");
    server.kill();
    let waiting: Vec<_> = (0..20).map(|_| tokio::spawn(ping_shared(Arc::clone(&link)))).collect();
    for ping in waiting {
        assert!(ping.await.expect("no panic").is_err());
    }
    server.start_again();
    until_up(&link).await;
    let clients = server.cli(&["CLIENT", "LIST"]);
    assert_eq!(clients.lines().filter(|line| line.contains("resp=3")).count(), 1, "{clients}");
}

#[tokio::test]
async fn what_is_published_on_the_channel_is_pushed() {
    let server = Server::start(&[]);
    let (sender, mut pushed) = tokio::sync::mpsc::unbounded_channel();
    let link = Link::open(addresses(&server), b"channel".to_vec(), move |push| {
        let _ = sender.send(push);
    });
    let link = link.expect("a link");
    ping(&link).await.expect("a response");
    server.cli(&["PUBLISH", "channel", "hello"]);
    let message = loop {
        let push = timeout(Duration::from_secs(60), pushed.recv()).await.expect("in time").expect("a push");
        if push.kind == redis::PushKind::Message {
            break push;
        }
    };
    assert_eq!(message.data[1], Value::BulkString(b"hello".to_vec()));
}

#[test]
fn pauses_are_jittered_between_half_and_whole() {
    for _ in 0..1000 {
        let pause = jitter(Duration::from_secs(2));
        assert!(pause >= A_SECOND && pause <= 2 * A_SECOND, "{pause:?}");
    }
}

/// What keeps a link to this URL from being up.
async fn obstacle(url: String, deployment: address::Deployment) -> Outage {
    let addresses = Addresses { urls: vec![url], deployment };
    let link = Link::open(addresses, b"rke:channel".to_vec(), |_| ()).expect("a link");
    ping(&link).await.expect_err("an outage")
}

#[tokio::test]
async fn what_keeps_a_connection_from_being_made_is_named() {
    let users =
        ["--user", "rke", "on", ">right", "~*", "&*", "+@all", "--user", "weak", "on", ">right", "-@all"];
    let server = Server::start(&users);
    let host = format!("127.0.0.1:{}", server.port());
    let single = || address::Deployment::Single;
    for deployment in [single(), address::Deployment::Cluster] {
        let found = obstacle(format!("redis://rke:wrong@{host}"), deployment).await;
        assert_eq!(found, Outage::WrongPassword(host.clone()));
    }
    let found = obstacle(format!("redis://weak:right@{host}"), single()).await;
    assert_eq!(found, Outage::NotPermitted(host.clone()));
    for url in [format!("rediss://{host}"), format!("rediss://rke:right@{host}")] {
        assert_eq!(obstacle(url, single()).await, Outage::WithoutTls(host.clone()));
    }
    server.kill();
    assert_eq!(obstacle(format!("rediss://{host}"), single()).await, Outage::NotConnected(host.clone()));
}

#[tokio::test]
async fn a_cluster_without_tls_that_names_members_beyond_this_machine_is_refused() {
    let member = |named: &[&str]| {
        let bus = crate::tests::server::free_port().to_string();
        let cluster = ["--cluster-enabled", "yes", "--cluster-port", &*bus];
        let server = Server::start(&[&cluster, named].concat());
        server.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        server.until(|server| server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        server
    };
    let here = member(&[]);
    let addresses = Addresses { urls: vec![here.url()], deployment: address::Deployment::Cluster };
    let link = Link::open(addresses, b"channel".to_vec(), |_| ()).expect("a link");
    ping(&link).await.expect("a member on this machine");
    let beyond = member(&["--cluster-announce-ip", "192.0.2.1"]);
    let found = obstacle(beyond.url(), address::Deployment::Cluster).await;
    assert_eq!(found, Outage::NamesBeyond("192.0.2.1".into()));
}

#[tokio::test]
async fn a_member_that_is_named_later_is_found_on_this_machine_only() {
    use redis::io::AsyncDNSResolver;
    for (host, is_found) in [("127.0.0.1", true), ("::1", true), ("192.0.2.1", false), ("2001:db8::1", false)]
    {
        let found = connect::ThisMachine.resolve(host, 1).await.expect("addresses").count();
        assert_eq!(found > 0, is_found, "{host}");
    }
}

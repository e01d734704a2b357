//! A DNS server on loopback, UDP and TCP, that has one domain and behaves as scripted.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NS, SRV, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

/// How a server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Good,
    /// It takes requests and never responds.
    Silent,
    Refuses,
    Fails,
    /// It does not know the domain.
    DeniesAll,
    /// It has only address records.
    DeniesServices,
    /// It does not understand requests with EDNS.
    RejectsEdns,
    /// It drops requests with EDNS.
    DropsEdns,
    /// It cuts every UDP response in the middle of a record.
    Cuts,
    /// The same, and nothing listens for TCP.
    CutsAndHasNoTcp,
    /// It sends bytes that are not records, behind a valid header.
    Garbles,
    /// Responses of someone else arrive first.
    IsRaced,
    /// It names servers that may know.
    Refers,
}

/// A running server. Dropping it stops it.
pub(super) struct Scripted {
    pub(super) address: SocketAddr,
    /// How many requests it has received.
    asked: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    pub(super) async fn start(way: Way) -> Self {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("an address");
        let (asked, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        let count = Arc::clone(&asked);
        tasks.spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((len, from)) = udp.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::Relaxed);
                let request = Message::from_vec(&buffer[..len]).expect("a request");
                for response in over_udp(way, &request) {
                    let _ = udp.send_to(&response, from).await;
                }
            }
        });
        if way != Way::CutsAndHasNoTcp {
            tasks.spawn(serve_tcp(tcp, way));
        }
        Self { address, asked, _tasks: tasks }
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = udp.local_addr().expect("an address");
        if let Ok(tcp) = TcpListener::bind(address).await {
            return (udp, tcp);
        }
    }
}

async fn serve_tcp(listener: TcpListener, way: Way) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = vec![0; stream.read_u16().await.unwrap_or(0).into()];
        if stream.read_exact(&mut request).await.is_err() {
            continue;
        }
        let Ok(request) = Message::from_vec(&request) else { continue };
        let response = respond(way, &request).to_vec().expect("a response");
        let len = u16::try_from(response.len()).expect("a short one");
        let _ = stream.write_all(&[&len.to_be_bytes()[..], &response].concat()).await;
    }
}

fn over_udp(way: Way, request: &Message) -> Vec<Vec<u8>> {
    let response = respond(way, request);
    let mut bytes = response.to_vec().expect("a response");
    let limit = usize::from(request.max_payload()).max(512);
    match way {
        Way::Silent => return Vec::new(),
        Way::DropsEdns if request.edns.is_some() => return Vec::new(),
        Way::Cuts | Way::CutsAndHasNoTcp => {
            bytes[2] |= 2;
            bytes.truncate(40);
        }
        Way::Garbles => bytes[12..].fill(0xC0),
        Way::IsRaced => {
            let mut other_id = bytes.clone();
            other_id[0] ^= 1;
            let mut other_question = respond(Way::DeniesAll, request);
            other_question.queries[0].name = name("evil.test");
            return vec![b"x".to_vec(), other_id, other_question.to_vec().expect("a response"), bytes];
        }
        _ if bytes.len() > limit => bytes = response.truncate().to_vec().expect("a response"),
        _ => (),
    }
    vec![bytes]
}

fn name(text: &str) -> Name {
    Name::from_str(&format!("{text}.")).expect("a name")
}

fn respond(way: Way, request: &Message) -> Message {
    let mut response = request.clone().into_response();
    response.metadata.recursion_available = way != Way::Refers;
    response.edns = request.edns.clone().filter(|_| way != Way::DropsEdns);
    let query = &request.queries[0];
    let is_address = matches!(query.query_type(), RecordType::A | RecordType::AAAA);
    response.metadata.response_code = match way {
        Way::Refuses => ResponseCode::Refused,
        Way::Fails => ResponseCode::ServFail,
        Way::DeniesAll => ResponseCode::NXDomain,
        Way::RejectsEdns if request.edns.is_some() => ResponseCode::FormErr,
        _ => ResponseCode::NoError,
    };
    if way == Way::Refers {
        response.add_authority(record("test", RData::NS(NS(name("ns.test")))));
    } else if way == Way::RejectsEdns && request.edns.is_some() {
        (response.queries, response.edns) = (Vec::new(), None);
    } else if response.response_code == ResponseCode::NoError && (is_address || way != Way::DeniesServices) {
        response.add_answers(records(query.name(), query.query_type()));
    }
    response
}

fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(name(owner), 60, data)
}

/// The records of full.test, which has all RAIDAs, and of alias.test, which leads there through three aliases. Each
/// response also has records that nobody asked for.
fn records(owner: &Name, kind: RecordType) -> Vec<Record> {
    let owner = owner.to_ascii();
    let owner = owner.trim_end_matches('.');
    let alias = |to: &str| vec![record(owner, RData::CNAME(CNAME(name(to))))];
    let stray = record("_rke._udp.stray.test", RData::SRV(SRV::new(0, 0, 66, name("evil.test"))));
    match (owner, kind) {
        ("_rke._udp.alias.test", _) => alias("one.alias.test"),
        ("one.alias.test", _) => alias("two.alias.test"),
        ("two.alias.test", _) => alias("_rke._udp.full.test"),
        ("cs_1.full.test", _) => alias("host.full.test"),
        ("host.full.test", RecordType::A) => vec![record(owner, RData::A(A::new(192, 0, 2, 5)))],
        ("_rke._udp.full.test", RecordType::SRV) => {
            vec![stray, record(owner, RData::SRV(SRV::new(0, 0, 443, name("cs_1.full.test"))))]
        }
        ("_rke._udp.full.test", RecordType::TXT) => {
            let lines = (0..25).map(|at| format!("203.0.113.{at}:50000 k1 k2 k3 k4 k5 k6 k7 raida={at}"));
            let lines = lines.chain(["k1 = CONTENT-SERVER01".into(), "required share-bytes>=32".into()]);
            lines.map(|line| record(owner, RData::TXT(TXT::new(vec![line])))).collect()
        }
        _ => Vec::new(),
    }
}

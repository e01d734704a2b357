//! One question to one DNS server: over UDP, again over TCP if the response does not fit, and without EDNS if the
//! server does not support it. The library encodes and decodes the messages.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{DnsResponse, Header, Message, ResponseCode};
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinDecoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::error::ServerFault;

/// The largest UDP response: a size that no network on the way splits into fragments.
pub(super) const UDP_PAYLOAD: u16 = 1232;

/// When the request is sent again, counted from the start, and whether with EDNS. Some firewalls drop requests with
/// EDNS.
const RESENDS: [(Duration, Edns); 3] = [
    (Duration::from_millis(500), Edns::With),
    (Duration::from_millis(1200), Edns::Without),
    (Duration::from_millis(2500), Edns::With),
];

/// Whether a request states how large a UDP response may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edns {
    /// It does.
    With,
    /// It does not: the limit is 512 bytes.
    Without,
}

/// A response, and how it was obtained.
pub(super) struct Had {
    pub(super) response: DnsResponse,
    /// Whether it shows that the server works better without EDNS.
    pub(super) refuses_edns: bool,
}

/// The server's response to `request`. This has no deadline of its own.
pub(super) async fn ask(server: SocketAddr, request: &Message, edns: Edns) -> Result<Had, ServerFault> {
    // Validation needs EDNS.
    let may_go_without = !request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
    let edns = if may_go_without { edns } else { Edns::With };
    let (response, sent) = over_udp(server, request, edns, may_go_without).await?;
    if sent == Edns::With && may_go_without && rejects_edns(&response) {
        let (response, _) = over_udp(server, request, Edns::Without, may_go_without).await?;
        return Ok(Had { response: accepted(response)?, refuses_edns: true });
    }
    Ok(Had { response: accepted(response)?, refuses_edns: sent == Edns::Without })
}

fn rejects_edns(response: &Message) -> bool {
    matches!(response.response_code, ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS)
}

/// A response that says something about the name, not only about the server.
fn accepted(response: DnsResponse) -> Result<DnsResponse, ServerFault> {
    let is_referral = response.authorities.iter().any(|record| record.record_type() == RecordType::NS)
        && response.soa().is_none();
    match response.response_code {
        ResponseCode::NoError
            if response.answers.is_empty()
                && is_referral
                && !response.recursion_available
                && !response.authoritative =>
        {
            Err(ServerFault::NoResolver)
        }
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(response),
        ResponseCode::Refused | ResponseCode::NotAuth => Err(ServerFault::Refused),
        ResponseCode::ServFail => Err(ServerFault::Failed),
        _ => Err(ServerFault::Rejected),
    }
}

/// The response received on a socket that accepts nothing from elsewhere, and whether the request that it may belong
/// to had EDNS.
async fn over_udp(
    server: SocketAddr,
    request: &Message,
    edns: Edns,
    may_go_without: bool,
) -> Result<(DnsResponse, Edns), ServerFault> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let began = Instant::now();
    let mut sent = edns;
    socket.send(&bytes(request, sent)?).await?;
    for (after, again) in RESENDS {
        if let Ok(received) = timeout_at(began + after, receive(&socket, request)).await {
            return whole(server, request, received?, sent).await;
        }
        if again == Edns::With || may_go_without {
            let again = if edns == Edns::Without { edns } else { again };
            if again == Edns::Without {
                sent = again;
            }
            socket.send(&bytes(request, again)?).await?;
        }
    }
    whole(server, request, receive(&socket, request).await?, sent).await
}

/// Fetches a response that did not fit in UDP again over TCP.
async fn whole(
    server: SocketAddr,
    request: &Message,
    received: Received,
    sent: Edns,
) -> Result<(DnsResponse, Edns), ServerFault> {
    match received {
        Received::Whole(response) => {
            // A response with EDNS belongs to a request with EDNS.
            let sent = if response.edns.is_some() { Edns::With } else { sent };
            Ok((*response, sent))
        }
        Received::Truncated => {
            Ok((over_tcp(server, request, sent).await.map_err(|_| ServerFault::NoTcp)?, sent))
        }
    }
}

enum Received {
    Whole(Box<DnsResponse>),
    Truncated,
}

/// The first datagram that is a response to the request. Others are ignored: forging one takes guessing the id.
async fn receive(socket: &UdpSocket, request: &Message) -> Result<Received, ServerFault> {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let len = socket.recv(&mut buffer).await?;
        let Ok(header) = Header::read(&mut BinDecoder::new(&buffer[..len])) else { continue };
        if header.id != request.id {
            continue;
        }
        // A truncated message may end in the middle of a record.
        if header.truncation {
            return Ok(Received::Truncated);
        }
        let response = DnsResponse::from_buffer(buffer[..len].to_vec());
        let response = response.map_err(|_| ServerFault::Unreadable)?;
        if responds_to(&response, request) {
            return Ok(Received::Whole(Box::new(response)));
        }
    }
}

/// Whether it repeats the question. Some error responses omit it.
fn responds_to(response: &Message, request: &Message) -> bool {
    let is_error = !matches!(response.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
    response.queries == request.queries || (response.queries.is_empty() && is_error)
}

async fn over_tcp(server: SocketAddr, request: &Message, edns: Edns) -> io::Result<DnsResponse> {
    let request_bytes = bytes(request, edns)?;
    let mut stream = TcpStream::connect(server).await?;
    let len = u16::try_from(request_bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&len.to_be_bytes()[..], &request_bytes].concat()).await?;
    let mut response = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut response).await?;
    let response = DnsResponse::from_buffer(response).map_err(io::Error::other)?;
    match response.id == request.id && responds_to(&response, request) {
        true => Ok(response),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn bytes(request: &Message, edns: Edns) -> io::Result<Vec<u8>> {
    let mut request = request.clone();
    match edns {
        Edns::With => _ = request.edns.get_or_insert_default().set_max_payload(UDP_PAYLOAD),
        Edns::Without => request.edns = None,
    }
    request.to_vec().map_err(io::Error::other)
}

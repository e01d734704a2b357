//! DNS servers that behave as configured, and a TCP server that stays silent. None of them parses much: requests are
//! passed on to a real server, or returned with another code.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// A server's handling of requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Drops,
    Refuses,
    Fails,
    Denies,
    Garbles,
    /// Every response over UDP, and nobody listens for TCP.
    Truncates,
    RejectsEdns,
    DropsEdns,
}

const HEADER_LEN: usize = 12;

/// Serves in the background. It forwards queries to `upstream`.
pub(super) fn serve(listen: SocketAddr, upstream: SocketAddr, way: Way) -> Result<()> {
    let socket = UdpSocket::bind(listen).context("a scripted DNS server cannot listen")?;
    if way != Way::Truncates {
        let listener = TcpListener::bind(listen).context("a scripted DNS server cannot listen")?;
        thread::spawn(move || pass_on_tcp(&listener, upstream));
    }
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            if let Some(response) = respond(way, &buffer[..len], upstream) {
                let _ = socket.send_to(&response, from);
            }
        }
    });
    Ok(())
}

/// Takes connections and says nothing.
pub(super) fn say_nothing(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen).context("the silent server cannot listen")?;
    thread::spawn(move || {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            open.push(stream);
        }
    });
    Ok(())
}

fn respond(way: Way, request: &[u8], upstream: SocketAddr) -> Option<Vec<u8>> {
    // One additional record: that is EDNS.
    let has_edns = request.get(10..HEADER_LEN)? != [0, 0];
    match way {
        Way::Drops => None,
        Way::DropsEdns if has_edns => None,
        Way::RejectsEdns if has_edns => with_code(request, 1),
        Way::Fails => with_code(request, 2),
        Way::Denies => with_code(request, 3),
        Way::Refuses => with_code(request, 5),
        Way::Garbles => {
            let mut response = with_code(request, 0)?;
            response[HEADER_LEN..].fill(0xC0);
            Some(response)
        }
        Way::Truncates => {
            let mut response = with_code(request, 0)?;
            response[2] |= 2;
            Some(response)
        }
        Way::RejectsEdns | Way::DropsEdns => pass_on(request, upstream),
    }
}

/// The request's header and question, as a response with this code.
fn with_code(request: &[u8], code: u8) -> Option<Vec<u8>> {
    let name_len = request.get(HEADER_LEN..)?.iter().position(|byte| *byte == 0)? + 1;
    let mut response = request.get(..HEADER_LEN + name_len + 4)?.to_vec();
    response[2] |= 0x80;
    response[3] = 0x80 | code;
    response[6..HEADER_LEN].fill(0);
    Some(response)
}

fn pass_on(request: &[u8], upstream: SocketAddr) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    socket.send_to(request, upstream).ok()?;
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).ok()?;
    Some(buffer[..len].to_vec())
}

fn pass_on_tcp(listener: &TcpListener, upstream: SocketAddr) {
    while let Ok((mut stream, _)) = listener.accept() {
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            let len = stream.read(&mut buffer)?;
            let mut other = TcpStream::connect(upstream)?;
            other.write_all(&buffer[..len])?;
            std::io::copy(&mut other, &mut stream)
        });
    }
}

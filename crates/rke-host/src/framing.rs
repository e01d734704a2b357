//! Packets of the tunnel on a stream. `docs/protocol.md` section 7.1.

use std::io;

use rke_proto::DecodeError;
use rke_proto::tunnel::PacketHeader;
use rke_proto::tunnel::packet::{HEADER_LEN, TRAILER};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The next packet: its header and its payload. `None` where the peer has ended between two packets.
///
/// # Errors
/// What the system said, or that the peer sent something else.
pub async fn read_packet(
    incoming: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(PacketHeader, Vec<u8>)>> {
    let mut header = [0; HEADER_LEN];
    if incoming.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    incoming.read_exact(&mut header[1..]).await?;
    let header = PacketHeader::decode(&header).map_err(malformed)?;
    let mut rest = vec![0; header.rest_len()];
    incoming.read_exact(&mut rest).await?;
    match rest.split_off(header.payload_len.into()) {
        trailer if trailer == TRAILER => Ok(Some((header, rest))),
        _ => Err(malformed(DecodeError::Mismatch("the packet's trailer"))),
    }
}

fn malformed(error: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

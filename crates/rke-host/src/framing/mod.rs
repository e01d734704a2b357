//! Packets and records on a connection to a Content Server, for both ends. `docs/protocol.md` sections 7 and 8.
//!
//! - A server reads the first packet with [`read_first`]: one of handshake 3, or one of envelope type 6.
//! - A client writes its first packet with `write_all` and reads the response with [`read_response`].
//! - When both have accepted, [`records`] turns the connection into a [`RecordReader`] and a [`RecordWriter`].
//! - [`read_packet`] reads the later packets of envelope type 6.
//!
//! Nothing here has a time limit or a growing buffer: the caller sets limits, and all lengths are checked before they
//! are used.

use std::io;

use rke_proto::DecodeError;
use rke_proto::handshake::packet::{self, FirstHeader, MESSAGE_LEN_LEN, message_1_len, response_header};
use rke_proto::handshake::record::{LEN_LEN, MAX_DATA_LEN, record_len};
use rke_proto::handshake::{BreakCode, Record, RecordError, RecordOpener, RecordSealer, Response, Transport};
use rke_proto::tunnel::PacketHeader;
use rke_proto::tunnel::packet::{HEADER_LEN, TRAILER};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The first byte of envelope type 6.
const TYPE_6: u8 = 6;

/// The most that is buffered in addition to the record that is being read.
const READ_AHEAD: usize = MAX_DATA_LEN + 64;

/// The first packet of a client.
#[derive(Debug)]
pub enum First {
    /// A whole first packet of handshake 3, with its Noise message, for `FirstPacket::decode`.
    Handshake(Vec<u8>),
    /// A packet of envelope type 6: its header and its payload.
    Narrow(PacketHeader, Vec<u8>),
}

/// Reads the first packet of a connection, up to its last byte and no further. `None` if the peer has sent nothing.
///
/// # Errors
/// The system's error, or [`io::ErrorKind::InvalidData`] for anything except a first packet: close without a response.
pub async fn read_first(incoming: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<First>> {
    let mut first = [0; 1];
    if incoming.read(&mut first).await? == 0 {
        return Ok(None);
    }
    if first[0] == TYPE_6 {
        let (header, payload) = read_packet_after(TYPE_6, incoming).await?;
        return Ok(Some(First::Narrow(header, payload)));
    }
    read_handshake_after(first[0], incoming).await.map(|packet| Some(First::Handshake(packet)))
}

async fn read_handshake_after(first: u8, incoming: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut header = [0; packet::HEADER_LEN];
    header[0] = first;
    // Checked first, so that a peer with another protocol is dropped at its first wrong byte.
    if first != packet::MAGIC[0] {
        return Err(malformed(DecodeError::Mismatch("the packet's magic")));
    }
    incoming.read_exact(&mut header[1..]).await?;
    let FirstHeader { kind, content_len } = FirstHeader::decode(&header).map_err(malformed)?;
    let mut whole = header.to_vec();
    read_more(incoming, content_len, &mut whole).await?;
    if kind.has_message() {
        let mut field = [0; MESSAGE_LEN_LEN];
        incoming.read_exact(&mut field).await?;
        let len = message_1_len(field).map_err(malformed)?;
        whole.extend(field);
        read_more(incoming, len, &mut whole).await?;
    }
    Ok(whole)
}

/// Reads the response to a first packet of handshake 3.
///
/// # Errors
/// The system's error, [`io::ErrorKind::UnexpectedEof`] if the peer closed without a response, or
/// [`io::ErrorKind::InvalidData`] if the peer is not a Content Server of this version.
pub async fn read_response(incoming: &mut (impl AsyncRead + Unpin)) -> io::Result<Response> {
    let mut header = [0; packet::HEADER_LEN];
    incoming.read_exact(&mut header).await?;
    let (_, len) = response_header(&header).map_err(malformed)?;
    let mut whole = header.to_vec();
    read_more(incoming, len, &mut whole).await?;
    Response::decode(&whole).map_err(malformed)
}

/// Appends the next `len` bytes.
async fn read_more(
    incoming: &mut (impl AsyncRead + Unpin),
    len: usize,
    whole: &mut Vec<u8>,
) -> io::Result<()> {
    let before = whole.len();
    whole.resize(before + len, 0);
    incoming.read_exact(&mut whole[before..]).await.map(|_| ())
}

/// The next packet of envelope type 6: its header and its payload. `None` if the peer has ended between two packets.
///
/// # Errors
/// The system's error, or [`io::ErrorKind::InvalidData`] for anything except such a packet.
pub async fn read_packet(
    incoming: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(PacketHeader, Vec<u8>)>> {
    let mut first = [0; 1];
    if incoming.read(&mut first).await? == 0 {
        return Ok(None);
    }
    read_packet_after(first[0], incoming).await.map(Some)
}

async fn read_packet_after(
    first: u8,
    incoming: &mut (impl AsyncRead + Unpin),
) -> io::Result<(PacketHeader, Vec<u8>)> {
    let mut header = [first; HEADER_LEN];
    incoming.read_exact(&mut header[1..]).await?;
    let header = PacketHeader::decode(&header).map_err(malformed)?;
    let mut rest = vec![0; header.rest_len()];
    incoming.read_exact(&mut rest).await?;
    match rest.split_off(header.payload_len.into()) {
        trailer if trailer == TRAILER => Ok((header, rest)),
        _ => Err(malformed(DecodeError::Mismatch("the packet's trailer"))),
    }
}

fn malformed(error: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Makes a connection reset when its other half is dropped. Dropping this half normally would send an orderly close before
/// the reset, and hide it.
pub fn reset(outgoing: OwnedWriteHalf) {
    // A connection that has already ended needs no reset.
    let _ = outgoing.as_ref().set_zero_linger();
    outgoing.forget();
}

/// Both directions of a connection after its handshake.
pub fn records(
    stream: TcpStream,
    transport: Transport,
) -> (RecordReader<OwnedReadHalf>, RecordWriter<OwnedWriteHalf>) {
    let (incoming, outgoing) = stream.into_split();
    (RecordReader::new(incoming, transport.opener), RecordWriter::new(outgoing, transport.sealer))
}

/// Why no further record arrived, or could be sent. Each of these is a cut, never an end.
#[derive(Debug, thiserror::Error)]
pub enum RecordIoError {
    /// The direction was closed without its last record, perhaps in the middle of one.
    #[error("the connection was closed before the end of the data")]
    Cut,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The data is not the next record of the other end, or this end has already sent its last one.
    #[error("the data is not what the other end sent: {0}")]
    Record(#[from] RecordError),
}

/// Reads records.
pub struct RecordReader<R> {
    stream: BufReader<R>,
    opener: RecordOpener,
    /// The beginning of the next record: its length field, then what follows.
    partial: Vec<u8>,
}

impl<R: AsyncRead + Unpin> RecordReader<R> {
    /// A reader of a direction that has been read up to the end of the response.
    pub fn new(stream: R, opener: RecordOpener) -> Self {
        Self { stream: BufReader::with_capacity(READ_AHEAD, stream), opener, partial: Vec::new() }
    }

    /// Whether the last record has arrived.
    pub fn is_over(&self) -> bool {
        self.opener.is_over()
    }

    /// The next record. Cancel safe.
    ///
    /// # Errors
    /// [`RecordIoError`]: no further record can come. [`RecordIoError::Cut`] also after the last record, when the other end
    /// closes: only [`Record::End`] is an end.
    pub async fn next(&mut self) -> Result<Record, RecordIoError> {
        self.fill(LEN_LEN).await?;
        let field = self.partial.first_chunk().copied().unwrap_or_default();
        let len = record_len(field).map_err(RecordError::from)?;
        self.fill(LEN_LEN + len).await?;
        // Moved out without copying, so a waiting reader holds no more memory than it has read.
        let mut sealed = std::mem::take(&mut self.partial);
        sealed.drain(..LEN_LEN);
        Ok(self.opener.open(sealed)?)
    }

    /// Waits, after the last record, until the other end closes its direction. Cancel safe.
    ///
    /// # Errors
    /// [`RecordIoError`] if the connection breaks or anything follows the last record.
    pub async fn closed(&mut self) -> Result<(), RecordIoError> {
        match self.stream.read(&mut [0]).await? {
            0 => Ok(()),
            _ => Err(RecordError::AfterTheEnd.into()),
        }
    }

    /// Reads and discards until the other end closes or the connection breaks. Closing a connection with unread data would
    /// reset it, and the other end might never read the last record.
    pub async fn drain(&mut self) {
        while let Ok(1..) = self.stream.read(&mut [0; 1024]).await {}
    }

    /// Reads until that many bytes of the record have arrived.
    async fn fill(&mut self, len: usize) -> Result<(), RecordIoError> {
        while let missing @ 1.. = len.saturating_sub(self.partial.len()) {
            self.partial.reserve_exact(missing);
            if (&mut self.stream).take(missing as u64).read_buf(&mut self.partial).await? == 0 {
                return Err(RecordIoError::Cut);
            }
        }
        Ok(())
    }
}

/// Writes records.
pub struct RecordWriter<W> {
    stream: W,
    sealer: RecordSealer,
    /// The sealed record that is being sent.
    pending: Vec<u8>,
    sent: usize,
}

impl<W: AsyncWrite + Unpin> RecordWriter<W> {
    /// A writer of a direction that carries only records from here on.
    pub fn new(stream: W, sealer: RecordSealer) -> Self {
        Self { stream, sealer, pending: Vec::new(), sent: 0 }
    }

    /// Whether the last record was sent.
    pub fn is_over(&self) -> bool {
        self.sealer.is_over()
    }

    /// Sends data, in as many records as it takes; an empty one for no data. If it is cancelled, the next call sends the
    /// rest of the record that had begun: use only [`RecordWriter::break_off`] then.
    ///
    /// # Errors
    /// [`RecordIoError`].
    pub async fn data(&mut self, data: &[u8]) -> Result<(), RecordIoError> {
        let (first, rest) = data.split_at(data.len().min(MAX_DATA_LEN));
        let rest = rest.chunks(MAX_DATA_LEN);
        for part in std::iter::once(first).chain(rest) {
            self.flush().await?;
            self.pending = self.sealer.data(part)?;
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends the end of the data, from a server with its command's exit status. The connection stays open.
    ///
    /// # Errors
    /// [`RecordIoError`].
    pub async fn end(&mut self, status: Option<i32>) -> Result<(), RecordIoError> {
        self.flush().await?;
        self.pending = self.sealer.end(status)?;
        self.flush().await
    }

    /// Breaks both directions off, and closes this one.
    ///
    /// # Errors
    /// [`RecordIoError`], also if the end of the data was sent before.
    pub async fn break_off(&mut self, code: BreakCode, text: &str) -> Result<(), RecordIoError> {
        self.flush().await?;
        self.pending = self.sealer.break_off(code, text)?;
        self.flush().await?;
        self.close().await
    }

    /// Closes this direction. Without [`RecordWriter::end`] before it, the other end sees a cut.
    ///
    /// # Errors
    /// [`RecordIoError::Broken`].
    pub async fn close(&mut self) -> Result<(), RecordIoError> {
        Ok(self.stream.shutdown().await?)
    }

    /// Sends the rest of a record. If it is cancelled, the next call continues.
    async fn flush(&mut self) -> Result<(), RecordIoError> {
        while self.sent < self.pending.len() {
            match self.stream.write(&self.pending[self.sent..]).await? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                sent => self.sent += sent,
            }
        }
        self.pending.clear();
        self.sent = 0;
        Ok(self.stream.flush().await?)
    }
}

impl RecordWriter<OwnedWriteHalf> {
    /// Makes the connection reset when its reader is dropped. An end that has sent its last record signals this way that it no
    /// longer waits for the other.
    pub fn reset(self) {
        reset(self.stream);
    }
}

#[cfg(test)]
mod tests;

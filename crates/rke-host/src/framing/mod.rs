//! What both ends of a connection to a Content Server read and write. `docs/protocol.md` sections 7 and 8.
//!
//! - A server reads what opens a connection with [`read_first`]: a packet of handshake 3, or one of envelope type 6.
//! - A client writes its first packet with `write_all` and reads the response with [`read_response`].
//! - Where both have accepted, [`records`] turns the connection into a [`RecordReader`] and a [`RecordWriter`].
//! - [`read_packet`] reads the later packets of envelope type 6.
//!
//! Nothing here has a time limit or a buffer that grows: the caller sets limits, and all lengths are checked before they
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

/// How much of what has come lies here at most, besides the record that is being read.
const READ_AHEAD: usize = MAX_DATA_LEN + 64;

/// What a client opens a connection with.
#[derive(Debug)]
pub enum First {
    /// A whole first packet of handshake 3, with its Noise message, for `FirstPacket::decode`.
    Handshake(Vec<u8>),
    /// A packet of envelope type 6: its header and its payload.
    Narrow(PacketHeader, Vec<u8>),
}

/// Reads what opens a connection, up to its last byte and no further. `None` where the peer has sent nothing.
///
/// # Errors
/// What the system said, or [`io::ErrorKind::InvalidData`] for anything else than a first packet: close without an
/// answer.
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
    // Byte by byte would be right too, but this drops a peer that speaks something else at its first wrong byte.
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
/// What the system said, [`io::ErrorKind::UnexpectedEof`] where the peer closed without one, or
/// [`io::ErrorKind::InvalidData`]: what answered is not a Content Server of this version.
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

/// The next packet of envelope type 6: its header and its payload. `None` where the peer has ended between two packets.
///
/// # Errors
/// What the system said, or that the peer sent something else.
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

/// Has a connection reset when the other half of it is dropped. Where this half was dropped too, an orderly close would come
/// before the reset, and hide it.
pub fn reset(outgoing: OwnedWriteHalf) {
    // A connection that has ended already needs no reset.
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

/// Why no further record came, or could be sent. Each of these is a cut, never an end.
#[derive(Debug, thiserror::Error)]
pub enum RecordIoError {
    /// The direction was closed without its last record, maybe in the middle of one.
    #[error("the connection was closed before the end of the data")]
    Cut,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// What came is not the next record of the other end, or this end has sent its last one already.
    #[error("the data is not what the other end sent: {0}")]
    Record(#[from] RecordError),
}

/// Reads records.
pub struct RecordReader<R> {
    stream: BufReader<R>,
    opener: RecordOpener,
    /// Of the next record: its length field, then what follows that.
    partial: Vec<u8>,
}

impl<R: AsyncRead + Unpin> RecordReader<R> {
    /// Over a direction of which the response was the last that was read.
    pub fn new(stream: R, opener: RecordOpener) -> Self {
        Self { stream: BufReader::with_capacity(READ_AHEAD, stream), opener, partial: Vec::new() }
    }

    /// Whether the last record has come.
    pub fn is_over(&self) -> bool {
        self.opener.is_over()
    }

    /// The next record. May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// [`RecordIoError`]: there will be none. [`RecordIoError::Cut`] also after the last record, when the other end
    /// closes: only [`Record::End`] is an end.
    pub async fn next(&mut self) -> Result<Record, RecordIoError> {
        self.fill(LEN_LEN).await?;
        let field = self.partial.first_chunk().copied().unwrap_or_default();
        let len = record_len(field).map_err(RecordError::from)?;
        self.fill(LEN_LEN + len).await?;
        // Taken as it is: a reader that waits holds no more memory than what it has read.
        let mut sealed = std::mem::take(&mut self.partial);
        sealed.drain(..LEN_LEN);
        Ok(self.opener.open(sealed)?)
    }

    /// Waits, after the last record, until the other end closes its direction. May be dropped while it waits.
    ///
    /// # Errors
    /// [`RecordIoError`] where the connection breaks or something follows the last record.
    pub async fn closed(&mut self) -> Result<(), RecordIoError> {
        match self.stream.read(&mut [0]).await? {
            0 => Ok(()),
            _ => Err(RecordError::AfterTheEnd.into()),
        }
    }

    /// Reads and throws away until the other end closes or the connection breaks. An end that breaks off and then closes with
    /// data unread may take back what it has just sent.
    pub async fn drain(&mut self) {
        while let Ok(1..) = self.stream.read(&mut [0; 1024]).await {}
    }

    /// Reads until that many bytes of the record are there.
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
    /// What is sealed, and how much of it has been sent.
    pending: Vec<u8>,
    sent: usize,
}

impl<W: AsyncWrite + Unpin> RecordWriter<W> {
    /// Over a direction in which nothing is sent but records from here on.
    pub fn new(stream: W, sealer: RecordSealer) -> Self {
        Self { stream, sealer, pending: Vec::new(), sent: 0 }
    }

    /// Whether the last record was sent.
    pub fn is_over(&self) -> bool {
        self.sealer.is_over()
    }

    /// Sends data, in as many records as it takes; an empty one for no data. Where it is dropped while it waits, the
    /// record that had begun still goes out with the next call: use nothing but [`RecordWriter::break_off`] then.
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
    /// [`RecordIoError`], also where the end of the data was sent before.
    pub async fn break_off(&mut self, code: BreakCode, text: &str) -> Result<(), RecordIoError> {
        self.flush().await?;
        self.pending = self.sealer.break_off(code, text)?;
        self.flush().await?;
        self.close().await
    }

    /// Closes this direction. Without [`RecordWriter::end`] before it, that is a cut to the other end.
    ///
    /// # Errors
    /// [`RecordIoError::Broken`].
    pub async fn close(&mut self) -> Result<(), RecordIoError> {
        Ok(self.stream.shutdown().await?)
    }

    /// Sends what is left of a record. Where it is dropped, the next call goes on where this one was.
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
    /// Has the connection reset when its reader is dropped. That is how an end whose last record was sent before says that it
    /// waits for nothing more.
    pub fn reset(self) {
        reset(self.stream);
    }
}

#[cfg(test)]
mod tests;

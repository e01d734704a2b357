//! What moves through an open tunnel, until both directions have ended or something breaks it off.
//! A cut is never an end: after one the client's response is dropped without [`Coming::End`], and the Content Server is
//! notified by a record of type 2, or by a reset where its data had its end before. `docs/protocol.md` section 7, "Records".

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use rke_proto::handshake::BreakCode;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Cut, Receiver, Sender, Tunnel};
use crate::model::session_id::SessionId;
use crate::sessions::Sessions;
use crate::store::{KeyError, KeyUse};

/// How long the Content Server is given to take notice that a tunnel is broken off.
const FAREWELL: Duration = Duration::from_millis(400);

/// How long after the last use of a session it may take to learn how the session ended.
const ENDING: Duration = Duration::from_secs(1);

/// What comes from the Content Server.
#[derive(Debug, PartialEq, Eq)]
pub enum Coming {
    /// Data.
    Data(Bytes),
    /// All data has come, and the command behind the tunnel has ended with this exit status, where there is one.
    End(Option<i32>),
}

/// The session that a tunnel uses.
struct Uses<'a> {
    sessions: &'a Sessions,
    id: SessionId,
}

impl Uses<'_> {
    /// Notes that something moves, which counts against `--session-idle`.
    fn note(&self) -> Result<(), Cut> {
        match self.sessions.store().touch(self.id, KeyUse::Tunnel) {
            Err(KeyError::NotFound) => Err(KeyError::NotFound.into()),
            // A key that has encrypted enough is not what encrypts here.
            Ok(()) | Err(KeyError::UsedUp(_)) => Ok(()),
        }
    }
}

impl Tunnel {
    /// Moves data until the tunnel is over. `upload` is what the client sends: an error in it is a cut. `download` takes
    /// what comes; it is dropped without [`Coming::End`] where that was cut.
    pub async fn run<E>(self, upload: impl Stream<Item = Result<Bytes, E>>, download: mpsc::Sender<Coming>) {
        let Self { sessions, id, mut open, mut sender, mut receiver } = self;
        let uses = Uses { sessions: &sessions, id };
        // The client's response goes on until the reason is there for it to ask for.
        let until_noted = download.clone();
        let ended = tokio::select! {
            biased;
            code = open.cut() => Err(Cut::SessionEnded(code)),
            ended = both_ways(&uses, &mut sender, &mut receiver, upload, download) => ended,
        };
        open.ended(ended.as_ref().err().and_then(Cut::by_the_server));
        drop(until_noted);
        let cut = match ended {
            Ok(()) => return,
            // Its tunnels hear at once when the session ends.
            Err(Cut::Key(KeyError::NotFound)) => {
                Cut::SessionEnded(timeout(ENDING, open.cut()).await.unwrap_or(BreakCode::Expired))
            }
            Err(cut) => cut,
        };
        match cut {
            Cut::Client | Cut::SessionEnded(_) => tracing::info!(reason = %cut, "a tunnel was cut"),
            _ => tracing::warn!(reason = %cut, "a tunnel was cut"),
        }
        if let Some((code, text)) = cut.farewell() {
            let farewell = async {
                if sender.break_off(code, text).await {
                    receiver.drain().await;
                }
            };
            let _ = timeout(FAREWELL, farewell).await;
        }
    }
}

/// Moves data in both directions. Either may end first.
async fn both_ways<E>(
    uses: &Uses<'_>,
    sender: &mut Sender,
    receiver: &mut Receiver,
    upload: impl Stream<Item = Result<Bytes, E>>,
    download: mpsc::Sender<Coming>,
) -> Result<(), Cut> {
    let mut up = pin!(pass_up(uses, sender, upload));
    {
        let mut down = pin!(pass_down(uses, receiver, download));
        tokio::select! {
            biased;
            ended = &mut down => ended?,
            ended = &mut up => {
                ended?;
                return down.await;
            }
        }
    }
    // The client has all of its response. Nobody reads its data once the other end has closed.
    tokio::select! {
        ended = up => ended,
        () = receiver.closed() => Ok(()),
    }
}

async fn pass_up<E>(
    uses: &Uses<'_>,
    sender: &mut Sender,
    upload: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(), Cut> {
    let mut upload = pin!(upload);
    while let Some(piece) = upload.next().await {
        let piece = piece.map_err(|_| Cut::Client)?;
        uses.note()?;
        match sender.data(&piece).await {
            // The other end may have said how all of this ended before it closed: that is read to its end.
            Err(cut) if cut.is_broken_connection() => return Ok(()),
            sent => sent?,
        }
    }
    match sender.end().await {
        Err(cut) if cut.is_broken_connection() => Ok(()),
        ended => ended,
    }
}

async fn pass_down(
    uses: &Uses<'_>,
    receiver: &mut Receiver,
    download: mpsc::Sender<Coming>,
) -> Result<(), Cut> {
    loop {
        let coming = tokio::select! {
            biased;
            () = download.closed() => return Err(Cut::Client),
            coming = receiver.next() => coming?,
        };
        uses.note()?;
        let is_end = matches!(coming, Coming::End(_));
        // This lets the other end begin.
        if matches!(&coming, Coming::Data(data) if data.is_empty()) {
            continue;
        }
        download.send(coming).await.map_err(|_| Cut::Client)?;
        if is_end {
            return Ok(());
        }
    }
}

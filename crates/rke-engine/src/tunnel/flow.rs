//! Moves data through an open tunnel, until both directions have ended or something breaks it off. A cut is never an
//! end: after a cut, the client's response is dropped without [`Coming::End`]. The Content Server is notified by a
//! record of type 2, or by a reset if the data to it had already ended. `docs/protocol.md` section 7, "Records".

use std::fmt::Display;
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

/// How long the Content Server has to notice that a tunnel is broken off.
const FAREWELL: Duration = Duration::from_millis(400);

/// How long to wait for the reason after a use has shown that the session has ended.
const ENDING: Duration = Duration::from_secs(1);

/// Received from the Content Server.
#[derive(Debug, PartialEq, Eq)]
pub enum Coming {
    Data(Bytes),
    /// All data has arrived. The exit status is that of the command behind the tunnel, if there is one.
    End(Option<i32>),
}

/// The session that a tunnel uses.
struct Uses<'a> {
    sessions: &'a Sessions,
    id: SessionId,
}

impl Uses<'_> {
    /// Notes that data has moved, so that the session does not count as idle (`--session-idle`).
    fn note(&self) -> Result<(), Cut> {
        match self.sessions.store().touch(self.id, KeyUse::Tunnel) {
            Err(error @ (KeyError::NotFound | KeyError::NotHeld)) => Err(error.into()),
            // A used-up key does not matter here, because this does not encrypt with it.
            Ok(()) | Err(KeyError::UsedUp(_)) => Ok(()),
        }
    }
}

impl Tunnel {
    /// Moves data until the tunnel is over. `upload` is the client's data: an error in it is a cut. `download` takes
    /// the data that arrives. It is dropped without [`Coming::End`] if that data was cut.
    pub async fn run<E: Display>(
        self,
        upload: impl Stream<Item = Result<Bytes, E>>,
        download: mpsc::Sender<Coming>,
    ) {
        let Self { sessions, id, mut open, mut sender, mut receiver } = self;
        let uses = Uses { sessions: &sessions, id };
        // Keeps the client's response open until the reason is noted, so that the client can ask for it.
        let until_noted = download.clone();
        let ended = tokio::select! {
            biased;
            code = open.cut() => Err(Cut::SessionEnded(code)),
            () = sessions.keep(id) => Err(KeyError::NotHeld.into()),
            ended = both_ways(&uses, &mut sender, &mut receiver, upload, download) => ended,
        };
        open.ended(ended.as_ref().err().and_then(Cut::by_the_server));
        drop(until_noted);
        let cut = match ended {
            Ok(()) => return,
            // When the session ends, its tunnels are notified at once.
            Err(Cut::Key(KeyError::NotFound | KeyError::NotHeld)) => {
                Cut::SessionEnded(timeout(ENDING, open.cut()).await.unwrap_or(BreakCode::Expired))
            }
            Err(cut) => cut,
        };
        match cut {
            Cut::Upload(_) | Cut::Client | Cut::SessionEnded(_) => {
                tracing::info!(reason = %cut, "a tunnel was cut")
            }
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
async fn both_ways<E: Display>(
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
    // The client has its whole response. Once the other end has closed, nobody reads the client's data.
    tokio::select! {
        ended = up => ended,
        () = receiver.closed() => Ok(()),
    }
}

async fn pass_up<E: Display>(
    uses: &Uses<'_>,
    sender: &mut Sender,
    upload: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(), Cut> {
    let mut upload = pin!(upload);
    while let Some(piece) = upload.next().await {
        let piece = piece.map_err(|error| Cut::Upload(error.to_string()))?;
        uses.note()?;
        match sender.data(&piece).await {
            // The other end may have reported the outcome before it closed: what it sent is read to its end.
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
        // An empty record only lets the other end begin.
        if matches!(&coming, Coming::Data(data) if data.is_empty()) {
            continue;
        }
        download.send(coming).await.map_err(|_| Cut::Client)?;
        if is_end {
            return Ok(());
        }
    }
}

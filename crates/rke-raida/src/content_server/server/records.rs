//! An application's data in records. `docs/protocol.md` section 7, "Records". Each direction goes on until its own
//! end. Anything else is a cut, and kills or resets the application before it could mistake the cut for an end.

use rke_host::framing::{RecordReader, RecordWriter};
use rke_proto::handshake::record::MAX_DATA_LEN;
use rke_proto::handshake::{KeyId, Record};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

use super::ServerContext;
use super::cut::{Activity, Cut, close};
use super::preshared::Renewal;
use super::record::{ConnectionRecord, End};
use crate::clock::unix_seconds;
use crate::content_server::application::{Application, Exit, Input, User};
use crate::content_server::reception::EndWatcher;

/// A connection that has attached to a session.
pub(super) struct Tunnel<'a> {
    pub(super) reader: RecordReader<OwnedReadHalf>,
    pub(super) writer: RecordWriter<OwnedWriteHalf>,
    /// The response to a `forget` waits until this is dropped.
    pub(super) watcher: EndWatcher,
    pub(super) key_id: KeyId,
    pub(super) shared: &'a ServerContext,
    pub(super) record: &'a mut ConnectionRecord,
}

impl Tunnel<'_> {
    /// Carries data, starting with the first record, until both directions have ended or the connection is cut.
    pub(super) async fn run(mut self, first: Record) -> Result<End, Cut> {
        let ended = self.carry(first).await;
        if let Err(cut) = &ended {
            cut.send_to(&mut self.writer).await;
        }
        drop(self.watcher);
        close(&mut self.reader, &mut self.writer).await;
        ended.map(|()| End::Done)
    }

    /// At its end, this kills the rest of a command and then closes its input, or resets a connection that has not ended.
    async fn carry(&mut self, first: Record) -> Result<(), Cut> {
        let attached = self.shared.reception().attach(self.key_id, &self.watcher, unix_seconds());
        let client = attached.map_err(Cut::Key)?;
        self.record.key_id = Some(self.key_id);
        self.record.note_client(&client.domain, client.coin);
        self.record.note_tunnel();
        let activity = Activity::new(self.shared, Some(self.key_id));
        if let Application::Keys(service) = &self.shared.application {
            let (shared, from) = (self.shared, self.record.peer());
            let (reader, writer) = (&mut self.reader, &mut self.writer);
            let renewal = Renewal { reader, writer, activity: &activity, shared, service, client, from };
            return tokio::select! {
                biased;
                cut = activity.wait_for_cut(&mut self.watcher) => Err(cut),
                renewed = renewal.run(first) => renewed,
            };
        }
        let user = User::Session(client);
        let mut running = self.shared.start_application(&user, &activity, &mut self.watcher).await?;
        let exit = running.exit();
        let sent = Notify::new();
        let up = receive_all(&mut self.reader, first, &mut running.input, &activity, &sent);
        let down = send_all(&mut self.writer, &mut running.output, exit, &activity, &sent);
        tokio::select! {
            biased;
            cut = activity.wait_for_cut(&mut self.watcher) => Err(cut),
            both = async { tokio::try_join!(up, down) } => both.map(|_| ()),
        }
    }
}

/// From the client to the application, up to the client's end; then watches the connection until everything is
/// `sent`. A client that closes its direction earlier is gone.
async fn receive_all(
    reader: &mut RecordReader<impl AsyncRead + Unpin>,
    first: Record,
    input: &mut Input,
    activity: &Activity<'_>,
    sent: &Notify,
) -> Result<(), Cut> {
    let mut record = first;
    loop {
        activity.check()?;
        activity.note();
        match record {
            Record::Data(data) => input.feed(&data).await.map_err(Cut::ByTheApplication)?,
            Record::End(_) => break input.end().await.map_err(Cut::ByTheApplication)?,
            Record::BrokenOff { .. } => return Err(Cut::ByTheClient),
        }
        activity.note();
        record = reader.next().await?;
    }
    tokio::select! {
        biased;
        () = sent.notified() => Ok(()),
        closed = reader.closed() => Err(closed.map_or_else(Cut::from, |()| Cut::Abandoned)),
    }
}

/// From the application to the client, up to the application's end and its exit status.
async fn send_all(
    writer: &mut RecordWriter<OwnedWriteHalf>,
    output: &mut (impl AsyncRead + Unpin),
    exit: Option<Exit>,
    activity: &Activity<'_>,
    sent: &Notify,
) -> Result<(), Cut> {
    let mut data = vec![0; MAX_DATA_LEN];
    while let len @ 1.. = output.read(&mut data).await.map_err(Cut::ByTheApplication)? {
        activity.check()?;
        writer.data(&data[..len]).await?;
        activity.note();
    }
    let status = match exit {
        Some(exit) => Some(exit.status().await.map_err(Cut::NoApplication)?),
        None => None,
    };
    writer.end(status).await?;
    activity.note();
    sent.notify_one();
    Ok(())
}

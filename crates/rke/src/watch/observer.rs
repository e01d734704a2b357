//! Observes the daemon again and again.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rke_client::call;
use rke_client::response::{Raidas, SessionSummary, Sessions, Shown, Status};
use rke_client::{Client, Error, Events};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{sleep, timeout};

/// The longest time between two observations.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest time between two observations: an exchange has dozens of events.
const PAUSE: Duration = Duration::from_millis(150);

/// How long the daemon may take to respond, unless --timeout is shorter.
const PATIENCE: Duration = Duration::from_secs(3);

/// The most sessions to request details of: no screen has more lines.
const MOST_DETAILS: usize = 200;

/// The most details to request in one observation, so that it ends in time.
const DETAILS_AT_ONCE: usize = 20;

/// How each session's key was made, by session id.
pub(super) type Details = HashMap<String, Arc<Shown>>;

/// The state of a daemon at one time.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) status: Status,
    /// Sorted by expiry, the earliest first.
    pub(super) sessions: Sessions,
    pub(super) details: Details,
    pub(super) raidas: Raidas,
}

/// The result of an observation: the state, or why it is unknown.
pub(super) type Observation = Result<Snapshot, String>;

/// Starts to observe.
pub(super) fn start(client: Client, limit: Duration) -> Receiver<Observation> {
    let client = client.with_timeout(PATIENCE.min(limit));
    let (found, observations) = channel(1);
    tokio::spawn(async move {
        let (mut events, mut details) = (None, Details::new());
        loop {
            let observation = look(&client, &mut details).await;
            let is_there = observation.is_ok();
            if found.send(observation).await.is_err() {
                return;
            }
            if events.is_none() && is_there {
                events = client.events().await.ok();
            }
            sleep(PAUSE).await;
            tokio::select! {
                () = sleep(LOOK_INTERVAL - PAUSE) => (),
                () = news(&mut events) => (),
            }
        }
    });
    observations
}

async fn look(client: &Client, details: &mut Details) -> Observation {
    let all = async {
        let (status, mut sessions, raidas) =
            tokio::try_join!(client.status(), client.sessions(), client.raidas())?;
        sessions.sessions.sort_by_key(|row| row.expires_at);
        learn(client, &sessions.sessions, details).await?;
        Ok::<_, Error>(Snapshot { status, sessions, details: details.clone(), raidas })
    };
    match timeout(PATIENCE, all).await {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the daemon at {} does not respond in time", client.address())),
    }
}

/// Requests how each session's key was made. That never changes, so one request per session is enough; `rke session list`
/// also shows keys that Content Servers have lost since.
async fn learn(client: &Client, rows: &[SessionSummary], details: &mut Details) -> Result<(), Error> {
    let ids = || rows.iter().take(MOST_DETAILS).map(|row| row.session_id.as_str());
    let known: Details = ids().filter_map(|id| details.remove_entry(id)).collect();
    *details = known;
    let missing: Vec<&str> = ids().filter(|id| !details.contains_key(*id)).take(DETAILS_AT_ONCE).collect();
    for id in missing {
        match client.ask(&call::show(id)).await {
            Ok(shown) => _ = details.insert(id.to_owned(), Arc::new(shown)),
            // The session has ended since it was listed.
            Err(Error::SessionGone(_)) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits for the next event, or forever if the daemon sends none.
async fn news(events: &mut Option<Events>) {
    if let Some(listening) = events {
        match listening.next().await {
            Ok(Some(_)) => return,
            _ => *events = None,
        }
    }
    pending().await
}

//! Looks at the daemon again and again.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rke_client::answer::{Raidas, Row, Sessions, Shown, Status};
use rke_client::call;
use rke_client::{Client, Error, Events};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{sleep, timeout};

/// Longest time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Shortest time between two looks: an exchange has dozens of events.
const PAUSE: Duration = Duration::from_millis(150);

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Sessions that are looked at more closely: no screen has more lines.
const MOST_DETAILS: usize = 200;

/// Of these, how many in one look, so that it ends in time.
const DETAILS_AT_ONCE: usize = 20;

/// How the keys of sessions were made, by the sessions' ids.
pub(super) type Details = HashMap<String, Arc<Shown>>;

/// What is seen of a daemon at one time.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: Status,
    /// Those that expire first come first.
    pub(super) sessions: Sessions,
    pub(super) details: Details,
    pub(super) raidas: Raidas,
}

/// What a look brings: what is seen, or why nothing is.
pub(super) type Observation = Result<Seen, String>;

/// Starts to look.
pub(super) fn start(client: Client) -> Receiver<Observation> {
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
                events = timeout(PATIENCE, client.events()).await.ok().and_then(Result::ok);
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
        Ok::<_, Error>(Seen { status, sessions, details: details.clone(), raidas })
    };
    match timeout(PATIENCE, all).await {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the daemon at {} does not answer in time", client.address())),
    }
}

/// How a session's key was made never changes, so it is asked for once.
async fn learn(client: &Client, rows: &[Row], details: &mut Details) -> Result<(), Error> {
    let ids = || rows.iter().take(MOST_DETAILS).map(|row| row.session_id.as_str());
    let known: Details = ids().filter_map(|id| details.remove_entry(id)).collect();
    *details = known;
    let missing: Vec<&str> = ids().filter(|id| !details.contains_key(*id)).take(DETAILS_AT_ONCE).collect();
    for id in missing {
        match client.ask(&call::show(id)).await {
            Ok(shown) => _ = details.insert(id.to_owned(), Arc::new(shown)),
            // It has ended since it was listed.
            Err(Error::SessionGone(_)) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits for the next event, for ever where the daemon has none.
async fn news(events: &mut Option<Events>) {
    if let Some(listening) = events {
        match listening.next().await {
            Ok(Some(_)) => return,
            _ => *events = None,
        }
    }
    pending().await
}

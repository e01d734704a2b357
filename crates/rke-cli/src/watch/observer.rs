//! Looks at the daemon again and again.

use std::future::pending;
use std::time::Duration;

use rke_client::answer::{Raidas, Sessions, Status};
use rke_client::{Client, Error, Events};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{sleep, timeout};

/// Longest time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Shortest time between two looks: an exchange has dozens of events.
const PAUSE: Duration = Duration::from_millis(150);

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is seen of a daemon at one time.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: Status,
    pub(super) sessions: Sessions,
    pub(super) raidas: Raidas,
}

/// What a look brings: what is seen, or why nothing is.
pub(super) type Observation = Result<Seen, String>;

/// Starts to look.
pub(super) fn start(client: Client) -> Receiver<Observation> {
    let (found, observations) = channel(1);
    tokio::spawn(async move {
        let mut events = None;
        loop {
            let observation = look(&client).await;
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

async fn look(client: &Client) -> Observation {
    let all = async {
        let (status, sessions, raidas) =
            tokio::try_join!(client.status(), client.sessions(), client.raidas())?;
        Ok::<_, Error>(Seen { status, sessions, raidas })
    };
    match timeout(PATIENCE, all).await {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the daemon at {} does not answer in time", client.address())),
    }
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

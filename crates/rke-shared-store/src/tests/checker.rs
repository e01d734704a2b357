//! Three nodes and many clients that do random things, and a checker over what they saw: nothing that began after a deletion was
//! answered succeeds, no id dies twice, the limit holds.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::node::*;
use crate::fault::Fault;
use crate::lock::lock;
use crate::*;

const CLIENTS: usize = 24;
const MAX: u64 = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Create,
    Use,
    Delete,
    DeleteAll,
}

/// An operation that succeeded. One that failed promises nothing, except that a deletion which failed may still happen.
#[derive(Clone, Copy)]
struct Event {
    what: What,
    id: [u8; 16],
    begin: Instant,
    end: Instant,
}

#[derive(Default)]
struct History {
    events: Mutex<Vec<Event>>,
    /// The latest ids, among which clients choose.
    ids: Mutex<Vec<Id>>,
    /// Ids that are in a dump, and may come back.
    suspects: Mutex<Vec<Id>>,
    /// How many things clients have done or tried to do.
    steps: AtomicUsize,
}

impl History {
    fn note(&self, what: What, id: [u8; 16], begin: Instant) {
        lock(&self.events).push(Event { what, id, begin, end: Instant::now() });
    }

    fn created(&self, id: Id) {
        let mut ids = lock(&self.ids);
        if ids.len() >= 60 {
            ids.remove(0);
        }
        ids.push(id);
    }

    fn suspect_all(&self) {
        // In the order of `choose`.
        let ids = lock(&self.ids);
        lock(&self.suspects).extend(ids.iter());
    }

    /// One of the latest ids, or one that may have come back.
    fn choose(&self) -> Option<Id> {
        let (ids, suspects) = (lock(&self.ids), lock(&self.suspects));
        let among = if random().is_multiple_of(3) && !suspects.is_empty() { &suspects } else { &ids };
        (!among.is_empty()).then(|| among[random() % among.len()])
    }

    /// Waits until the clients have done this much more.
    async fn until_steps(&self, more: usize) {
        let steps = self.steps.load(Ordering::SeqCst) + more;
        until(async || self.steps.load(Ordering::SeqCst) >= steps).await;
    }

    /// What must not have happened.
    fn violations(&self) -> Vec<String> {
        let events = lock(&self.events);
        let of = |what| events.iter().filter(move |event| event.what == what);
        let mut violations = Vec::new();
        let mut deleted: HashMap<[u8; 16], Instant> = HashMap::new();
        for event in of(What::Delete) {
            if deleted.insert(event.id, event.end).is_some() {
                violations.push("an id died twice".to_owned());
            }
        }
        let created: HashMap<_, _> = of(What::Create).map(|event| (event.id, event.end)).collect();
        let of_all: Vec<&Event> = of(What::DeleteAll).collect();
        for used in of(What::Use) {
            if deleted.get(&used.id).is_some_and(|end| *end < used.begin) {
                violations.push("a key was used after its deletion was answered".to_owned());
            }
            // A deletion of all ends what was made before it began.
            let made = created.get(&used.id);
            if made.is_some_and(|made| of_all.iter().any(|all| *made < all.begin && all.end < used.begin)) {
                violations.push("a key was used after all were deleted".to_owned());
            }
        }
        violations
    }
}

/// What a run is like.
#[derive(Clone, Copy, Default)]
struct Course {
    fault: Option<Fault>,
    /// Nodes do not hear what others announce.
    is_deaf: bool,
    /// The server is stopped, killed, and put back from an older dump.
    is_disturbed: bool,
}

/// How often the server is stopped and put back in a disturbed run.
const ROUNDS: usize = 2;

/// Lets each client do so many things, or go on until the last disturbance is over.
async fn run(course: Course, steps: usize) -> (Site, Vec<Arc<Node>>, Arc<History>) {
    let mut site = Site::new(&[]);
    site.settings.limits.max = MAX;
    site.settings.limits.hold = Duration::from_millis(300);
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let node = site.node_with(site.settings.clone(), course.fault).await.expect("a node");
        if course.is_deaf {
            node.store.deafen();
        }
        nodes.push(Arc::new(node));
    }
    let history = Arc::new(History::default());
    let is_disturbed = Arc::new(AtomicBool::new(course.is_disturbed));
    let client = |number: usize| {
        let (nodes, history, is_disturbed) = (nodes.clone(), Arc::clone(&history), Arc::clone(&is_disturbed));
        tokio::spawn(async move {
            let mut done = 0;
            while done < steps || is_disturbed.load(Ordering::SeqCst) {
                step(&nodes[random() % 3], &history, number).await;
                history.steps.fetch_add(1, Ordering::SeqCst);
                done += 1;
            }
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    if course.is_disturbed {
        for _ in 0..ROUNDS {
            disturb(&site, &history).await;
        }
        is_disturbed.store(false, Ordering::SeqCst);
    }
    for client in clients {
        client.await.expect("no panic");
    }
    (site, nodes, history)
}

async fn step(node: &Node, history: &History, client: usize) {
    let chosen = history.choose();
    let begin = Instant::now();
    match (random() % 100, chosen) {
        (0..20, _) | (_, None) => {
            if let Ok(id) = node.create().await {
                history.note(What::Create, id.0, begin);
                history.created(id);
            }
        }
        (20..35, Some(id)) => {
            if node.store.delete(&id).await.is_ok() {
                history.note(What::Delete, id.0, begin);
            }
        }
        (35, _) if client == 0 => {
            if node.store.delete_many(None).await.is_ok() {
                history.note(What::DeleteAll, [0; 16], begin);
            }
        }
        (_, Some(id)) => {
            if node.can_use(&id).await {
                history.note(What::Use, id.0, begin);
            }
        }
    }
}

/// Stops the server for a while, then puts it back from a dump that is older than what it has acknowledged.
async fn disturb(site: &Site, history: &History) {
    let folder = site.server.folder();
    let (dump, aside) = (folder.join("dump.rdb"), folder.join("aside"));
    site.server.cli(&["SAVE"]);
    fs::copy(&dump, &aside).expect("copied");
    history.suspect_all();
    history.until_steps(5000).await;
    site.server.signal("STOP");
    // All clients find out.
    history.until_steps(3 * CLIENTS).await;
    site.server.signal("CONT");
    history.until_steps(1000).await;
    site.server.kill();
    fs::copy(&aside, &dump).expect("copied");
    site.server.start_again();
    history.until_steps(5000).await;
}

fn random() -> usize {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("random bytes");
    u32::from_be_bytes(bytes) as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_without_disturbances_has_no_violation() {
    let (_site, nodes, history) = run(Course::default(), 150).await;
    assert_eq!(history.violations(), Vec::<String>::new());
    assert!(nodes[0].count().await <= MAX);
    let count = |what| lock(&history.events).iter().filter(|event| event.what == what).count();
    assert!(count(What::Create) > 50 && count(What::Use) > 50 && count(What::Delete) > 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_in_which_nodes_do_not_hear_each_other_has_no_violation() {
    let (_site, _nodes, history) = run(Course { is_deaf: true, ..Course::default() }, 60).await;
    assert_eq!(history.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_with_a_store_that_dies_and_comes_back_old_has_no_violation() {
    let (_site, nodes, history) = run(Course { is_disturbed: true, ..Course::default() }, 100).await;
    assert_eq!(history.violations(), Vec::<String>::new());
    until(async || nodes[0].count_if_up().await.is_some_and(|count| count <= MAX)).await;
    until(async || nodes.iter().all(|node| node.store.in_background() == 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_finds_deletions_that_do_not_wait() {
    let course = Course { is_deaf: true, fault: Some(Fault::DeleteWithoutWait), ..Course::default() };
    let (_site, _nodes, history) = run(course, 100).await;
    assert!(!history.violations().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_finds_sessions_that_come_back_with_an_old_dump() {
    let course = Course { is_disturbed: true, fault: Some(Fault::NoIncarnation), ..Course::default() };
    // As often as it takes: a deleted session has to be in the dump, and someone has to use it again.
    for _ in 0..5 {
        let (_site, _nodes, history) = run(course, 100).await;
        if !history.violations().is_empty() {
            return;
        }
    }
    panic!("the checker has found nothing");
}

//! Sits between the daemon and a RAIDA node on a real socket, and spoils what passes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rke_proto::Status;
use tokio::net::UdpSocket;

/// The position of the envelope type in the header of a request or a response.
const ENVELOPE: usize = 16;

/// The fault of one RAIDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// No response.
    Dead,
    /// Nobody listens: the system refuses connections.
    Refusing,
    /// Responses take seconds.
    Slow,
    /// Responses wait until the fault is another.
    Held,
    /// 30 of 100 datagrams are lost, in each direction.
    Lossy,
    /// Every response arrives three times.
    Duplicating,
    /// Each response is held back for another time, up to 60 ms.
    Reordering,
    /// Responses lose their end.
    Truncating,
    /// A byte of the HMAC is changed.
    Forging,
    /// Responses come from another address.
    OtherAddress,
    /// Every request gets the same old response, which fits none of them.
    Older,
    /// The response names another RAIDA.
    WrongIndex,
    /// The status is not the node's. The share is still used, because it proves itself.
    BadStatus,
    /// The status says that the time is stale.
    Stale,
    /// The status says that the RAIDA has no such key set.
    NoKeySet,
    /// Responses in envelope 5 do not open, as from public servers: their header gives another counter block than
    /// the one used for encryption.
    Garbling,
}

impl Fault {
    /// All faults that spoil something.
    pub(crate) const ALL: [Self; 15] = [
        Self::Dead,
        Self::Refusing,
        Self::Slow,
        Self::Lossy,
        Self::Duplicating,
        Self::Reordering,
        Self::Truncating,
        Self::Forging,
        Self::OtherAddress,
        Self::Older,
        Self::WrongIndex,
        Self::BadStatus,
        Self::Stale,
        Self::NoKeySet,
        Self::Garbling,
    ];

    /// Whether a share can never get through.
    pub(crate) fn is_final(self) -> bool {
        use Fault::{BadStatus, Duplicating, Garbling, Lossy, None, Reordering};
        !matches!(self, None | Lossy | Duplicating | Reordering | BadStatus | Garbling)
    }
}

/// Relays whose faults can be changed while they run, RAIDA 0 first.
pub(crate) struct Relays {
    pub(crate) addresses: Vec<SocketAddr>,
    faults: Arc<Mutex<Vec<Fault>>>,
    envelopes: Envelopes,
    /// Ports at which nobody listens.
    closed: Vec<SocketAddr>,
}

/// The envelope types of all requests.
type Envelopes = Arc<Mutex<BTreeSet<u8>>>;

impl Relays {
    pub(crate) async fn start(nodes: &[SocketAddr], faults: Vec<Fault>, seed: u64) -> Self {
        let (faults, envelopes) = (Arc::new(Mutex::new(faults)), Envelopes::default());
        let (mut addresses, mut closed) = (Vec::new(), Vec::new());
        for (at, node) in nodes.iter().enumerate() {
            let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a socket"));
            addresses.push(socket.local_addr().expect("an address"));
            // Connected to itself: the system refuses the datagrams of all others.
            let nobody = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
            closed.push(nobody.local_addr().expect("an address"));
            nobody.connect(closed[at]).await.expect("connected");
            let fault = {
                let faults = Arc::clone(&faults);
                move || faults.lock().expect("unpoisoned")[at]
            };
            let dice = Dice(seed ^ (at as u64) << 32 | 1);
            let relay = relay(socket, *node, fault, Arc::clone(&envelopes), dice);
            tokio::spawn(async move {
                // Another program could take a port that is free, and listen there.
                let _taken = nobody;
                relay.await
            });
        }
        Self { addresses, faults, envelopes, closed }
    }

    /// The envelope types of the requests so far, including lost requests.
    pub(crate) fn envelopes(&self) -> Vec<u8> {
        self.envelopes.lock().expect("unpoisoned").iter().copied().collect()
    }

    /// Changes the fault of one RAIDA from now on.
    pub(crate) fn spoil(&self, raida: usize, fault: Fault) {
        self.faults.lock().expect("unpoisoned")[raida] = fault;
    }

    /// The endpoints for the daemon's records: a closed port for each RAIDA that refuses connections.
    pub(crate) fn endpoints(&self) -> Vec<SocketAddr> {
        let faults = self.faults.lock().expect("unpoisoned");
        let all = self.addresses.iter().zip(&self.closed).zip(faults.iter());
        all.map(|((relay, closed), fault)| if *fault == Fault::Refusing { *closed } else { *relay }).collect()
    }
}

/// Numbers that look random. The same seed gives the same numbers.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// A refusal in place of a response: the response's header with another status, and no body. The header has 48 bytes, and 32 where
/// the RAIDA's number is odd.
fn refusal(mut answer: Vec<u8>, status: Status) -> Vec<u8> {
    answer.truncate(if answer[0].is_multiple_of(2) { 48 } else { 32 });
    answer[2] = status.0;
    answer[9..12].fill(0);
    answer
}

async fn relay(
    socket: Arc<UdpSocket>,
    node: SocketAddr,
    fault: impl Fn() -> Fault + Clone + Send + 'static,
    envelopes: Envelopes,
    mut dice: Dice,
) {
    let upstream = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let other = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a socket"));
    let (mut request, mut answer, mut first) = ([0; 2048], [0; 2048], None);
    let mut client = None;
    loop {
        tokio::select! {
            Ok((len, from)) = socket.recv_from(&mut request) => {
                client = Some(from);
                envelopes.lock().expect("unpoisoned").insert(request[ENVELOPE]);
                let lost = fault() == Fault::Dead || fault() == Fault::Lossy && dice.roll(100) < 30;
                if !lost {
                    let _ = upstream.send_to(&request[..len], node).await;
                }
            }
            Ok((len, _)) = upstream.recv_from(&mut answer) => {
                let Some(client) = client else { continue };
                let mut answer = answer[..len].to_vec();
                let sender = Arc::clone(if fault() == Fault::OtherAddress { &other } else { &socket });
                let (mut wait, mut copies) = (Duration::ZERO, 1);
                match fault() {
                    Fault::Lossy if dice.roll(100) < 30 => copies = 0,
                    Fault::Slow => wait = Duration::from_secs(3),
                    Fault::Duplicating => copies = 3,
                    Fault::Reordering => wait = Duration::from_millis(dice.roll(60)),
                    Fault::Truncating => answer.truncate(dice.roll(len as u64) as usize),
                    Fault::Forging => answer[len - 10] ^= 1 + dice.roll(255) as u8,
                    // Zeroes replace the header, as if the first request had come from another daemon. The response
                    // fits no request.
                    Fault::Older => answer = first.get_or_insert_with(|| [&[0; 46][..], &answer[46..]].concat()).clone(),
                    Fault::WrongIndex => answer[0] = (answer[0] + 1) % 25,
                    Fault::BadStatus => answer[2] = 252,
                    Fault::Stale => answer = refusal(answer, Status::BAD_PARAMETER),
                    Fault::NoKeySet => answer = refusal(answer, Status::NO_SUCH_KEY_SET),
                    Fault::Garbling if answer.get(ENVELOPE) == Some(&5) => answer[30] ^= 1,
                    _ => (),
                }
                for _ in 0..copies {
                    let (answer, sender, fault) = (answer.clone(), Arc::clone(&sender), fault.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(wait).await;
                        while fault() == Fault::Held {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                        let _ = sender.send_to(&answer, client).await;
                    });
                }
            }
        }
    }
}

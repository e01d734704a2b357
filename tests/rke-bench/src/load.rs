//! Makes load: one thread, one epoll, connections that stay, and the next request on each as soon as the response has
//! arrived. Every response is checked.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use crate::answer::Answer;
use crate::process::Server;
use crate::times::Times;

/// A server that says nothing for so long is broken.
const SILENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
const BUFFER: usize = 256 * 1024;

/// A request, and the check of its response.
pub(crate) trait Requests {
    /// Adds one more request. `false` where there is none left.
    fn add(&mut self, out: &mut Vec<u8>) -> bool;

    /// Checks a response.
    ///
    /// # Errors
    /// If it is not as expected.
    fn take(&mut self, answer: &Answer<'_>) -> Result<()>;
}

/// The intensity of the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Requests that wait for their response on each connection.
    pub(crate) depth: usize,
    pub(crate) time: Duration,
}

impl Load {
    /// The defaults for rows.
    pub(crate) const USUAL: Self = Self { connections: 64, depth: 1, time: Duration::from_secs(1) };

    /// The same for triples of [`Pace::BRIEF`](crate::method::Pace::BRIEF).
    pub(crate) const BRIEF: Self = Self { time: Duration::from_millis(200), ..Self::USUAL };
}

/// The result of a load.
pub(crate) struct Run {
    elapsed: Duration,
    cpu: Duration,
    latencies: Times,
}

impl Run {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.count() as f64 / self.seconds()
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.elapsed.as_secs_f64()
    }

    /// Microseconds of the server for each request.
    pub(crate) fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.latencies.count() as f64
    }

    pub(crate) fn p50(&self) -> f64 {
        self.latencies.p50()
    }

    pub(crate) fn p99(&self) -> f64 {
        self.latencies.p99()
    }
}

/// Asks until the time is over or nothing is left to ask, and waits for the last responses.
pub(crate) fn run(server: &Server, load: Load, requests: &mut impl Requests) -> Result<Run> {
    let mut generator = Generator::connect(server, load.connections)?;
    let cpu = server.cpu_time()?;
    let mut run = generator.run(load, requests)?;
    run.cpu = server.cpu_time()? - cpu;
    Ok(run)
}

/// Connections to a server.
pub(crate) struct Generator {
    epoll: OwnedFd,
    connections: Vec<Connection>,
}

impl Generator {
    pub(crate) fn connect(server: &Server, connections: usize) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let connections = (0..connections).map(|at| {
            let connection = Connection::to(server)?;
            let data = epoll::EventData::new_u64(at as u64);
            epoll::add(&epoll, &connection.stream, data, epoll::EventFlags::IN)?;
            Ok(connection)
        });
        let connections = connections.collect::<Result<_>>()?;
        Ok(Self { epoll, connections })
    }

    pub(crate) fn run(&mut self, load: Load, requests: &mut impl Requests) -> Result<Run> {
        let mut latencies = Times::new()?;
        let started = Instant::now();
        let mut waiting = 0;
        for connection in &mut self.connections {
            waiting += connection.ask(load.depth, requests)?;
        }
        let mut events = Vec::with_capacity(self.connections.len());
        while waiting > 0 {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&SILENCE))?;
            ensure!(!events.is_empty(), "no answer came for {} seconds", SILENCE.tv_sec);
            for event in &events {
                let connection = &mut self.connections[event.data.u64() as usize];
                let Some(answered) = connection.take_answers(requests, &mut latencies)? else {
                    epoll::delete(&self.epoll, &connection.stream)?;
                    continue;
                };
                waiting -= answered;
                if started.elapsed() < load.time {
                    waiting += connection.ask(answered, requests)?;
                }
            }
        }
        let elapsed = started.elapsed();
        Ok(Run { elapsed, cpu: Duration::ZERO, latencies })
    }
}

struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    /// Received bytes, up to `filled`.
    buffer: Vec<u8>,
    filled: usize,
    /// When each request was sent that has no response yet.
    asked: VecDeque<Instant>,
}

impl Connection {
    fn to(server: &Server) -> Result<Self> {
        let stream = TcpStream::connect(server.address()).context("cannot reach the server")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, out: Vec::new(), buffer: vec![0; BUFFER], filled: 0, asked: VecDeque::new() })
    }

    /// Sends up to that many requests, in one piece, and returns their number.
    fn ask(&mut self, count: usize, requests: &mut impl Requests) -> Result<usize> {
        self.out.clear();
        let added = (0..count).take_while(|_| requests.add(&mut self.out)).count();
        if added == 0 {
            return Ok(0);
        }
        let now = Instant::now();
        self.asked.extend(std::iter::repeat_n(now, added));
        let written = self.stream.write(&self.out).context("cannot send requests")?;
        ensure!(written == self.out.len(), "the system's buffers hold fewer requests than were asked for");
        Ok(added)
    }

    /// Reads available bytes, and splits the whole responses off. `None` if the server has closed a connection
    /// without an outstanding request.
    fn take_answers(&mut self, requests: &mut impl Requests, latencies: &mut Times) -> Result<Option<usize>> {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) if self.asked.is_empty() => return Ok(None),
            Ok(0) => bail!("the server closed a connection"),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(0)),
            Err(error) => return Err(error).context("cannot read answers"),
        }
        let now = Instant::now();
        let (mut at, mut count) = (0, 0);
        while let Some(answer) = Answer::parse(&self.buffer[at..self.filled])? {
            let asked = self.asked.pop_front().context("an answer that nobody asked for")?;
            latencies.add(now - asked);
            requests.take(&answer)?;
            at += answer.len();
            count += 1;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(Some(count))
    }
}

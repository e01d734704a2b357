//! The time from starting the program to its first response.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::machine::{LOAD_CORE, SERVER_CORE, stay_on};
use crate::method::Spread;
use crate::process::free_address;
use crate::report::{Figure, Goal};
use crate::stage::{Stage, cache, get, made_up_kept};

const STARTS: usize = 21;
const KEYS: usize = 64;

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let (empty, full) = (stage.folder().join("empty"), stage.folder().join("full"));
    fill_cache(&full)?;
    Ok(vec![
        row(stage, "start to first answer, ms", &empty, 15.0)?,
        row(stage, "the same with 64 cached keys, ms", &full, 50.0)?,
    ])
}

fn row(stage: &Stage, name: &str, data_dir: &Path, goal: f64) -> Result<Figure> {
    let times: Vec<f64> = (0..STARTS).map(|_| start(stage, data_dir)).collect::<Result<_>>()?;
    let value = Spread::of(times);
    Ok(Figure {
        name: name.into(),
        ours: format!("{:.1} ms", value.median),
        peer: String::new(),
        value,
        goal: Goal::AtMost(goal),
        steady: true,
        plotted: None,
    })
}

fn fill_cache(data_dir: &Path) -> Result<()> {
    let kept = (0..KEYS).map(|key| made_up_kept(&format!("key{key}.rke.test")));
    cache(data_dir, kept.collect::<Result<Vec<_>>>()?)
}

/// Milliseconds until a daemon has answered.
fn start(stage: &Stage, data_dir: &Path) -> Result<f64> {
    let address = free_address()?;
    let mut command = Command::new(stage.program());
    command.args(stage.flags(address, data_dir)).stdout(Stdio::null()).stderr(Stdio::null());
    // A child begins where its parent is.
    stay_on(SERVER_CORE)?;
    let started = Instant::now();
    let child = command.spawn();
    stay_on(LOAD_CORE)?;
    let mut child = child.context("cannot start the daemon")?;
    let answered = first_answer(address, started);
    child.kill()?;
    child.wait()?;
    Ok(answered?.as_secs_f64() * 1e3)
}

fn first_answer(address: SocketAddr, started: Instant) -> Result<Duration> {
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) if started.elapsed() > Duration::from_secs(10) => {
                return Err(error).context("the daemon does not listen");
            }
            Err(_) => std::thread::yield_now(),
        }
    };
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(get("/health/live").as_bytes())?;
    let mut answer = [0; 1024];
    let len = stream.read(&mut answer)?;
    ensure!(answer[..len].starts_with(b"HTTP/1.1 200"), "the daemon's first response is not a success");
    Ok(started.elapsed())
}

//! New keys by ETSI GS QKD 014, compared with nginx that returns the bytes of one such response again and again, and with the simulator
//! of another project.

use anyhow::{Result, ensure};

use crate::answer::Answer;
use crate::load::{Load, Requests, Run, run};
use crate::method::{Pace, Side, Triples, triples};
use crate::nginx::{self, Whole};
use crate::process::{Server, free_address};
use crate::report::{Figure, Goal};
use crate::stage::{Stage, get};

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let server = stage.key_server()?;
    let request = get("/api/v1/keys/bob/enc_keys");
    let like = Whole::of(&server, &request)?;
    let peer = nginx::serving(stage.folder(), &format!("location / {{ return 200 '{}'; }}", like.body))?;
    let mut rows = compared(&server, ("nginx", &peer), &request)?;
    if let Some(program) = &stage.simulator {
        let address = free_address()?;
        let log = stage.folder().join("simulator.log");
        let simulator = Server::start(program, &["--addr".into(), address.to_string()], address, &log)?;
        rows.extend(compared(&server, ("simulator", &simulator), &request)?);
    }
    Ok(rows)
}

fn compared(server: &Server, (peer, at): (&str, &Server), request: &str) -> Result<Vec<Figure>> {
    let measured = triples(Pace::BRIEF, Run::rate, |side| {
        let mut requests = Again(request);
        match side {
            Side::Ours => run(server, Load::BRIEF, &mut requests),
            Side::Peer => run(at, Load::BRIEF, &mut requests),
        }
    })?;
    let row = |name: &str, triples: &Triples<Run>, unit: &str, metric: fn(&Run) -> f64| {
        Figure::compared(format!("enc_keys: {name}"), (peer, unit), triples, metric, Goal::None)
    };
    Ok(vec![
        row("keys a second", &measured, "k/s", |run| run.rate() / 1e3),
        row("CPU of the server", &measured, "µs", Run::cpu_each),
        row("p99", &measured, "µs", Run::p99),
    ])
}

/// The same request without end.
struct Again<'a>(&'a str);

impl Requests for Again<'_> {
    fn add(&mut self, out: &mut Vec<u8>) -> bool {
        out.extend(self.0.as_bytes());
        true
    }

    fn take(&mut self, answer: &Answer<'_>) -> Result<()> {
        ensure!(answer.status == 200, "{} {}", answer.status, String::from_utf8_lossy(answer.body));
        Ok(())
    }
}

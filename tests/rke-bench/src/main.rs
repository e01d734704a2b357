//! Test only, never shipped. Measures what `docs/performance.md` reports, next to peers in the same run: servers
//! on one core, load on another, each number between two of its peer. `cargo xtask bench` runs it.

mod answer;
mod load;
mod machine;
mod method;
mod nginx;
mod plot;
mod process;
mod report;
mod rows;
mod sessions;
mod shares;
mod stage;
mod times;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use rows::Measurement;
use stage::Stage;

#[derive(Parser)]
#[command(about = "Measures rke next to its peers. Needs two cores, nginx and openssl.")]
struct Cli {
    /// The program that is measured.
    #[arg(long)]
    program: PathBuf,
    /// Put the table into this document too, between its marks, and the plot of the growth next to it.
    #[arg(long)]
    write: Option<PathBuf>,
    /// The ETSI GS QKD 014 simulator of daisyway, built from its sources, for the row `keys` to be compared with too.
    #[arg(long, value_name = "PROGRAM")]
    simulator: Option<PathBuf>,
    /// The rows to measure; by default all except those that take an hour.
    rows: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rke-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let wanted = wanted(&cli.rows)?;
    ensure!(
        cli.write.is_none() || cli.rows.is_empty(),
        "a document holds all rows, so --write goes with no names"
    );
    machine::raise_limits();
    machine::stay_on(machine::LOAD_CORE)?;
    let stage = Stage::start(&cli.program, cli.simulator.clone())?;
    let mut rows = Vec::new();
    for (name, measure) in wanted {
        eprintln!("rke-bench: {name}");
        let measured = measure(&stage).with_context(|| format!("cannot measure {name}"))?;
        // Also on the way: a later measurement may fail, half an hour from now.
        eprintln!("{}", report::table(&measured));
        rows.extend(measured);
    }
    println!("{}\n{}", machine::describe(), report::table(&rows));
    let Some(path) = &cli.write else { return Ok(()) };
    plot::draw(&path.with_file_name("growth.svg"), &rows)?;
    report::write(path, &rows)
}

fn wanted(names: &[String]) -> Result<Vec<Measurement>> {
    let known: Vec<Measurement> = rows::ALL.iter().chain(rows::LONG).copied().collect();
    if names.is_empty() {
        return Ok(rows::ALL.to_vec());
    }
    if let Some(unknown) = names.iter().find(|name| !known.iter().any(|(known, _)| known == name)) {
        let known: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        bail!("there is nothing named {unknown}; there are: {}", known.join(", "));
    }
    Ok(known.into_iter().filter(|(name, _)| names.iter().any(|wanted| wanted == name)).collect())
}

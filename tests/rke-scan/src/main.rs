//! Test only, never shipped. Searches the memory and registers of a process for secrets from the outside, as root
//! could, and drives real daemons through real exchanges for it. `docs/erasure.md` describes what this proves.

mod client;
mod content_server;
mod daemon;
mod dump;
mod everywhere;
mod exports;
mod fault_injection;
mod files;
mod forms;
mod ghash;
mod handed_over;
mod handshakes;
mod kem;
mod lattice;
mod ledger;
mod needles;
mod network;
mod nodes;
mod noise;
mod process;
mod report;
mod sae;
mod scenario;
mod schedule;
mod seed;
mod shared;
mod store;
mod stream;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use needles::Needles;
use report::{Limit, Report};
use subject::{Memory, Plan};

/// Runs scenarios, each as often as the plan says.
type RunAll = fn(&Plan<'_>, &mut Report) -> Result<()>;

/// All scenarios: those of one daemon, of nodes and a Content Server, of keys for other programs, of deletions at both ends and on all
/// machines, and of core dumps.
const GROUPS: [(&str, RunAll); 6] = [
    ("daemon", scenario::run_all),
    ("nodes", nodes::run_all),
    ("handed-over", handed_over::run_all),
    ("everywhere", everywhere::run_all),
    ("shared", shared::run_all),
    ("dump", dump::run_all),
];

#[derive(Parser)]
#[command(about = "Looks for secrets in another process's memory and registers. Needs root.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Drive a program of rke through every scenario and scan it.
    Erase {
        /// The program.
        #[arg(long)]
        program: PathBuf,
        /// How many times each scenario is run.
        #[arg(long, default_value_t = 20)]
        repetitions: usize,
        /// Leave out the scenarios of one daemon that come before this one: to go on after one that has failed.
        #[arg(long, value_name = "SCENARIO")]
        from: Option<String>,
        /// Only these scenarios; all otherwise.
        #[arg(long, value_name = "GROUP", value_parser = GROUPS.map(|(group, _)| group))]
        only: Option<String>,
        /// Only this kind of secret memory; both otherwise.
        #[arg(long)]
        memory: Option<Memory>,
        /// Do without the scans that this limit of the machine rules out. Repeatable.
        #[arg(long, value_name = "LIMIT")]
        without: Vec<Limit>,
    },
    /// Break one rule at a time in a program built with the feature `fault-injection`, and find each fault.
    Faults {
        /// The program.
        #[arg(long)]
        program: PathBuf,
        /// How many times each fault is run.
        #[arg(long, default_value_t = 20)]
        repetitions: usize,
    },
    /// Hold what comes on standard input until that ends, for a control of the scanner.
    #[command(hide = true)]
    Hold,
    /// Look for AES-256 key schedules, of whatever key, in a running process.
    Process {
        /// Its id.
        id: i32,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rke-scan: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let known_limits = match &command {
        Command::Erase { without, .. } => without.clone(),
        _ => Vec::new(),
    };
    let mut report = Report::on_a_machine_with(known_limits);
    // The findings so far are printed in any case.
    if let Err(error) = scan(command, &runtime, &mut report) {
        report.fail(format!("{error:#}"));
    }
    Ok(report.finish())
}

fn scan(command: Command, runtime: &Runtime, report: &mut Report) -> Result<()> {
    match command {
        Command::Erase { program, repetitions, from, only, memory, .. } => {
            let program = std::path::absolute(program)?;
            for kind in [Memory::Secretmem, Memory::Locked] {
                if memory.is_none_or(|memory| memory == kind) {
                    let from = from.as_deref();
                    let plan =
                        Plan { program: &program, memory: kind, repetitions, from, fault: None, runtime };
                    for (group, run_all) in GROUPS {
                        if only.as_ref().is_none_or(|only| only == group) {
                            run_all(&plan, report).with_context(|| kind.name())?;
                        }
                    }
                }
            }
        }
        Command::Faults { program, repetitions } => {
            let program = std::path::absolute(program)?;
            let plan = Plan {
                program: &program,
                memory: Memory::Locked,
                repetitions,
                from: None,
                fault: None,
                runtime,
            };
            forms::run(repetitions, report).context("control forms")?;
            fault_injection::run_all(&plan, report)?;
            paint(&plan, report).context("paint")?;
        }
        Command::Hold => forms::hold()?,
        Command::Process { id } => {
            report.add_row(
                &format!("process {id}"),
                report::Expected::Nothing,
                &process::scan(id, &Needles::new())?,
            );
        }
    }
    Ok(())
}

/// The scenarios with scratch stacks that are painted before each use: paint that is copied from there stands for a
/// piece of a secret that another run would have left there. The stacks themselves lie in memory that the scanner
/// cannot read.
fn paint(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let repetitions = plan.repetitions.div_ceil(10);
    let plan = Plan { memory: Memory::Secretmem, repetitions, fault: Some(subject::PAINT), ..*plan };
    scenario::run_all(&plan, report)?;
    nodes::run_all(&plan, report)
}

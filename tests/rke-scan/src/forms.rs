//! A positive and a negative control of the scanner: it must find every kind of secret in every form that it looks for in
//! a process that holds them all, and none of them in a process that holds the same bytes with one bit of each changed.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::lattice::Poly;
use crate::needles::{Needles, Secret};
use crate::process::{Scan, scan};
use crate::report::{Expected, Report};

/// The process prints this once it holds everything.
const READY: &str = "ready";

/// Scans such processes that many times.
pub(crate) fn run(repetitions: usize, report: &mut Report) -> Result<()> {
    for _ in 0..repetitions {
        let needles = every_form()?;
        let forms: Vec<Vec<u8>> = needles.forms().map(<[u8]>::to_vec).collect();
        let mut held = scan_holder(&needles, &forms)?;
        held.miss_labels(&needles);
        report.add_row("locked     control forms          held  ", Expected::Everything, &held);
        let spoiled: Vec<Vec<u8>> =
            forms.iter().map(|form| form.iter().map(|byte| byte ^ 1).collect()).collect();
        let clean = scan_holder(&needles, &spoiled)?;
        report.add_row("locked     control forms          spoilt", Expected::Nothing, &clean);
    }
    Ok(())
}

/// A random secret of each kind, in every form of its kind.
fn every_form() -> Result<Needles> {
    let mut needles = Needles::that_keep_forms();
    for secret in Secret::value_variants() {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        needles.add(*secret, &bytes);
        match secret {
            Secret::MlKemKey | Secret::MlKemMessage => needles.add_coefficients(*secret, &random_poly()?),
            Secret::X25519Key => needles.add_scalar(*secret, &bytes),
            Secret::X25519Shared => needles.add_field_element(*secret, &bytes),
            _ => (),
        }
    }
    Ok(needles)
}

/// Coefficients as those of ML-KEM are, below 3329.
fn random_poly() -> Result<Poly> {
    let mut bytes = [0; 512];
    getrandom::fill(&mut bytes)?;
    let mut poly: Poly = [0; 256];
    for (coefficient, pair) in poly.iter_mut().zip(bytes.chunks_exact(2)) {
        *coefficient = u16::from_le_bytes([pair[0], pair[1]]) % 3329;
    }
    Ok(poly)
}

/// Scans a process that holds `forms`.
fn scan_holder(needles: &Needles, forms: &[Vec<u8>]) -> Result<Scan> {
    let mut holder = start_holder()?;
    let scan = fill(&mut holder, forms).and_then(|()| scan(holder.id() as i32, needles));
    // Its standard input closes, which ends it.
    drop(holder.stdin.take());
    holder.wait().context("the process that holds the forms")?;
    scan
}

fn start_holder() -> Result<Child> {
    let program = std::env::current_exe().context("where is this program?")?;
    let mut command = Command::new(program);
    command.arg("hold").stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().context("cannot start a process to hold the forms")
}

fn fill(holder: &mut Child, forms: &[Vec<u8>]) -> Result<()> {
    let input = holder.stdin.as_mut().context("it has no standard input")?;
    input.write_all(&(forms.len() as u32).to_le_bytes())?;
    for form in forms {
        input.write_all(&(form.len() as u32).to_le_bytes())?;
        input.write_all(form)?;
    }
    input.flush()?;
    let mut line = String::new();
    BufReader::new(holder.stdout.as_mut().context("it has no standard output")?).read_line(&mut line)?;
    ensure!(line.trim_end() == READY, "it said {line:?}");
    Ok(())
}

/// The process itself: holds its input until the input ends.
pub(crate) fn hold() -> Result<()> {
    let mut input = std::io::stdin().lock();
    let forms = (0..read_number(&mut input)?).map(|_| {
        let mut form = vec![0; read_number(&mut input)?];
        input.read_exact(&mut form)?;
        Ok(form)
    });
    let forms: Vec<Vec<u8>> = forms.collect::<Result<_>>()?;
    println!("{READY}");
    input.read_to_end(&mut Vec::new())?;
    drop(std::hint::black_box(forms));
    Ok(())
}

fn read_number(input: &mut impl Read) -> Result<usize> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes).context("the forms end early")?;
    Ok(u32::from_le_bytes(bytes) as usize)
}

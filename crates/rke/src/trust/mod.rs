//! `rke trust …`: the Content Servers that the daemon remembers. It works on the daemon's file and never through the
//! daemon: someone who may use the HTTP interface must not decide whom the daemon trusts.

use std::path::PathBuf;

use anyhow::Result;
use rke_engine::trust::{Form, Known, Offer, TrustFile};
use rke_host::data_dir::{self, Role};

use crate::cli::trust::{FormChoice, TrustCommand, TrustFolder};
use crate::settings::default_data_dir;
use crate::terminal::Narrow::{LeftOut, Wraps};
use crate::terminal::{BAD, Cell, DIM, Narrow, clean, fitted, out, out_text, paint, say};

const COLUMNS: [(&str, Narrow); 4] =
    [("DOMAIN", Wraps), ("CS ID", Wraps), ("FORM", LeftOut(2)), ("SINCE", LeftOut(1))];

pub(crate) fn run(command: TrustCommand) -> Result<()> {
    match command {
        TrustCommand::List { folder } => list(&file(folder)?),
        TrustCommand::Accept { domain, cs_id, form, folder } => {
            let offer = Offer { cs_id, form: form.into() };
            file(folder)?.accept(&domain, &offer)?;
            out_text(&format!("{domain} is the Content Server {cs_id} ({}) from now on.", offer.form))?;
            say(&format!(
                "     A daemon with a --pin for {domain} still follows its pin, which is stronger than this."
            ));
            Ok(())
        }
        TrustCommand::Remove { domain, folder } => match file(folder)?.remove(&domain)? {
            true => out_text(&format!("{domain} is removed: its next use counts as the first.")),
            false => out(&format!("{domain} is not known.")),
        },
    }
}

fn file(folder: TrustFolder) -> Result<TrustFile> {
    let folder = match folder.data_dir {
        Some(named) => named,
        None => looking_at_default()?,
    };
    data_dir::check(&folder, Role::Daemon)?;
    Ok(TrustFile::in_folder(&folder))
}

/// The default data folder, and says so: these commands ask no daemon which folder it has.
fn looking_at_default() -> Result<PathBuf> {
    let folder = default_data_dir()?;
    let is_there = if folder.exists() { "" } else { ", which is not there" };
    let text = format!(
        "     This is about {}{is_there}; if the daemon has another data folder, name it with --data-dir.",
        folder.display()
    );
    say(&paint(DIM, text));
    Ok(folder)
}

fn list(file: &TrustFile) -> Result<()> {
    let lines = file.read()?;
    for (number, wrong) in lines.complaints() {
        let path = file.path().display();
        say(&format!("{} line {number} of {path} is damaged: {wrong}", paint(BAD, "rke:")));
    }
    let row = |known: &Known| {
        let cells = [known.domain.as_str(), known.cs_id.as_str(), known.form.name()];
        let cells = cells.into_iter().map(clean).chain([known.since.to_string()]);
        cells.map(Cell::new).collect()
    };
    match lines.known_servers().count() {
        0 => out(&format!("No known Content Servers in {}.", clean(&file.path().display().to_string()))),
        _ => out(&fitted(&COLUMNS, lines.known_servers().map(row))),
    }
}

impl From<FormChoice> for Form {
    fn from(choice: FormChoice) -> Self {
        match choice {
            FormChoice::Wide => Self::Wide,
            FormChoice::Handshake3Narrow => Self::Handshake3Narrow,
            FormChoice::Live => Self::Live,
        }
    }
}

#[cfg(test)]
mod tests;

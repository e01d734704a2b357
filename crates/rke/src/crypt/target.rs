//! Where data goes: to standard output, into a device or a pipe as it comes, or into a file that is there
//! only when all of it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Stdout, Write, stdout};
use std::path::Path;

use anyhow::{Context, Error, Result, bail};

use super::new_file::NewFile;

/// Data to write.
pub(super) struct Target {
    data: Data,
    name: String,
}

enum Data {
    Stdout(Stdout),
    Device(File),
    File(NewFile),
}

impl Target {
    /// A file with that mode, unless it takes the place of one that has its own; standard output where
    /// there is no path, or `-`.
    pub(super) fn open(path: Option<&Path>, mode: Option<u32>) -> Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self { data: Data::Stdout(stdout()), name: "standard output".into() });
        };
        let name = path.display().to_string();
        let data = match fs::metadata(path) {
            Ok(about) if about.is_dir() => bail!("cannot write {name}: it is a folder"),
            // To put a file in the place of a device would harm everybody who uses it.
            Ok(about) if !about.is_file() => OpenOptions::new().write(true).open(path).map(Data::Device),
            _ => NewFile::create(path, mode).map(Data::File),
        };
        Ok(Self { data: data.with_context(|| format!("cannot write {name}"))?, name })
    }

    /// What an error of writing means.
    pub(super) fn wrong(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        let name = self.name.clone();
        move |error| Error::new(error).context(format!("cannot write {name}"))
    }

    /// All is written: the file appears.
    pub(super) fn finish(mut self) -> Result<()> {
        self.flush().map_err(self.wrong())?;
        let wrong = self.wrong();
        match self.data {
            Data::File(file) => file.finish().map_err(wrong),
            Data::Stdout(_) | Data::Device(_) => Ok(()),
        }
    }
}

impl Write for Target {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match &mut self.data {
            Data::Stdout(stdout) => stdout.write(data),
            Data::Device(device) => device.write(data),
            Data::File(file) => file.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.data {
            Data::Stdout(stdout) => stdout.flush(),
            Data::Device(_) | Data::File(_) => Ok(()),
        }
    }
}

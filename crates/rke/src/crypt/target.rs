//! Where data goes: to standard output, into a device or a pipe as it arrives, or into a file that appears only
//! when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Stdout, Write, stdout};
use std::path::Path;

use anyhow::{Context, Error, Result, bail};

use super::new_file::NewFile;

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
    /// Opens a file, or standard output if there is no path or it is `-`. `mode` applies unless the file replaces
    /// another, whose mode it keeps.
    pub(super) fn open(path: Option<&Path>, mode: Option<u32>) -> Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self { data: Data::Stdout(stdout()), name: "standard output".into() });
        };
        let name = path.display().to_string();
        let data = match fs::metadata(path) {
            Ok(about) if about.is_dir() => bail!("cannot write {name}: it is a folder"),
            // Replacing a device by a file would harm everyone who uses the device.
            Ok(about) if !about.is_file() => OpenOptions::new().write(true).open(path).map(Data::Device),
            _ => NewFile::create(path, mode).map(Data::File),
        };
        Ok(Self { data: data.with_context(|| format!("cannot write {name}"))?, name })
    }

    /// Describes an error of writing.
    pub(super) fn wrong(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        let name = self.name.clone();
        move |error| Error::new(error).context(format!("cannot write {name}"))
    }

    /// Finishes writing: the file appears.
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

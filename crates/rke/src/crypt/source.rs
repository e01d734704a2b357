//! Where data comes from: a file or standard input.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use anyhow::{Context, Result, bail};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf, stdin};

pub(super) struct Source {
    data: Box<dyn AsyncRead + Unpin + Send>,
    name: String,
    len: Option<u64>,
    mode: Option<u32>,
}

impl Source {
    /// Opens a file, or standard input if there is no path or it is `-`.
    pub(super) async fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self {
                data: Box::new(stdin()),
                name: "standard input".into(),
                len: None,
                mode: None,
            });
        };
        let name = path.display().to_string();
        let file = File::open(path).await.with_context(|| format!("cannot open {name}"))?;
        let about = file.metadata().await.with_context(|| format!("cannot inspect {name}"))?;
        if about.is_dir() {
            bail!("{name} is a folder; pack it first: tar c {name} | rke encrypt …");
        }
        let regular = about.is_file();
        Ok(Self {
            data: Box::new(file),
            name,
            len: regular.then_some(about.len()),
            mode: regular.then(|| about.permissions().mode() & 0o777),
        })
    }

    /// The name for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The length of the data, if known.
    pub(super) fn len(&self) -> Option<u64> {
        self.len
    }

    /// The file's mode, if the source is a file.
    pub(super) fn mode(&self) -> Option<u32> {
        self.mode
    }
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.data).poll_read(cx, buf)
    }
}

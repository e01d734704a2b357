//! nginx as a peer: one worker, no log, and responses of the same size as the daemon's.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::answer::Answer;
use crate::load::{self, Load, Requests};
use crate::process::{Server, free_address};

/// The length of the padding header without its value.
const PADDING_NAME: &str = "X-Padding: \r\n";

/// An nginx that answers everything with `body`, in which `$arg_NAME` is the value of a parameter. Its
/// answer to `request` is, head and body, as long as `like`.
pub(crate) fn answering(folder: &Path, body: &str, request: &str, like: &Whole) -> Result<Server> {
    let start = |padding: &str| {
        let header =
            if padding.is_empty() { String::new() } else { format!("add_header X-Padding {padding};") };
        serving(folder, &format!("location / {{ {header} return 200 '{body}'; }}"))
    };
    let bare = Whole::of(&start("")?, request)?;
    let missing = like.head_len.checked_sub(bare.head_len + PADDING_NAME.len());
    let missing = missing.context("nginx's headers are longer than the daemon's")?;
    let server = start(&"x".repeat(missing))?;
    let padded = Whole::of(&server, request)?;
    ensure!(
        (padded.head_len, padded.body.len()) == (like.head_len, like.body.len()),
        "nginx answers {} and {} bytes in place of {} and {}",
        padded.head_len,
        padded.body.len(),
        like.head_len,
        like.body.len()
    );
    Ok(server)
}

/// An nginx with these locations.
pub(crate) fn serving(folder: &Path, locations: &str) -> Result<Server> {
    let address = free_address()?;
    let (here, file) = (folder.display(), folder.join("nginx.conf"));
    // In one process, the process that is started is the one that serves.
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {here}/nginx.pid; error_log stderr crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n access_log off; server_tokens off; default_type application/json; sendfile on;\n \
         keepalive_requests 1000000000; keepalive_timeout 600; client_header_buffer_size 4k;\n \
         client_max_body_size 0; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;\n \
         fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;\n \
         server {{ listen {address}; {locations} }}\n}}\n"
    );
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let arguments = ["-p".into(), here.to_string(), "-c".into(), file.display().to_string()];
    Server::start(Path::new("nginx"), &arguments, address, &folder.join("nginx.log"))
}

/// A response that was kept.
pub(crate) struct Whole {
    pub(crate) head_len: usize,
    pub(crate) body: String,
}

impl Whole {
    /// The server's response to a request, which must be a success.
    pub(crate) fn of(server: &Server, request: &str) -> Result<Self> {
        let mut once = Once { request: Some(request), answer: None };
        load::run(server, Load { connections: 1, ..Load::USUAL }, &mut once)?;
        once.answer.context("no answer came")
    }
}

struct Once<'a> {
    request: Option<&'a str>,
    answer: Option<Whole>,
}

impl Requests for Once<'_> {
    fn add(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(request) = self.request.take() else { return false };
        out.extend(request.as_bytes());
        true
    }

    fn take(&mut self, answer: &Answer<'_>) -> Result<()> {
        let body = String::from_utf8_lossy(answer.body).into_owned();
        ensure!(answer.status == 200, "{} {body}", answer.status);
        self.answer = Some(Whole { head_len: answer.head_len, body });
        Ok(())
    }
}

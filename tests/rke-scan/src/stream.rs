//! Bodies that go through a daemon, or a Content Server, in chunks: sealed, opened and encrypted. A sealed stream has a key of
//! its own, which is looked for as well.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::daemon::Api;
use crate::needles::{Needles, Secret};
use crate::noise::expand;

/// As much of a sealed stream as its key is derived from.
pub(crate) struct Start([u8; 40]);

/// Seals and opens random bytes with a session, and encrypts them.
pub(crate) fn use_streams(api: Api, id: &str, len: usize) -> Result<Start> {
    let mut data = vec![0; len];
    getrandom::fill(&mut data)?;
    let sealed = post(api, "seal", id, &data)?;
    ensure!(post(api, "open", id, &sealed)? == data, "garbled");
    ensure!(post(api, "encrypt", id, &data)?.len() == len, "cut short");
    Ok(Start(*sealed.first_chunk().context("no sealed data")?))
}

fn post(api: Api, path: &str, id: &str, body: &[u8]) -> Result<Vec<u8>> {
    let mut stream = api.connect()?;
    let head = api.head("POST", path);
    write!(stream, "{head}x-rke-session: {id}\r\ncontent-length: {}\r\n\r\n", body.len())?;
    // The response begins before all is sent.
    let mut sending = stream.try_clone()?;
    let mut answer = Vec::new();
    std::thread::scope(|threads| {
        threads.spawn(move || sending.write_all(body));
        stream.read_to_end(&mut answer)
    })?;
    let head_len =
        answer.windows(4).position(|window| window == b"\r\n\r\n").context("not an HTTP answer")? + 4;
    let body = answer.split_off(head_len);
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "{path}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}

impl Start {
    /// Adds the stream's key under a session's key for sealing.
    pub(crate) fn add_needles(&self, seal_key: &[u8; 32], needles: &mut Needles) {
        let nothing_beside = Sha256::digest([]);
        let key = expand(seal_key, &[b"RKE-SealKey-v1.0", &self.0, &nothing_beside]);
        needles.add(Secret::StreamKey, &key);
    }
}

//! The ciphers with the key expanded for each operation: alone, with a key in secret memory and everything wiped,
//! and with a session's key, compared with `openssl speed` on the same core.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rke_engine::model::clock::Moment;
use rke_engine::model::session_id::SessionId;
use rke_engine::model::usage::UsageLimits;
use rke_engine::store::{KeyUse, NewSession, SessionLimits, Store};
use rke_proto::cipher::{aes256_ctr, aes256_ctr_stack_use};
use rke_proto::seal::{CHUNK_LEN, Sealer, TAG_LEN};
use rke_secret::Secret;
use rke_secret::process::block_signals;

use crate::machine::{LOAD_CORE, SERVER_CORE, stay_on};
use crate::method::{Pace, Side, triples};
use crate::report::{Figure, Goal};
use crate::stage::{DOMAIN, Stage, made_up_origin, made_up_session};

const SECOND: Duration = Duration::from_secs(1);
/// A line of a processor's cache.
const LINE: usize = 64;
const CTR: &str = "aes-256-ctr";
const GCM: &str = "aes-256-gcm";

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let _in_runtime = stage.runtime.enter();
    let hour = Duration::from_secs(3600);
    let usage = UsageLimits { messages: u64::MAX, bytes: u64::MAX };
    let rules = SessionLimits { max: 16, ttl: hour, max_lifetime: hour, idle: None, usage };
    let (store, id) = (Store::new(rules, Box::new(|_, ended, _| drop(ended))), SessionId::random()?);
    store.insert(id, session()?)?;
    let secret = Secret::<32>::random()?;
    let (handle, stack_use) = (secret.handle(), aes256_ctr_stack_use());
    // A request reads its clock once, for all that it needs.
    let now = Moment::now();
    stay_on(SERVER_CORE)?;
    let mut rows = Vec::new();
    for (name, len, goal) in [("1 KiB", 1024, 0.95), ("8 KiB", 8192, 1.05), ("1 MiB", 1 << 20, 1.05)] {
        let (key, mut room) = ([7; 32], vec![0; len + LINE]);
        // Wherever the allocator puts it, some runs would meet the end of a page in each message and others not.
        let start = room.as_ptr().align_offset(LINE);
        let data = &mut room[start..start + len];
        rows.push(row(&format!("{CTR} {name}, the cipher alone"), CTR, len, Goal::None, || {
            aes256_ctr(&key, &[9; 16], data);
            Ok(())
        })?);
        let in_secret = format!("{CTR} {name}, the key in secret memory");
        rows.push(row(&in_secret, CTR, len, Goal::AtLeast(goal), || {
            let encrypted = handle.expose_with_stack(stack_use, |key| aes256_ctr(key, &[9; 16], data));
            encrypted.context("the key is gone")
        })?);
        let with_session = format!("{CTR} {name}, with a session's key");
        rows.push(row(&with_session, CTR, len, Goal::AtLeast(goal), || {
            let encrypt = |key: &[u8; 32]| aes256_ctr(key, &[9; 16], data);
            store.with_key_within(id, KeyUse::Encrypt(len), now, stack_use, encrypt)?;
            Ok(())
        })?);
    }
    let (mut sealer, mut chunk) = (Sealer::new(&[1; 32], b""), vec![0; CHUNK_LEN + TAG_LEN]);
    rows.push(row("seal 64 KiB, with a session's key", GCM, CHUNK_LEN, Goal::AtLeast(1.0), || {
        chunk.truncate(CHUNK_LEN);
        store.with_seal_key(id, KeyUse::EncryptMore(CHUNK_LEN), |key| sealer.seal(key, &mut chunk))??;
        Ok(())
    })?);
    stay_on(LOAD_CORE)?;
    Ok(rows)
}

/// Bytes a second of `work`, which is about `len` bytes, compared with a cipher of OpenSSL.
fn row(
    name: &str,
    cipher: &str,
    len: usize,
    goal: Goal,
    mut work: impl FnMut() -> Result<()> + Send,
) -> Result<Figure> {
    let triples = triples(
        Pace::LONG,
        |speed| *speed,
        |side| match side {
            Side::Peer => openssl(cipher, len),
            Side::Ours => undisturbed(|| speed(len, &mut work)),
        },
    )?;
    Ok(Figure {
        name: name.into(),
        ours: format!("{:.2} GB/s", triples.ours(|speed| *speed) / 1e9),
        peer: format!("openssl {:.2} GB/s", triples.peer(|speed| *speed) / 1e9),
        value: triples.ratio(|speed| *speed),
        goal,
        steady: triples.steady,
        plotted: None,
    })
}

/// Runs `measure` on a thread like those of the daemon that use keys, which receive only one signal.
fn undisturbed<T: Send>(measure: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let measure = || {
        block_signals()?;
        measure()
    };
    std::thread::scope(|scope| scope.spawn(measure).join()).map_err(|_| anyhow!("measuring panicked"))?
}

fn speed(len: usize, work: &mut impl FnMut() -> Result<()>) -> Result<f64> {
    // The clock is not looked at for each message.
    const AT_ONCE: usize = 64;
    let (started, mut bytes) = (Instant::now(), 0);
    while started.elapsed() < SECOND {
        (0..AT_ONCE).try_for_each(|_| work())?;
        bytes += AT_ONCE * len;
    }
    Ok(bytes as f64 / started.elapsed().as_secs_f64())
}

/// Bytes a second, as `openssl speed` has them for programs to read. It inherits the core.
fn openssl(cipher: &str, len: usize) -> Result<f64> {
    let mut command = Command::new("openssl");
    command.args(["speed", "-mr", "-elapsed", "-seconds", "1", "-bytes", &len.to_string(), "-evp", cipher]);
    let output = command.stderr(Stdio::null()).output().context("cannot run openssl")?;
    ensure!(output.status.success(), "openssl speed ended with {}", output.status);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let speed = said.lines().find_map(speed_in);
    speed.with_context(|| format!("openssl speed said something else: {said}"))
}

/// The number of a line such as `+F:25:AES-256-CTR:7730855936.00`.
fn speed_in(line: &str) -> Option<f64> {
    line.strip_prefix("+F:")?.rsplit(':').next()?.parse().ok()
}

fn session() -> Result<NewSession> {
    made_up_session(&Arc::new(made_up_origin(DOMAIN)?))
}

#[cfg(test)]
mod tests;

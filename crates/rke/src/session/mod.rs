//! `rke session …`: the sessions of a running daemon.

mod end;
mod list;

use std::path::Path;

use anyhow::{Context, Result};
use rke_client::response::{Authenticated, Created, Shown};
use rke_client::{CachedKey, Error, OtherEnd, Receipt, Reply, call};

pub(crate) use self::list::{Details, learn};
use crate::cli::ask::Output;
use crate::cli::session::{SessionCommand, key_choice};
use crate::failure::Exit;
use crate::reply::{answer, print};
use crate::terminal::{
    BAD, DIM, DOUBTFUL, OutputFailure, SeenEnough, clean, from_now, is_about_output, labelled, paint, say,
    watched,
};
use crate::which::{self, short};
use crate::words::in_words;

/// The column after the names of a session's details.
const LABELS: usize = 16;

/// Warning for a session whose key has 8 bits.
const WEAK: &str =
    "WEAK: the key comes from 1-byte shares. Anyone who sees the traffic finds it in 256 tries.";

/// Warning for a session whose key the Content Server has lost.
const KEY_GONE: &str =
    "KEY GONE: the Content Server says that it no longer has this session's key. Open a new session.";

/// Warning for a session whose ends are authenticated only by 1-byte shares.
pub(crate) const WEAKLY_AUTHENTICATED: &str = "WEAKLY AUTHENTICATED: only 1-byte shares authenticate the ends. The key has 256 bits, but anyone with a \
                                    coin who was in the middle when it was made may have posed as either end.";

pub(crate) async fn run(command: SessionCommand, output: &Output) -> Result<()> {
    match command {
        SessionCommand::Create { domain, wallet, fresh } => create(&domain, &wallet, fresh, output).await,
        SessionCommand::List(listing) => list::run(&listing, output).await,
        SessionCommand::Show { id } => show(&which::session(output, &id).await?, output).await,
        SessionCommand::Renew { ids } => renew(&ids, output).await,
        SessionCommand::Delete(options) => end::run(&options, output).await,
    }
}

async fn create(domain: &str, wallet: &Path, fresh: bool, output: &Output) -> Result<()> {
    let wallet = std::path::absolute(wallet).context("cannot make the wallet path absolute")?;
    wallet.to_str().context("the wallet path is not UTF-8")?;
    let client = output.daemon.client();
    let call = call::create(domain, &wallet, key_choice(fresh));
    let created = watched(&client, domain, client.reply(&call)).await;
    let created = printed_or_ended(output, created).await?;
    if !output.json {
        let how = match created.from_cache {
            true => "from the cache, without asking the RAIDAs",
            false => "with new shares from the RAIDAs",
        };
        say(&format!(
            "Session with {} ({}) opened {how}; it expires {}.",
            created.domain,
            clean(&created.cs_id),
            from_now(created.expires_at)
        ));
    }
    let shown = client.ask(&call::show(created.session_id.as_str())).await?;
    warnings(&shown).iter().for_each(|warning| say(warning));
    Ok(())
}

/// Prints the id of a new session. If that fails, nobody has the id, so the session is ended.
async fn printed_or_ended(output: &Output, created: Result<Reply<Created>, Error>) -> Result<Created> {
    let id = created.as_ref().ok().map(|reply| reply.value.session_id.as_str().to_owned());
    let printed = print(output, created, |created: &Created| created.session_id.as_str().into());
    match (&printed, id) {
        (Err(error), Some(id)) if is_about_output(error) => {
            let end = call::delete(&id, CachedKey::Keep, Receipt::None, OtherEnd::Background);
            output
                .daemon
                .client()
                .reply(&end)
                .await
                .context("cannot end the session whose id was not printed")?;
            say("The session was ended again: its id could not be printed.");
            // A closed pipe is no error elsewhere, but here it leaves nothing.
            if error.is::<SeenEnough>() { Err(Exit(1).into()) } else { printed }
        }
        _ => printed,
    }
}

/// Warnings about a session's key, if any.
fn warnings(shown: &Shown) -> Vec<String> {
    let weak = match shown.authenticated {
        Authenticated::Strong => None,
        Authenticated::Weak => Some(paint(DOUBTFUL, WEAKLY_AUTHENTICATED)),
        Authenticated::No => Some(paint(BAD, WEAK)),
    };
    let gone = shown.key_gone.then(|| paint(BAD, KEY_GONE));
    let unconfirmed = (!shown.confirmed).then(|| {
        let text = "The Content Server has not confirmed the key; `rke connect` will not work with it.";
        paint(DOUBTFUL, text)
    });
    let lied = |raida: &u8| paint(DOUBTFUL, format!("RAIDA {raida} gave a wrong share, which was left out."));
    gone.into_iter().chain(weak).chain(unconfirmed).chain(shown.liars.iter().map(lied)).collect()
}

async fn show(id: &str, output: &Output) -> Result<()> {
    answer(output, &call::show(id), |shown| {
        let lines = details(shown).map(|(name, value)| labelled(name, &value, LABELS));
        lines.into_iter().chain(warnings(shown)).collect::<Vec<_>>().join("\n")
    })
    .await?;
    Ok(())
}

fn details(shown: &Shown) -> [(&'static str, String); 16] {
    let row = &shown.row;
    let list = |numbers: &[u8]| match numbers {
        [] => "none".into(),
        numbers => numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    };
    let time = |at| format!("{at} {}", paint(DIM, format!("({})", from_now(at))));
    let yes = |is: bool| String::from(if is { "yes" } else { "no" });
    [
        ("session", row.session_id.as_str().into()),
        ("domain", clean(&row.domain)),
        ("cs id", clean(&row.cs_id)),
        ("opened", time(row.created_at)),
        ("expires", time(row.expires_at)),
        ("encrypted", format!("{} times", row.encrypt_count)),
        ("decrypted", format!("{} times", row.decrypt_count)),
        ("key bits", shown.key_bits.to_string()),
        ("raidas", list(&shown.raidas)),
        ("wrong shares", list(&shown.liars)),
        ("from cache", yes(shown.from_cache)),
        ("confirmed", yes(shown.confirmed)),
        ("key id", shown.key_id.as_deref().map_or("none".into(), clean)),
        ("forward secret", yes(shown.forward_secret)),
        ("authenticated", authenticated(shown.authenticated).into()),
        ("proven coin", shown.coin.as_deref().map_or("none".into(), clean)),
    ]
}

fn authenticated(how: Authenticated) -> &'static str {
    match how {
        Authenticated::Strong => "strong (32-byte shares)",
        Authenticated::Weak => "weak (1-byte shares)",
        Authenticated::No => "no",
    }
}

async fn renew(ids: &[String], output: &Output) -> Result<()> {
    each(&which::sessions(output, ids).await?, async |id, label| {
        let renewed = output.daemon.client().reply(&call::renew(id)).await;
        let text = |at| format!("{label}Session renewed; it expires {}.", from_now(at));
        print(output, renewed, |renewed| text(renewed.expires_at)).map(drop)
    })
    .await
}

/// Runs `what` for each session. If there are several, each line begins with a label. If the daemon refuses one
/// session, the error is printed and the others follow; the exit code reports it too. The others also follow where
/// nothing can be printed any longer: nobody expects `| head` to keep sessions alive.
async fn each(ids: &[String], what: impl AsyncFn(&str, &str) -> Result<()>) -> Result<()> {
    if let [id] = ids {
        return what(id, "").await;
    }
    let (mut refused, mut output) = (false, OutputFailure::default());
    for id in ids {
        let label = format!("{}… ", short(id));
        match what(id, &label).await {
            Err(error) if concerns_one(&error) => {
                say(&format!("{} {label}{}", paint(BAD, "rke:"), clean(&in_words(&error))));
                refused = true;
            }
            done => output.put_aside(done)?,
        }
    }
    if refused { Err(Exit(1).into()) } else { output.into_result() }
}

/// Whether the error concerns only this session, so that others may succeed.
fn concerns_one(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<Error>();
    error.is_some_and(|error| {
        error.refusal().is_some() && !matches!(error, Error::NotAllowed(_) | Error::TokenRejected { .. })
    })
}

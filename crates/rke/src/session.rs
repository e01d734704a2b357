//! `rke session …`: the sessions of a running daemon.

use std::path::Path;

use anyhow::{Context, Result};
use rke_client::answer::{Authenticated, Created, Deleted, Remote, Row, Shown, Wipe};
use rke_client::{Error, Receipt, call};

use crate::cli::ask::{DeleteOptions, Output, SessionCommand, key_choice};
use crate::reply::{answer, print};
use crate::terminal::{BAD, Cell, DIM, DOUBTFUL, clean, from_now, out, paint, say, table, watched};

/// What is said of a session whose key has 8 bits.
const WEAK: &str =
    "WEAK: the key comes from 1-byte shares. Anyone who sees the traffic finds it in 256 tries.";

/// What is said of one whose ends know each other by 1-byte shares.
pub(crate) const WEAKLY_AUTHENTICATED: &str = "WEAKLY AUTHENTICATED: the ends know each other by 1-byte shares. The key has 256 bits, but anyone with a \
                                    coin who was in the middle when it was made may have posed as either end.";

/// What the daemon answers where there is no session to delete.
const NONE_DELETED: &str = r#"{"command":"rke_sessions_delete","success":true,"deleted":0}"#;

pub(crate) async fn run(command: SessionCommand, output: &Output) -> Result<()> {
    match command {
        SessionCommand::Create { domain, wallet, fresh } => create(&domain, &wallet, fresh, output).await,
        SessionCommand::List => list(output).await,
        SessionCommand::Show { id } => show(&id, output).await,
        SessionCommand::Renew { id } => renew(&id, output).await,
        SessionCommand::Delete(options) => match &options.id {
            Some(id) => delete(id, &options, output).await,
            None => delete_all(&options, output).await,
        },
    }
}

async fn create(domain: &str, wallet: &Path, fresh: bool, output: &Output) -> Result<()> {
    let wallet = std::path::absolute(wallet).context("cannot make the wallet path absolute")?;
    wallet.to_str().context("the wallet path is not UTF-8")?;
    let client = output.daemon.client();
    let call = call::create(domain, &wallet, key_choice(fresh));
    let created = watched(&client, domain, client.reply(&call)).await;
    let created = print(output, created, |created: &Created| created.session_id.as_str().into())?;
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

/// What is wrong with a session's key, if anything is.
fn warnings(shown: &Shown) -> Vec<String> {
    let weak = match shown.authenticated {
        Authenticated::Strong => None,
        Authenticated::Weak => Some(paint(DOUBTFUL, WEAKLY_AUTHENTICATED)),
        Authenticated::No => Some(paint(BAD, WEAK)),
    };
    let unconfirmed = (!shown.confirmed).then(|| {
        let text = "The Content Server has not confirmed the key; `rke connect` will not work with it.";
        paint(DOUBTFUL, text)
    });
    let lied = |raida: &u8| paint(DOUBTFUL, format!("RAIDA {raida} gave a wrong share, which was left out."));
    weak.into_iter().chain(unconfirmed).chain(shown.liars.iter().map(lied)).collect()
}

async fn list(output: &Output) -> Result<()> {
    let row = |row: &Row| {
        vec![
            Cell::new(row.session_id.as_str()),
            Cell::new(clean(&row.domain)),
            Cell::new(clean(&row.cs_id)),
            Cell::new(from_now(row.created_at)),
            Cell::new(from_now(row.expires_at)),
            Cell::new(row.encrypt_count),
            Cell::new(row.decrypt_count),
        ]
    };
    let titles = ["SESSION", "DOMAIN", "CS ID", "OPENED", "EXPIRES", "ENCRYPTED", "DECRYPTED"];
    answer(output, &call::list(), |listed| match listed.sessions.as_slice() {
        [] => "No sessions.".into(),
        sessions => table(&titles, sessions.iter().map(row)),
    })
    .await?;
    Ok(())
}

async fn show(id: &str, output: &Output) -> Result<()> {
    answer(output, &call::show(id), |shown| {
        let lines = details(shown).map(|(name, value)| format!("{name:<16}{value}"));
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
        ("liars", list(&shown.liars)),
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

async fn renew(id: &str, output: &Output) -> Result<()> {
    let text = |at| format!("Session renewed; it expires {}.", from_now(at));
    answer(output, &call::renew(id), |renewed| text(renewed.expires_at)).await?;
    Ok(())
}

async fn delete(id: &str, options: &DeleteOptions, output: &Output) -> Result<()> {
    let call = call::delete(id, options.cached(), options.receipt(), options.other_end());
    answer(output, &call, |deleted| format!("Session ended, its key is wiped.{}", proofs(deleted))).await?;
    Ok(())
}

/// What was asked for beyond the deletion.
fn proofs(deleted: &Deleted) -> String {
    let wipe = deleted.wipe.as_ref().map(receipt);
    let remote = deleted.remote.map(|remote| remotely(remote).to_owned());
    wipe.into_iter().chain(remote).map(|text| format!(" {text}")).collect()
}

fn remotely(remote: Remote) -> &'static str {
    match remote {
        Remote::Forgotten => "The Content Server has shown that it has wiped it too.",
        Remote::Pending => {
            "The Content Server has not yet shown that it has wiped it too; the daemon goes on asking."
        }
        Remote::Unsupported => "The Content Server keeps a key of 8 bits until it expires there.",
    }
}

fn receipt(wipe: &Wipe) -> String {
    let (scanned, millis) = (indicatif::HumanBytes(wipe.scanned_bytes), wipe.micros / 1000);
    match wipe.hits {
        0 => format!("Nothing of it was found in {scanned} of the daemon's memory ({millis} ms)."),
        hits => paint(
            BAD,
            format!(
                "{hits} scratch stacks in {scanned} of memory had not been wiped, and are now: a bug in rke."
            ),
        ),
    }
}

async fn delete_all(options: &DeleteOptions, output: &Output) -> Result<()> {
    if options.receipt() == Receipt::Wanted {
        return delete_each(options, output).await;
    }
    let call = call::delete_all(options.domain.as_deref(), options.cached());
    answer(output, &call, |count| ended(count.deleted)).await?;
    Ok(())
}

/// One after the other, because a receipt is about one key; no faster than the daemon gives them.
async fn delete_each(options: &DeleteOptions, output: &Output) -> Result<()> {
    let client = output.daemon.client();
    let wanted = options.domain.as_ref().map(|domain| domain.trim_end_matches('.').to_lowercase());
    let sessions = client.sessions().await?.sessions.into_iter();
    let mut count = 0;
    for row in sessions.filter(|row| wanted.as_ref().is_none_or(|domain| row.domain == *domain)) {
        let id = row.session_id.as_str();
        let call = call::delete(id, options.cached(), options.receipt(), options.other_end());
        let deleted = loop {
            match client.reply(&call).await {
                Err(Error::TryLater(refusal)) => match refusal.retry_after {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => break Err(Error::TryLater(refusal)),
                },
                other => break other,
            }
        };
        // It expired, or somebody else ended it, meanwhile: gone is gone.
        if let Err(Error::SessionGone(_)) = deleted {
            continue;
        }
        print(output, deleted, |deleted| format!("{}…{}", row.session_id.short(), proofs(deleted)))?;
        count += 1;
    }
    match (output.json, count) {
        (true, 0) => out(NONE_DELETED),
        (true, _) => Ok(()),
        (false, count) => out(&ended(count)),
    }
}

fn ended(count: u64) -> String {
    match count {
        0 => "No sessions to end.".into(),
        1 => "1 session ended, its key is wiped.".into(),
        _ => format!("{count} sessions ended, their keys are wiped."),
    }
}

//! `rke session delete`: ends sessions, and reports the state of their keys.

use anyhow::Result;
use rke_client::response::{Deleted, Remote, Wipe};
use rke_client::{Call, Client, Error, Receipt, Reply, call};

use super::each;
use crate::cli::ask::Output;
use crate::cli::session::DeleteOptions;
use crate::reply::{answer, print};
use crate::terminal::{BAD, OutputFailure, out, paint};
use crate::which;

/// The daemon's response if there is no session to delete.
const NONE_DELETED: &str = r#"{"command":"rke_sessions_delete","success":true,"deleted":0}"#;

pub(super) async fn run(options: &DeleteOptions, output: &Output) -> Result<()> {
    match (options.all, options.receipt()) {
        (false, _) => these(options, output).await,
        (true, Receipt::None) => all_at_once(options, output).await,
        (true, Receipt::Wanted) => all_with_receipts(options, output).await,
    }
}

async fn these(options: &DeleteOptions, output: &Output) -> Result<()> {
    let (ids, client) = (which::sessions(output, &options.ids).await?, output.daemon.client());
    each(&ids, async |id, label| {
        let call = call_for(id, options);
        let deleted = match ids.len() {
            1 => client.reply(&call).await,
            _ => patiently(&client, &call).await,
        };
        let text = |deleted: &_| format!("{label}Session ended, its key is wiped.{}", proofs(deleted));
        print(output, deleted, text).map(drop)
    })
    .await
}

fn call_for(id: &str, options: &DeleteOptions) -> Call<Deleted> {
    call::delete(id, options.cached(), options.receipt(), options.other_end())
}

/// Repeats the call as slowly as the daemon requires: it limits how often it gives receipts.
async fn patiently(client: &Client, call: &Call<Deleted>) -> Result<Reply<Deleted>, Error> {
    loop {
        match client.reply(call).await {
            Err(Error::TryLater(refusal)) => match refusal.retry_after {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(Error::TryLater(refusal)),
            },
            other => return other,
        }
    }
}

/// The results that were requested on top of the deletion.
fn proofs(deleted: &Deleted) -> String {
    let wipe = deleted.wipe.as_ref().map(receipt);
    let remote = deleted.remote.map(|remote| remotely(remote).to_owned());
    wipe.into_iter().chain(remote).map(|text| format!(" {text}")).collect()
}

fn remotely(remote: Remote) -> &'static str {
    match remote {
        Remote::Forgotten => "The Content Server has shown that it has wiped it too.",
        Remote::Pending => {
            "The Content Server has not yet shown that it has wiped it too; the daemon keeps asking."
        }
        Remote::Unsupported => "The Content Server keeps a key of 8 bits until it expires there.",
    }
}

fn receipt(wipe: &Wipe) -> String {
    let (scanned, millis) = (indicatif::HumanBytes(wipe.scanned_bytes), wipe.micros / 1000);
    let whose = match wipe.machines {
        None | Some(1) => "of the daemon's memory".into(),
        Some(machines) => format!("of the memory of {machines} daemons"),
    };
    match wipe.hits {
        0 => format!("Nothing of it was found in {scanned} {whose} ({millis} ms)."),
        hits => paint(
            BAD,
            format!(
                "{hits} scratch stacks in {scanned} of memory had not been wiped, and are now: a bug in rke."
            ),
        ),
    }
}

async fn all_at_once(options: &DeleteOptions, output: &Output) -> Result<()> {
    let call = call::delete_all(options.domain.as_deref(), options.cached());
    answer(output, &call, |count| ended(count.deleted)).await?;
    Ok(())
}

/// Deletes one session after the other, because a receipt is about one key.
async fn all_with_receipts(options: &DeleteOptions, output: &Output) -> Result<()> {
    let client = output.daemon.client();
    let wanted = options.domain.as_ref().map(|domain| domain.trim_end_matches('.').to_lowercase());
    let sessions = client.sessions().await?.sessions.into_iter();
    let (mut count, mut failure) = (0, OutputFailure::default());
    for row in sessions.filter(|row| wanted.as_ref().is_none_or(|domain| row.domain == *domain)) {
        let deleted = patiently(&client, &call_for(row.session_id.as_str(), options)).await;
        // The session expired meanwhile, or someone else ended it. Either way it is gone.
        if let Err(Error::SessionGone(_)) = deleted {
            continue;
        }
        let line = |deleted: &_| format!("{}…{}", row.session_id.short(), proofs(deleted));
        failure.put_aside(print(output, deleted, line))?;
        count += 1;
    }
    failure.into_result()?;
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

//! The Rust client follows the same list of calls as the other clients.

use std::path::Path;
use std::time::Duration;

use rke_client::{
    CachedKey, Call, Client, Error, Event, Events, KeyChoice, OtherEnd, Receipt, Refusal, State, Stream, call,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::cast::Cast;
use super::clients;
use super::list::{BROKE, Given, matches};

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result of a step, as the list describes it, with the data of the response.
type Outcome = Result<(Value, Vec<u8>), Error>;

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_keeps_to_the_list() {
    let cast = Cast::start().await;
    let list = std::fs::read(clients().join("conformance/calls.json")).expect("the list");
    let list: Vec<Value> = serde_json::from_slice(&list).expect("JSON");
    let stage = cast.description();
    let mut failed = Vec::new();
    for case in &list {
        let name = case["daemon"].as_str().unwrap_or("dev");
        let daemon = &stage["daemons"][name];
        let mut ways = vec![client(&cast, daemon["url"].as_str().expect("a URL"), &daemon["token"])];
        if let (Some(path), None) = (daemon["unix"].as_str(), case["slow"].as_bool()) {
            ways.push(Client::new(format!("unix:{path}")));
        }
        for client in ways {
            if let Err(fault) = keep_to(&client, case, daemon).await {
                failed.push(format!("{} of {}: {fault}", case["name"], client.address()));
            }
        }
    }
    assert!(failed.is_empty() && list.len() > 30, "{failed:#?}");
    cast.stop().await;
}

fn client(cast: &Cast, url: &str, token: &Value) -> Client {
    let client = Client::new(url.trim_start_matches("http://"));
    let Some(token) = token.as_str() else { return client };
    let file = cast.file().with_file_name(format!("token of {}", &token[..4]));
    std::fs::write(&file, token).expect("written");
    client.with_token_file(file)
}

/// Makes the calls of a case. Reports where a result is not the expected one.
async fn keep_to(client: &Client, case: &Value, daemon: &Value) -> Result<(), String> {
    let mut given = Given::new(daemon);
    for (at, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
        for _ in 0..step["times"].as_u64().unwrap_or(1) {
            let outcome = make(client, &given.resolved(step), &given).await;
            let step = given.resolved(step);
            check(&step, &outcome, &given).map_err(|fault| format!("step {}: {fault}", at + 1))?;
            let Ok((answer, data)) = outcome else { continue };
            for (name, field) in step["keep"].as_object().into_iter().flatten() {
                match field.as_str() {
                    Some("data") => given.keep_data(name, data.clone()),
                    field => given.keep(name, answer[field.unwrap_or_default()].clone()),
                }
            }
        }
    }
    Ok(())
}

fn check(step: &Value, outcome: &Outcome, given: &Given) -> Result<(), String> {
    match (outcome, step.get("fails")) {
        (Ok((answer, data)), None) => {
            let mut gives = step["gives"].as_object().cloned().unwrap_or_default();
            let expected = gives.remove("data").map(|described| given.data(&described).bytes);
            if expected.is_some_and(|expected| expected != *data) {
                return Err(format!("other data, {} bytes", data.len()));
            }
            matches(answer, &Value::Object(gives))
        }
        (Err(error), Some(fails)) => matches(&described(error), fails),
        (Err(error), None) => Err(format!("{error:?}")),
        (Ok((answer, _)), Some(_)) => Err(format!("it did not fail: {answer}")),
    }
}

/// An error as the list describes it.
fn described(error: &Error) -> Value {
    let class = match error {
        Error::NoDaemon { .. } => "no_daemon",
        Error::SessionGone(_) => "not_found",
        Error::FreshKeyNeeded(_) => "fresh_key",
        Error::Altered(_) => "damaged",
        Error::NotAllowed(_) | Error::TokenRejected { .. } => "not_allowed",
        Error::TryLater(Refusal { code: 429, .. }) => "limit",
        Error::TryLater(Refusal { code: 503, .. }) => "exchange",
        Error::Elsewhere(_) => "upstream",
        Error::Wrong(_) | Error::Unsendable { .. } => "request",
        Error::Daemon(_) | Error::TryLater(_) => "daemon",
        Error::CutShort { .. } => "broken_off",
        Error::CommandFailed { status } => return json!({"class": "command_failed", "status": status}),
        Error::Input(error) if error.to_string() == BROKE => "source",
        _ => "another",
    };
    let Some(refusal) = error.refusal() else { return json!({"class": class}) };
    let mut described = refusal.response.as_object().cloned().unwrap_or_default();
    described.remove("error");
    let mut fields = described.clone();
    fields.retain(|name, _| !["message", "code"].contains(&name.as_str()));
    let wait = refusal.retry_after.as_ref().map(Duration::as_secs);
    described.extend(Map::from_iter([
        ("class".into(), class.into()),
        ("fields".into(), fields.into()),
        ("retry_after".into(), wait.into()),
    ]));
    Value::Object(described)
}

async fn make(client: &Client, step: &Value, given: &Given) -> Outcome {
    match step["call"].as_str().expect("a call") {
        "encrypt" | "decrypt" | "seal" | "open" | "export" => whole(client, step, given).await,
        "events" => {
            heard(client, step).await?;
            Ok((json!({}), Vec::new()))
        }
        streamed if streamed == "tunnel" || streamed.ends_with("_stream") => {
            stream(client, step, given).await
        }
        _ => plain(client, step).await,
    }
}

/// Listens until the events of the step have come, makes its other call then, and listens for the events of that.
async fn heard(client: &Client, step: &Value) -> Result<(), Error> {
    let mut events = client.events().await?;
    come(&mut events, &step["until"]).await?;
    if step.get("after").is_some() {
        plain(client, &step["after"]).await?;
        come(&mut events, &step["after"]["until"]).await?;
    }
    Ok(())
}

/// Waits until each of these events has come, in any order.
async fn come(events: &mut Events, expected: &Value) -> Result<(), Error> {
    let mut missing = expected.as_array().expect("a list of events").clone();
    while !missing.is_empty() {
        let Ok(event) = tokio::time::timeout(PATIENCE, events.next()).await else {
            panic!("no event of {missing:?}")
        };
        let event = described_event(event?.expect("the daemon goes on"));
        missing.retain(|one| matches(&event, one).is_err());
    }
    Ok(())
}

/// An event as the list describes it.
fn described_event(event: Event) -> Value {
    let step = match event {
        Event::Exchange(step) => step,
        Event::Other { name, data } => {
            return json!({"name": name, "data": serde_json::from_str::<Value>(&data).expect("JSON")});
        }
        other => panic!("an unknown kind of event: {other:?}"),
    };
    let state = match step.state {
        State::Asked => "asked",
        State::Answered => "answered",
        State::Failed => "failed",
    };
    let (domain, raida, ms, fault) = (step.domain, step.raida, step.ms, step.fault);
    json!({"name": "exchange", "data": {"domain": domain, "raida": raida, "state": state, "ms": ms, "fault": fault}})
}

fn text<'a>(step: &'a Value, name: &str) -> &'a str {
    step[name].as_str().unwrap_or_default()
}

/// A call without data.
async fn plain(client: &Client, step: &Value) -> Outcome {
    let (id, domain) = (text(step, "id"), step["domain"].as_str());
    let cached = if step["forget"] == true { CachedKey::Forget } else { CachedKey::Keep };
    let receipt = if step["verify"] == true { Receipt::Wanted } else { Receipt::None };
    let other_end = if step["everywhere"] == true { OtherEnd::Wait } else { OtherEnd::Background };
    let key = if step["fresh"] == true { KeyChoice::Fresh } else { KeyChoice::Cached };
    let wallet = Path::new(text(step, "wallet_path"));
    let answer = match text(step, "call") {
        "create" => answer(client, &call::create(text(step, "domain"), wallet, key)).await,
        "list" => answer(client, &call::list()).await,
        "show" => answer(client, &call::show(id)).await,
        "renew" => answer(client, &call::renew(id)).await,
        "delete" => answer(client, &call::delete(id, cached, receipt, other_end)).await,
        "delete_all" => answer(client, &call::delete_all(domain, cached)).await,
        "keys" => answer(client, &call::keys()).await,
        "delete_keys" => answer(client, &call::forget_keys(domain)).await,
        "discover" => answer(client, &call::discover(text(step, "domain"))).await,
        "status" => answer(client, &call::status()).await,
        "raidas" => answer(client, &call::raidas()).await,
        "refresh_raidas" => answer(client, &call::refresh_raidas()).await,
        other => panic!("no such call: {other}"),
    };
    answer.map(|answer| (answer, Vec::new()))
}

/// The response as it came. It must parse as the client's own type, too.
async fn answer<T: DeserializeOwned>(client: &Client, call: &Call<T>) -> Result<Value, Error> {
    Ok(serde_json::from_str(&client.reply(call).await?.text).expect("JSON"))
}

/// A call with complete data.
async fn whole(client: &Client, step: &Value, given: &Given) -> Outcome {
    let id = text(step, "id");
    let (data, beside) = (given.data(&step["data"]).bytes, given.data(&step["associated_data"]).bytes);
    let (data, nonce) = match text(step, "call") {
        "encrypt" => {
            let encrypted = client.ask(&call::encrypt(id, &data)).await?;
            (encrypted.ciphertext, Some(encrypted.nonce))
        }
        "decrypt" => {
            let nonce = text(step, "nonce");
            (client.ask(&call::decrypt(id, &data, nonce)).await?.plaintext, None)
        }
        "export" => {
            let (context, length) = (given.data(&step["context"]).bytes, step["length"].as_u64());
            let call = call::export(id, text(step, "label"), &context, length.unwrap_or(32) as usize);
            (client.ask(&call).await?.key, None)
        }
        "seal" => (client.ask(&call::seal(id, &data, &beside)).await?.sealed, None),
        _ => (client.ask(&call::open(id, &data, &beside)).await?.plaintext, None),
    };
    Ok((json!({"length": data.len(), "nonce": nonce}), data))
}

/// A call with data that is read and returned piece by piece.
async fn stream(client: &Client, step: &Value, given: &Given) -> Outcome {
    let id = text(step, "id");
    let source = given.data(&step["data"]).source(step["pieces"].as_u64());
    let beside = given.data(&step["associated_data"]).bytes;
    let (nonce, stream) = match text(step, "call") {
        "encrypt_stream" => {
            let (nonce, stream) = client.encrypt_stream(id, source).await?;
            (Some(nonce), stream)
        }
        "decrypt_stream" => (None, client.decrypt_stream(id, text(step, "nonce"), source).await?),
        "tunnel" => (None, client.tunnel(id, source).await?),
        "seal_stream" => (None, client.seal_stream(id, source, &beside).await?),
        _ => (None, client.open_stream(id, source, &beside).await?),
    };
    let data = collect(client, stream, &step["after"]).await?;
    Ok((json!({"length": data.len(), "nonce": nonce}), data))
}

/// Reads a stream to its end. Makes the step's other call once enough data has arrived.
async fn collect(client: &Client, mut stream: Stream, after: &Value) -> Result<Vec<u8>, Error> {
    let (mut data, mut enough) = (Vec::new(), after["bytes"].as_u64());
    while let Some(piece) = stream.piece().await? {
        data.extend_from_slice(&piece);
        if enough.take_if(|enough| *enough <= data.len() as u64).is_some() {
            plain(client, after).await?;
        }
    }
    Ok(data)
}

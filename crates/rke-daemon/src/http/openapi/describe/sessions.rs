//! Sessions, from opening to deletion.

use serde_json::json;

use crate::http::api::answer::{Created, Deleted, DeletedAll, Listed, Renewed, Shown};
use crate::http::api::bodies::ToCreate;
use crate::http::openapi::{Described, Part, parameters};

const NOT_FOUND: &str = r#"{"error":true,"message":"Session not found","code":404,"session_id":"nonexistent00000000000000000000"}"#;
const NOT_FOUND_OR_EXPIRED: &str = r#"{"error":true,"message":"Session not found or expired","code":404,"session_id":"nonexistent00000000000000000000"}"#;

const OPENS: &str = "\
The daemon looks the domain up, collects key shares from the RAIDAs with the coins of the wallet, and agrees with the Content \
Server on a key that only the two of them have. What it keeps of that exchange opens later sessions for the same coins without \
asking a RAIDA; `from_cache` is then `true`. **Every session has a key of its own all the same**: what one has encrypted, no \
other can decrypt.

A domain that offers only 1-byte shares is different, and is refused unless the operator allows it: its keys have 8 bits, and \
all sessions from the cache share one.

The Content Server of a domain is remembered. When DNS names another one later, no session is opened (403).

Coins prove the user to the RAIDAs. They are not spent, and the wallet is not changed.

Only one exchange runs for one domain at a time. Requests that arrive meanwhile wait for it, and are then served from the cache \
where their wallets hold the same coins. A new session never displaces another one.";

pub(in crate::http) fn create_session() -> Described {
    let described = Described::new(Part::Sessions, "create_session", "Opens a session", OPENS)
        .needs_store()
        .takes(parameters::domain())
        .takes(parameters::wallet_path())
        .takes(parameters::fresh());
    opening(described)
}

pub(in crate::http) fn create_session_by_post() -> Described {
    let text = format!("The same as the GET, with its parameters in a JSON body.\n\n{OPENS}");
    let described = Described::new(Part::Sessions, "create_session_by_post", "Opens a session", &text)
        .needs_store()
        .takes_json::<ToCreate>(
            r#"{"domain":"content.example.com","wallet_path":"/home/alice/wallet","fresh":true}"#,
        );
    opening(described)
}

/// The responses to both ways of opening a session, and the operations that can follow.
fn opening(described: Described) -> Described {
    let id = "$response.body#/session_id";
    let described = described
        .gives::<Created>(
            "The new session.",
            r#"{"command":"rke_session_create","success":true,"session_id":"a1b2c3d4e5f67890a1b2c3d4e5f67890","domain":"content.example.com","cs_id":"CONTENT-SERVER01","expires_at":"2025-11-30T11:00:00Z","from_cache":false}"#,
        )
        .leads_to("show_session", &[("id", id)])
        .leads_to("renew_session", &[("id", id)])
        .leads_to("tunnel", &[("id", id)])
        .leads_to("encrypt", &[("session_id", id)])
        .leads_to_body("encrypt_by_post", json!({"session_id": id, "plaintext": "SGVsbG8gV29ybGQh"}))
        .leads_to_body("seal", json!({"session_id": id, "plaintext": "SGVsbG8gV29ybGQh"}))
        .leads_to("delete_session", &[("session_id", id)])
        .leads_to("delete_session_by_path", &[("id", id)]);
    failing_to_open(described)
}

fn failing_to_open(described: Described) -> Described {
    described
        .fails(
            400,
            "`domain` or `wallet_path` is missing, `domain` is not a domain name (it is repeated then), or the wallet cannot be \
             used (`wallet_path` is repeated): its path is not absolute, it is not a folder, cannot be read, or has usable coins \
             for too few RAIDAs.",
            Some(r#"{"error":true,"message":"Missing 'wallet_path' parameter","code":400}"#),
        )
        .fails(
            403,
            "DNS names a Content Server other than the one that this domain is known to have, or a weaker form of it; or the Content Server has only 1-byte shares, and the operator has not allowed them for this domain (`domain` is repeated in both cases); or the wallet is outside `--wallet-root`.",
            None,
        )
        .fails_for_now(
            429,
            "No place is free, or too many sessions are being opened in a short time.",
            Some(r#"{"error":true,"message":"Maximum of 16 sessions reached","code":429}"#),
        )
        .fails(
            502,
            "DNS gave no usable response, or no key set has enough RAIDA servers; or the Content Server cannot be reached, \
             refuses, or is another program; or too many RAIDAs gave wrong shares; or a key of 8 bits was not confirmed, where \
             the daemon runs with `--confirm require`. `domain` is repeated.",
            Some(
                r#"{"error":true,"message":"Cannot agree on a key with the Content Server at cs1.example.com:443: it refuses connections","code":502,"domain":"content.example.com"}"#,
            ),
        )
        .fails(
            503,
            "Too few RAIDAs gave a share, and `answered` and `faults` say which; or the exchange of another request, which this one waited for, or those of 64 others, took too long; or everything was dropped meanwhile. With `--store`: or the store that other machines share cannot be reached, and `Retry-After` says when to try again.",
            Some(
                r#"{"error":true,"message":"Only 12 of 13 required RAIDAs answered","code":503,"answered":[0,1,2,3,4,5,6,7,8,9,10,11],"faults":[{"raida":12,"fault":"no answer"}]}"#,
            ),
        )
}

pub(in crate::http) fn list_sessions() -> Described {
    let example = r#"{"command":"rke_sessions","success":true,"total":1,"active":1,"sessions":[{"session_id":"a1b2c3d4e5f67890a1b2c3d4e5f67890","domain":"content.example.com","cs_id":"CONTENT-SERVER01","created_at":"2025-11-30T10:00:00Z","expires_at":"2025-11-30T11:00:00Z","encrypt_count":15,"decrypt_count":12}],"weak":0,"weakly_authenticated":0}"#;
    let text = "Lists the sessions that have not expired. A page, which is a request with an `Origin` other than the daemon's own, \
                sees those that the same origin has opened.";
    Described::new(Part::Sessions, "list_sessions", "Lists the sessions", text)
        .needs_store()
        .gives::<Listed>("The sessions.", example)
}

pub(in crate::http) fn show_session() -> Described {
    let example = r#"{"session_id":"a1b2c3d4e5f67890a1b2c3d4e5f67890","domain":"content.example.com","cs_id":"CONTENT-SERVER01","created_at":"2025-11-30T10:00:00Z","expires_at":"2025-11-30T11:00:00Z","encrypt_count":15,"decrypt_count":12,"key_bits":256,"envelope":[5],"raidas":[0,1,2,3,4,5,6,7,8,9,10,11,12,13],"liars":[],"from_cache":false,"confirmed":true,"key_id":"5d41402abc4b2a76b9719d911017c592","forward_secret":true,"authenticated":"strong","coin":"0:1001","tunnel_broken_off":null,"key_gone":false}"#;
    let text =
        "Shows one session, and how its key was made. `key_id` is how the Content Server names the session.";
    let described = Described::new(Part::Sessions, "show_session", "Shows one session in detail", text)
        .needs_store()
        .takes(parameters::session_in_path())
        .gives::<Shown>("The session. It has no `command` and no `success`.", example);
    not_found(described, "There is no such session, or it has expired; `session_id` is repeated.", NOT_FOUND)
}

pub(in crate::http) fn renew_session() -> Described {
    let text = "Lets a session live for its full time again from now on, but not beyond its longest lifetime \
                (`--session-max-lifetime`, a day by default). Renewing a session that has reached that changes nothing: check \
                `expires_at`.";
    let described =
        Described::new(Part::Sessions, "renew_session", "Renews a session", text).needs_store()
            .takes(parameters::session_in_path())
            .gives::<Renewed>(
                "The session, and when it expires now.",
                r#"{"command":"rke_session_renew","success":true,"session_id":"a1b2c3d4e5f67890a1b2c3d4e5f67890","expires_at":"2025-11-30T11:40:00Z"}"#,
            );
    not_found(described, "There is no such session; `session_id` is repeated.", NOT_FOUND_OR_EXPIRED)
}

const ENDS: &str = "\
When the response arrives, the id is dead and the session's key is wiped from memory.

The key cannot be made again: not from the cache, not from the coins, not from the secrets of the servers. Data that was \
encrypted or sealed in the session stays unreadable. Then the daemon asks the Content Server to wipe the key too, in the \
background and even after a restart, until that is proven or the key's lifetime is over; `everywhere=true` waits for the proof. \
Other sessions of the domain have keys of their own and go on. `forget=true` removes \
what the cache keeps for the domain too, so that the next session asks the RAIDAs again.

A session of 8 bits is different: other sessions from the cache have the same key, and without `forget=true` later ones have it \
too.";

pub(in crate::http) fn delete_session() -> Described {
    let described = Described::new(Part::Sessions, "delete_session", "Ends a session", ENDS)
        .needs_store()
        .takes(parameters::session_id());
    ending(described)
}

pub(in crate::http) fn delete_session_by_path() -> Described {
    let described = Described::new(Part::Sessions, "delete_session_by_path", "Ends a session", ENDS)
        .needs_store()
        .takes(parameters::session_in_path());
    ending(described)
}

/// The parameters and responses of both ways of ending a session.
fn ending(described: Described) -> Described {
    let described = described
        .takes(parameters::forget(
            "`true` removes what the cache keeps for the domain too. Its file is overwritten first.",
        ))
        .takes(parameters::verify())
        .takes(parameters::everywhere())
        .gives::<Deleted>(
            "The session has ended. `wipe` is present only with `verify=true`, `remote` only with `everywhere=true`.",
            r#"{"command":"rke_session_delete","success":true,"session_id":"a1b2c3d4e5f67890a1b2c3d4e5f67890"}"#,
        )
        .fails_for_now(
            429,
            "There were more than 20 deletions with `verify=true` at once, or more than 5 a second. Nothing was deleted. Delete \
             without `verify`, or try again later.",
            None,
        )
        .fails(
            500,
            "The session has ended, but something else that was requested could not be done: the message says what.",
            None,
        );
    let gone =
        "There is no such session, it has expired, or it has been deleted before; `session_id` is repeated.";
    not_found(described, gone, NOT_FOUND)
}

pub(in crate::http) fn delete_sessions() -> Described {
    let text = "Ends all sessions, or those of a domain. When the response arrives, their ids are dead and their keys are wiped from \
                memory. A page, which is a request with an `Origin` other than the daemon's own, ends those that the same origin has \
                opened. Exchanges that run go on; SIGUSR1 to the daemon ends them too, and drops all cached keys.";
    Described::new(Part::Sessions, "delete_sessions", "Ends all sessions, or those of a domain", text).needs_store()
        .takes(parameters::domain_to_narrow("Only the sessions of this domain."))
        .takes(parameters::forget("`true` removes the cached keys too: those of the domain, or all of them."))
        .gives::<DeletedAll>(
            "How many have ended.",
            r#"{"command":"rke_sessions_delete","success":true,"deleted":2}"#,
        )
        .fails(
            400,
            "`domain` is not a domain name (it is repeated), `forget` is neither `true` nor `false`, there is another parameter, or a body.",
            None,
        )
        .fails(500, "The sessions have ended, but the file of a cached key could not be removed.", None)
}

/// The errors for an id that belongs to no session.
fn not_found(described: Described, text: &str, example: &str) -> Described {
    described.fails(400, "The id is missing, unreadable, or has more than 64 characters; or a deletion has a parameter that it does not know, or, by DELETE, a body.", None).fails(
        404,
        text,
        Some(example),
    )
}

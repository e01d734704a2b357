//! Encrypting, decrypting, sealing, opening and tunnels.

use serde_json::json;

use crate::http::api::answer::{Decrypted, Encrypted, ExportedForm, Opened, Sealed};
use crate::http::api::bodies::{ToDecrypt, ToEncrypt, ToExport, ToOpen, ToSeal};
use crate::http::api::schema;
use crate::http::openapi::{Described, Part, examples, parameters};

const ENCRYPTS: &str = "\
Encrypts with AES-256 in counter mode. The nonce is the first counter block: 16 bytes, random for each call. Keep it with \
the ciphertext.

**Only the session that encrypted the data can decrypt it**, for as long as it lives: each has a key of its own.

Counter mode does not detect changes: anyone who can alter the ciphertext alters the plaintext at the same place. To detect \
that, use `seal`.";

const DECRYPTS: &str = "\
The session must be the one that encrypted. (Sessions of 8 bits from the cache share one key, and decrypt each other's data.) A \
wrong session, nonce or ciphertext is not detected: the call succeeds, and the plaintext is meaningless.";

const BODIES: &str = "\
The body is an object in JSON, of at most 1 MiB, in which data is Base64; or, with any other `Content-Type`, the data itself, of \
any size. Then everything else is in headers, and the response is raw too: it begins as soon as the first bytes of the body \
arrive, and goes on while the rest arrives. An error after the response has begun cuts the connection.";

const SEALS: &str = "\
Encrypts with AES-256-GCM in a format of its own (`docs/seal-format.md`): opening detects any change to sealed data, and a \
missing end. Data may be sealed together with associated data, which is not part of the result and must be given again to open \
it.

**Sealed data opens only while its session lives.** When the session is deleted or expires, its key is gone for good, and \
with it all that was sealed in it. Sealing is for the way to the Content Server and back, not for storage.";

const OPENS: &str = "\
Opens sealed data. The session must be the one that sealed it. (Sessions of 8 bits from the cache share one key, and open each \
other's data.) JSON is opened whole before the response begins. A raw response comes chunk by chunk, each once it has proved \
authentic: a response that is cut short is authentic, but incomplete.";

const ENCRYPTED: &str = r#"{"command":"rke_encrypt","success":true,"ciphertext":"3q2+7wEjRWeJq83v","nonce":"0f1e2d3c4b5a69788796a5b4c3d2e1f0","length":12}"#;
const DECRYPTED: &str =
    r#"{"command":"rke_decrypt","success":true,"plaintext":"SGVsbG8gV29ybGQh","length":12}"#;

pub(in crate::http) fn encrypt() -> Described {
    let described = Described::new(Part::Data, "encrypt", "Encrypts with a session's key", ENCRYPTS)
        .needs_store()
        .takes(parameters::session_id())
        .takes(parameters::plaintext())
        .gives::<Encrypted>("The encrypted data.", ENCRYPTED)
        .leads_to("decrypt", &from_encryption("$request.query.session_id"));
    using(
        used_up(described),
        "`session_id` or `plaintext` is missing or unreadable, or `plaintext` is not Base64.",
    )
}

pub(in crate::http) fn encrypt_by_post() -> Described {
    let text = format!("{ENCRYPTS}\n\n{BODIES}");
    let described = Described::new(Part::Data, "encrypt_by_post", "Encrypts data of any size", &text)
        .needs_store()
        .takes(parameters::session_header())
        .takes_json::<ToEncrypt>(
            r#"{"session_id":"a1b2c3d4e5f67890a1b2c3d4e5f67890","plaintext":"SGVsbG8gV29ybGQh"}"#,
        )
        .takes_raw(Some(examples::TEXT))
        .gives::<Encrypted>("The encrypted data, in the form in which the data came.", ENCRYPTED)
        .gives_raw("The encrypted data, in the form in which the data came.")
        .with_header("X-RKE-Nonce", "With raw data: the nonce, 32 hexadecimal digits.", schema::HEX)
        .leads_to_body(
            "decrypt_by_post",
            json!({
                "session_id": "$request.body#/session_id",
                "ciphertext": "$response.body#/ciphertext",
                "nonce": "$response.body#/nonce",
            }),
        );
    posting(used_up(described))
}

pub(in crate::http) fn decrypt() -> Described {
    let described = Described::new(Part::Data, "decrypt", "Decrypts with a session's key", DECRYPTS)
        .needs_store()
        .takes(parameters::session_id())
        .takes(parameters::ciphertext())
        .takes(parameters::nonce())
        .gives::<Decrypted>("The data.", DECRYPTED);
    using(
        described,
        "`session_id` or `ciphertext` is missing or unreadable, `ciphertext` is not Base64, or `nonce` is missing or not 32 hexadecimal digits.",
    )
}

pub(in crate::http) fn decrypt_by_post() -> Described {
    let text = format!("{DECRYPTS}\n\n{BODIES}");
    let described = Described::new(Part::Data, "decrypt_by_post", "Decrypts data of any size", &text).needs_store()
        .takes(parameters::session_header())
        .takes(parameters::nonce_header())
        .takes_json::<ToDecrypt>(
            r#"{"session_id":"a1b2c3d4e5f67890a1b2c3d4e5f67890","ciphertext":"3q2+7wEjRWeJq83v","nonce":"0f1e2d3c4b5a69788796a5b4c3d2e1f0"}"#,
        )
        .takes_raw(Some(examples::TEXT))
        .gives::<Decrypted>("The data, in the form in which it came.", DECRYPTED)
        .gives_raw("The data, in the form in which it came.");
    posting(described)
}

pub(in crate::http) fn seal() -> Described {
    let text = format!("{SEALS}\n\n{BODIES}");
    let described =
        Described::new(Part::Data, "seal", "Encrypts so that every change is detected", &text).needs_store()
            .takes(parameters::session_header())
            .takes(parameters::associated_data_header(
                "With a raw body: associated data in Base64; none if this is missing.",
            ))
            .takes_json::<ToSeal>(
                r#"{"session_id":"a1b2c3d4e5f67890a1b2c3d4e5f67890","plaintext":"SGVsbG8gV29ybGQh","associated_data":"aW52b2ljZSAxNw=="}"#,
            )
            .takes_raw(Some(examples::TEXT))
            .gives::<Sealed>("The sealed data, in the form in which the data came.", &SEALED.replace("DATA", examples::SEALED))
            .gives_raw("The sealed data, in the form in which the data came.")
            .leads_to_body(
                "open",
                json!({
                    "session_id": "$request.body#/session_id",
                    "sealed": "$response.body#/sealed",
                    "associated_data": "$request.body#/associated_data",
                }),
            );
    posting(used_up(described))
}

pub(in crate::http) fn open() -> Described {
    let text = format!("{OPENS}\n\n{BODIES}");
    let example = r#"{"session_id":"a1b2c3d4e5f67890a1b2c3d4e5f67890","sealed":"DATA","associated_data":"aW52b2ljZSAxNw=="}"#;
    let described =
        Described::new(Part::Data, "open", "Opens sealed data, if it is unchanged", &text).needs_store()
            .takes(parameters::session_header())
            .takes(parameters::associated_data_header(
                "With a raw body: the associated data that was sealed with the data, in Base64; leave it out if there was none.",
            ))
            .takes_json::<ToOpen>(&example.replace("DATA", examples::SEALED))
            .takes_raw(None)
            .gives::<Opened>("The data, in the form in which it came.", OPENED)
            .gives_raw("The data, in the form in which it came.")
            .fails(
                422,
                "It is not sealed data, was sealed in another session or with other associated data, was altered, or is cut short.",
                None,
            );
    posting(described)
}

const EXPORTS: &str = "\
Derives a key for a program that takes a key from elsewhere, and returns it: the pre-shared key of a VPN, for example. The Content \
Server derives the same key from the same session, label, context and length, and no message passes between the two for it. \
Different labels, contexts and lengths give keys that say nothing about each other, and none of them says anything about the \
session's own key.

The daemon exports nothing unless its operator allows the label with `--allow-export`, and only from sessions that are \
`authenticated` `strong`. The exported key does not end with the session: that is up to the program that has it.";

const EXPORTED: &str = r#"{"command":"rke_export","success":true,"key":"fFaiCcf5XVxBeinmbh05cbSnndFo/yN9fuQoMpGaZgU=","length":32}"#;

pub(in crate::http) fn export() -> Described {
    let example = r#"{"session_id":"a1b2c3d4e5f67890a1b2c3d4e5f67890","label":"wireguard","context":"AAEC","length":32}"#;
    let described = Described::new(Part::Data, "export", "Derives a key for another program", EXPORTS).needs_store()
        .takes_json::<ToExport>(example)
        .gives::<ExportedForm>("The key.", EXPORTED)
        .fails(
            403,
            "The label is not allowed, or the session is not `authenticated` `strong`; then `session_id` is repeated.",
            Some(NOT_ALLOWED),
        )
        .fails(413, "The body is over 1 MiB.", None);
    using(
        described,
        "A field is missing or malformed, `context` is not Base64 or over 65,535 bytes, `label` is over 255 bytes, or `length` is not 16 to 64.",
    )
}

const NOT_ALLOWED: &str = r#"{"error":true,"message":"Keys with this label may not be exported; allow it with --allow-export LABEL","code":403}"#;

pub(in crate::http) fn tunnel() -> Described {
    let text = "Connects to the Content Server over TCP and attaches to the session there. The body of the request goes to it, and what it \
                sends is the body of the response; both may go on for any length of time, at the same time. The daemon encrypts both, so no \
                key leaves it. The end of the request's body ends the data to the Content Server, and the response ends when the Content \
                Server has sent all its data.\n\n\
                A client that sends `TE: trailers` gets the exit status of the command at the Content Server in the trailer \
                `RKE-Exit-Status`. For other clients, the response is cut off if the status is not 0.";
    let summary = "Sends data to the Content Server and brings back what it sends";
    Described::new(Part::Data, "tunnel", summary, text).needs_store()
        .takes(parameters::session_in_path())
        .takes_raw(Some(examples::TEXT))
        .gives_raw("What the Content Server sends. The last chunk comes only if the Content Server has said that its data is \
                    complete.")
        .fails(400, "The id has more than 64 characters.", None)
        .fails(404, "There is no such session; `session_id` is repeated.", Some(NOT_FOUND))
        .fails(409, "The Content Server no longer has the session's key, or, over 1-byte shares, has not confirmed it.", None)
        .fails(502, "The Content Server does not respond at the address that DNS names, or refuses.", None)
        .fails(505, "The request is HTTP/1.0, in which a response that is cut short looks complete.", None)
}

const NOT_FOUND: &str = r#"{"error":true,"message":"Session not found or expired","code":404,"session_id":"nonexistent00000000000000000000"}"#;

const SEALED: &str = r#"{"command":"rke_seal","success":true,"sealed":"DATA","length":12}"#;
const OPENED: &str = r#"{"command":"rke_open","success":true,"plaintext":"SGVsbG8gV29ybGQh","length":12}"#;

/// The parameters of a decryption, taken from an encryption's response.
fn from_encryption(session: &'static str) -> [(&'static str, &'static str); 3] {
    [
        ("session_id", session),
        ("ciphertext", "$response.body#/ciphertext"),
        ("nonce", "$response.body#/nonce"),
    ]
}

/// The errors of every operation that uses a key.
fn using(described: Described, malformed: &str) -> Described {
    let base64 = r#"{"error":true,"message":"Invalid base64 encoding","code":400}"#;
    described.fails(400, malformed, Some(base64)).fails(
        404,
        "There is no such session; `session_id` is repeated.",
        Some(NOT_FOUND),
    )
}

/// The errors of the operations that take a body.
fn posting(described: Described) -> Described {
    let malformed = "A field of the body or a header that is needed is missing or malformed, data is not Base64, or the body broke off or is malformed.";
    using(described, malformed).fails(
        413,
        "The body in JSON is over 1 MiB, or the raw body is over 8 MiB and the client is known to send all of it before it reads.",
        None,
    )
}

/// The error for a key that may not encrypt any more data.
fn used_up(described: Described) -> Described {
    let text = "The key has encrypted as much as one key may; open a new session. `session_id` is repeated.";
    described.fails(409, text, None)
}

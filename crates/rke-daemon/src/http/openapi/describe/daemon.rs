//! The state of the daemon, and the document itself.

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::http::api::activity::Happened;
use crate::http::api::answer::Status;
use crate::http::api::health::Health;
use crate::http::api::refusals::Refused;
use crate::http::openapi::{Described, Part};

pub(in crate::http) fn status() -> Described {
    let example = r#"{"command":"rke_status","success":true,"sessions":{"total":2,"active":2,"max":16},"keystore":{"total":1,"valid":1,"expired":0,"max":64,"default_ttl_hours":24},"config":{"session_timeout_sec":3600,"exchange_timeout_sec":5.0,"min_raidas_required":13,"dns_server":"system","weak_shares_allowed":[],"version":"0.1.0","last_reload_successful":true},"secret_memory":{"kind":"secretmem","bytes":2019328,"slots":1152,"slots_used":229,"inspection":"refused","residues_found":0},"daemon":{"uptime_sec":86400,"started_at":"2025-11-29T10:00:00Z"},"remote_deletions":{"pending":0,"confirmed":3},"directory":{"guardians":7,"needed":4,"raidas":25,"agreed_at":"2025-11-30T10:00:00Z"},"exports":{"allowed":["wireguard"],"count":12},"etsi_peers":[{"sae_id":"bob","domain":"content.example.com","keys_ready":65536}],"sandbox":{"landlock":"writes","seccomp":true,"no_new_privs":true}}"#;
    Described::new(Part::Daemon, "status", "Shows counts and settings", "Other settings may follow.")
        .needs_store()
        .gives::<Status>("Counts and settings.", example)
}

pub(in crate::http) fn refusals() -> Described {
    let example = r#"{"command":"rke_refusals","success":true,"total":3,"rules":[{"rule":"host","count":1},{"rule":"origin","count":2}],"last":{"rule":"origin","origin":"https://evil.example","attempt":"delete_session","at":"2025-11-30T10:00:00Z"}}"#;
    let text = "Shows the requests that the gate has rejected since the daemon started. Of each, the daemon keeps only the \
                origin and what it attempted. A page sees the rejected requests of its own origin.";
    Described::new(Part::Daemon, "refusals", "Shows the rejected requests", text)
        .gives::<Refused>("The rejected requests.", example)
}

pub(in crate::http) fn activity() -> Described {
    let example = r#"{"command":"rke_activity","success":true,"total":2,"events":[{"at":"2025-11-30T11:00:00Z","event":"session_created","session":"0b7e52c4","domain":"files.example.com","detail":"new_shares","count":1,"receipt":null},{"at":"2025-11-30T10:30:00Z","event":"session_deleted","session":"a1b2c3d4","domain":"content.example.com","detail":null,"count":1,"receipt":{"how":"request","key_id":"5f0c9d81","remote":"forgotten","remote_at":"2025-11-30T10:30:00Z","wipe":{"scanned_bytes":48234496,"hits":0,"micros":21873}}}]}"#;
    let text = "Shows the last 1,000 events of sessions and keys since the daemon started, and the receipt of each session that \
                has ended. The daemon keeps them in memory only. Of a session's id, it shows only the beginning. Rejected \
                requests are one event for each rule. A page sees the events of its own sessions.";
    Described::new(Part::Daemon, "activity", "Shows what has happened", text)
        .gives::<Happened>("The last events.", example)
}

const EVENTS: &str = "\
The response goes on until one side ends it.

`sessions`, `keys`, `raidas`, `activity` and `refusals` mean that the response of the endpoint of that name has changed: request it again. \
`sessions` stands for `status` too. Each comes once at the beginning, and at most four times a second after that.

`exchange` is one step of a running exchange: `domain`; `raida`, an index; `state`, which is `asked`, `answered` or `failed`; \
`ms`, how long the response took; `fault`, why there is none.

A line with only a colon comes after three seconds without an event. A listener that reads too slowly misses steps of exchanges; \
it is then notified that everything has changed.

A page hears about the sessions, keys, activity, refusals and exchanges of its own origin, and about `raidas`.";

pub(in crate::http) fn events() -> Described {
    let example = "event: sessions\ndata: {}\n\nevent: exchange\ndata: {\"domain\":\"content.example.com\",\"raida\":4,\"state\":\"answered\",\"ms\":12.408,\"fault\":null}\n\n";
    Described::new(Part::Daemon, "events", "Reports changes, as server-sent events", EVENTS)
        .gives_text("Events, each of this form.", "text/event-stream", event(), example)
        .fails_for_now(
            503,
            "32 listeners follow events already.",
            Some(r#"{"error":true,"message":"32 listeners follow events already; close one of them","code":503}"#),
        )
}

/// The form of an event.
fn event() -> ObjectBuilder {
    let names = ["sessions", "keys", "raidas", "activity", "refusals", "exchange"];
    let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
    let data = ObjectBuilder::new().schema_type(Type::String).content_media_type("application/json");
    ObjectBuilder::new()
        .property("event", name.description(Some("What has changed, or `exchange`.")))
        .property("data", data.description(Some("`{}`, or the step of an exchange.")))
        .required("event")
        .required("data")
}

pub(in crate::http) fn live() -> Described {
    let text = "Responds with 200 as soon as the daemon serves requests.";
    Described::new(Part::Daemon, "live", "Whether the daemon is alive", text)
        .for_everybody()
        .gives::<Health>("It is alive.", r#"{"status":"live"}"#)
}

pub(in crate::http) fn ready() -> Described {
    let text = "Responds with 200 while the daemon can take work.";
    Described::new(Part::Daemon, "ready", "Whether the daemon is ready", text)
        .for_everybody()
        .gives::<Health>("It is ready.", r#"{"status":"ready"}"#)
        .fails(
            503,
            "It is not, and `reasons` says why: it is stopping, its data directory cannot be written or is full, or the audit log cannot be written.",
            Some(
                r#"{"error":true,"message":"The daemon is not ready: the data directory cannot be written","code":503,"reasons":["the data directory cannot be written"]}"#,
            ),
        )
}

pub(in crate::http) fn metrics() -> Described {
    let text = "In the format that `Accept` asks for: OpenMetrics, or else the text format of Prometheus. No label holds a session \
                id, a domain or a path.";
    let form = || ObjectBuilder::new().schema_type(Type::String);
    let example =
        "# HELP rke_sessions Sessions that have not expired.\n# TYPE rke_sessions gauge\nrke_sessions 2\n";
    Described::new(Part::Daemon, "metrics", "The daemon's metrics for Prometheus", text)
        .gives_text("The metrics.", "application/openmetrics-text", form(), &format!("{example}# EOF\n"))
        .gives_text("The metrics.", "text/plain", form(), example)
}

pub(in crate::http) fn openapi() -> Described {
    let text = "The OpenAPI 3.1 document of this API. The page `/docs` shows it.";
    Described::new(Part::Daemon, "openapi", "This document", text)
        .gives::<OpenApi>("The document.", r#"{"openapi":"3.1.0"}"#)
}

/// An OpenAPI document, described no further than this.
struct OpenApi;

impl ToSchema for OpenApi {}

impl PartialSchema for OpenApi {
    fn schema() -> RefOr<Schema> {
        let version =
            ObjectBuilder::new().schema_type(Type::String).enum_values(Some([Value::from("3.1.0")]));
        let document = ObjectBuilder::new().property("openapi", version).required("openapi");
        let document = document.additional_properties(Some(AdditionalProperties::FreeForm(true)));
        document.description(Some("An OpenAPI document.")).into()
    }
}

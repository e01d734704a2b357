//! The table itself. Every path of the API is written here and nowhere else.

use super::Route;
use crate::http::api::state::Api;
use crate::http::api::watched::Watched;
use crate::http::api::{
    HeldKeys, Shared, activity, bodies, deletion, document, events, handlers, health, held, metrics,
    refusals, tunnel, watched,
};
#[cfg(test)]
use crate::http::openapi::describe;
use crate::http::policy::{Attempt, Audience, BodyRule, Cost, LogWeight, Policy, Row, Verb};

/// Makes a row of each line, and the table of all rows.
macro_rules! routes {
    ($($name:ident: $verb:ident $path:literal | $handler:path | $describe:path |
       $body:ident $weight:ident $cost:ident $attempt:ident $audience:ident;)*) => {
        $(pub(crate) const $name: Row = Row {
            verb: Verb::$verb,
            path: $path,
            policy: Policy {
                body: BodyRule::$body,
                weight: LogWeight::$weight,
                cost: Cost::$cost,
                attempt: Attempt::$attempt,
                audience: Audience::$audience,
            },
        };)*

        /// All rows of the API. Rows of the same path are neighbours.
        pub(super) static ROWS: &[Row] = &[$($name),*];

        /// The same rows with their handlers.
        pub(in crate::http) static TABLE: &[Route<Api>] = &[$(Route {
            row: $name,
            add: |methods, filter| methods.on(filter, $handler),
            #[cfg(test)]
            describe: $describe,
        }),*];
    };
}

routes! {
    // Name            Method Path                             Answered by                 Described by                       Body   Log    Cost              Attempt        For
    DISCOVER:          Read   "/api/rke/discover"            | handlers::discover        | describe::discover               | Small  Use    Free              Read           Applications;
    CREATE:            Get    "/api/rke/session"             | handlers::create          | describe::create_session         | Small  Change Creation          OpenSession    Applications;
    CREATE_BY_POST:    Post   "/api/rke/session"             | bodies::create            | describe::create_session_by_post | Small  Change Creation          OpenSession    Applications;
    LIST:              Read   "/api/rke/sessions"            | handlers::list            | describe::list_sessions          | Small  Use    Free              Read           Applications;
    DELETE_ALL:        Delete "/api/rke/sessions"            | handlers::delete_all      | describe::delete_sessions        | Empty  Change Free              DeleteSessions Applications;
    SHOW:              Read   "/api/rke/session/{id}"        | handlers::show            | describe::show_session           | Small  Use    Free              Read           Applications;
    DELETE_BY_PATH:    Delete "/api/rke/session/{id}"        | deletion::delete          | describe::delete_session_by_path | Empty  Change ReceiptIfVerified DeleteSession  Applications;
    RENEW:             Post   "/api/rke/session/{id}/renew"  | handlers::renew           | describe::renew_session          | Small  Change Free              RenewSession   Applications;
    DELETE:            Get    "/api/rke/session/delete"      | deletion::delete          | describe::delete_session         | Small  Change ReceiptIfVerified DeleteSession  Applications;
    ENCRYPT:           Get    "/api/rke/encrypt"             | bodies::encrypt::<Shared> | describe::encrypt                | Small  Use    Free              UseKey         Applications;
    ENCRYPT_BY_POST:   Post   "/api/rke/encrypt"             | bodies::encrypt::<Shared> | describe::encrypt_by_post        | Data   Use    Free              UseKey         Applications;
    DECRYPT:           Get    "/api/rke/decrypt"             | bodies::decrypt::<Shared> | describe::decrypt                | Small  Use    Free              UseKey         Applications;
    DECRYPT_BY_POST:   Post   "/api/rke/decrypt"             | bodies::decrypt::<Shared> | describe::decrypt_by_post        | Data   Use    Free              UseKey         Applications;
    SEAL:              Post   "/api/rke/seal"                | bodies::seal::<Shared>    | describe::seal                   | Data   Use    Free              UseKey         Applications;
    OPEN:              Post   "/api/rke/open"                | bodies::open::<Shared>    | describe::open                   | Data   Use    Free              UseKey         Applications;
    EXPORT:            Post   "/api/rke/export"              | bodies::export::<Shared>  | describe::export                 | Data   Change Free              UseKey         Applications;
    TUNNEL:            Post   "/api/rke/session/{id}/tunnel" | tunnel::connect           | describe::tunnel                 | Stream Change Free              Tunnel         Applications;
    LIST_KEYS:         Read   "/api/rke/keys"                | handlers::keys            | describe::list_keys              | Small  Use    Free              Read           Applications;
    FORGET_KEYS:       Delete "/api/rke/keys"                | handlers::forget_keys     | describe::forget_keys            | Empty  Change Free              ForgetKeys     Applications;
    RAIDAS:            Read   "/api/rke/raidas"              | handlers::raidas          | describe::raidas                 | Small  Use    Free              Read           Applications;
    REFRESH_RAIDAS:    Post   "/api/rke/raidas/refresh"      | handlers::refresh_raidas  | describe::refresh_raidas         | Small  Change Free              Other          Applications;
    STATUS:            Read   "/api/rke/status"              | handlers::status          | describe::status                 | Small  Use    Free              Read           Applications;
    METRICS:           Read   "/metrics"                     | metrics::show             | describe::metrics                | Small  Use    Free              Read           TokenHolders;
    EVENTS:            Get    "/api/rke/events"              | events::show              | describe::events                 | Small  Use    Free              Read           Applications;
    LIVE:              Read   "/health/live"                 | health::live              | describe::live                   | Small  Use    Free              Read           Everybody;
    READY:             Read   "/health/ready"                | health::ready             | describe::ready                  | Small  Use    Free              Read           Everybody;
    REFUSALS:          Read   "/api/rke/refusals"            | refusals::show            | describe::refusals               | Small  Use    Free              Read           Applications;
    ACTIVITY:          Read   "/api/rke/activity"            | activity::show            | describe::activity               | Small  Use    Free              Read           Applications;
    OPENAPI:           Read   "/openapi.json"                | document::show            | describe::openapi                | Small  Use    Free              Read           TokenHolders;
}

/// Makes another table, of rows that it shares with the daemon.
macro_rules! shared_routes {
    ($rows:ident $table:ident $state:ty { $($name:ident | $handler:path | $describe:path;)* }) => {
        /// The rows.
        pub(super) static $rows: &[Row] = &[$($name),*];

        /// The same rows with their handlers.
        pub(super) static $table: &[Route<$state>] = &[$(Route {
            row: $name,
            add: |methods, filter| methods.on(filter, $handler),
            #[cfg(test)]
            describe: $describe,
        }),*];
    };
}

// A Content Server, for the application behind it.
shared_routes! { ROWS_OF_OTHER_END TABLE_OF_OTHER_END HeldKeys {
    LIST            | held::list                  | describe::list_sessions;
    SHOW            | held::show                  | describe::show_session;
    ENCRYPT         | bodies::encrypt::<HeldKeys> | describe::encrypt;
    ENCRYPT_BY_POST | bodies::encrypt::<HeldKeys> | describe::encrypt_by_post;
    DECRYPT         | bodies::decrypt::<HeldKeys> | describe::decrypt;
    DECRYPT_BY_POST | bodies::decrypt::<HeldKeys> | describe::decrypt_by_post;
    SEAL            | bodies::seal::<HeldKeys>    | describe::seal;
    OPEN            | bodies::open::<HeldKeys>    | describe::open;
    EXPORT          | bodies::export::<HeldKeys>  | describe::export;
    LIVE            | health::live                | describe::live;
}}

// A node or a Content Server, for those who monitor it.
shared_routes! { ROWS_OF_WATCHED TABLE_OF_WATCHED Watched {
    METRICS | watched::metrics | describe::metrics;
    LIVE    | health::live     | describe::live;
    READY   | watched::ready   | describe::ready;
}}

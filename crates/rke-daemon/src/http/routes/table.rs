//! The table itself: every path of the API is written here, and nowhere else.

use super::{Answer, Audience, BodyRule, Cost, LogWeight, Policy, Route, Verb};
use crate::http::api::{bodies, events, handlers, health, metrics, refusals, tunnel};
use crate::http::gate::Attempt;
use crate::http::openapi::{self, Describe, describe};

/// Makes a route of each row, and the table of all of them.
macro_rules! routes {
    ($($name:ident: $verb:ident $path:literal | $handler:path | $describe:path |
       $body:ident $weight:ident $cost:ident $attempt:ident $audience:ident;)*) => {
        $(pub(crate) const $name: Route = Route {
            verb: Verb::$verb,
            path: $path,
            policy: Policy {
                body: BodyRule::$body,
                weight: LogWeight::$weight,
                cost: Cost::$cost,
                attempt: Attempt::$attempt,
                audience: Audience::$audience,
            },
            answer: Answer::Handler(|methods, filter| methods.on(filter, $handler)),
            #[cfg(test)]
            describe: Some($describe),
        };
        // Checked in every build, and part of no program but the tests.
        const _: Describe = $describe;)*

        /// All routes of the API. Those of one path stand together.
        pub(super) static TABLE: &[Route] = &[$($name),*];
    };
}

routes! {
    // Name            Method Path                             Answered by                Described by                       Body   Log    Cost              Attempt        For
    DISCOVER:          Read   "/api/rke/discover"            | handlers::discover       | describe::discover               | Small  Use    Free              Read           Applications;
    CREATE:            Get    "/api/rke/session"             | handlers::create         | describe::create_session         | Small  Change Creation          OpenSession    Applications;
    CREATE_BY_POST:    Post   "/api/rke/session"             | bodies::create           | describe::create_session_by_post | Small  Change Creation          OpenSession    Applications;
    LIST:              Read   "/api/rke/sessions"            | handlers::list           | describe::list_sessions          | Small  Use    Free              Read           Applications;
    DELETE_ALL:        Delete "/api/rke/sessions"            | handlers::delete_all     | describe::delete_sessions        | Small  Change Free              DeleteSessions Applications;
    SHOW:              Read   "/api/rke/session/{id}"        | handlers::show           | describe::show_session           | Small  Use    Free              Read           Applications;
    DELETE_BY_PATH:    Delete "/api/rke/session/{id}"        | handlers::delete_by_path | describe::delete_session_by_path | Small  Change ReceiptIfVerified DeleteSession  Applications;
    RENEW:             Post   "/api/rke/session/{id}/renew"  | handlers::renew          | describe::renew_session          | Small  Change Free              RenewSession   Applications;
    DELETE:            Get    "/api/rke/session/delete"      | handlers::delete         | describe::delete_session         | Small  Change ReceiptIfVerified DeleteSession  Applications;
    ENCRYPT:           Get    "/api/rke/encrypt"             | handlers::encrypt        | describe::encrypt                | Small  Use    Free              UseKey         Applications;
    ENCRYPT_BY_POST:   Post   "/api/rke/encrypt"             | bodies::encrypt          | describe::encrypt_by_post        | Data   Use    Free              UseKey         Applications;
    DECRYPT:           Get    "/api/rke/decrypt"             | handlers::decrypt        | describe::decrypt                | Small  Use    Free              UseKey         Applications;
    DECRYPT_BY_POST:   Post   "/api/rke/decrypt"             | bodies::decrypt          | describe::decrypt_by_post        | Data   Use    Free              UseKey         Applications;
    SEAL:              Post   "/api/rke/seal"                | bodies::seal             | describe::seal                   | Data   Use    Free              UseKey         Applications;
    OPEN:              Post   "/api/rke/open"                | bodies::open             | describe::open                   | Data   Use    Free              UseKey         Applications;
    TUNNEL:            Post   "/api/rke/session/{id}/tunnel" | tunnel::connect          | describe::tunnel                 | Stream Change Free              Tunnel         Applications;
    LIST_KEYS:         Read   "/api/rke/keys"                | handlers::keys           | describe::list_keys              | Small  Use    Free              Read           Applications;
    FORGET_KEYS:       Delete "/api/rke/keys"                | handlers::forget_keys    | describe::forget_keys            | Small  Change Free              ForgetKeys     Applications;
    RAIDAS:            Read   "/api/rke/raidas"              | handlers::raidas         | describe::raidas                 | Small  Use    Free              Read           Applications;
    REFRESH_RAIDAS:    Post   "/api/rke/raidas/refresh"      | handlers::refresh_raidas | describe::refresh_raidas         | Small  Change Free              Other          Applications;
    STATUS:            Read   "/api/rke/status"              | handlers::status         | describe::status                 | Small  Use    Free              Read           Applications;
    METRICS:           Read   "/metrics"                     | metrics::show            | describe::metrics                | Small  Use    Free              Read           TokenHolders;
    EVENTS:            Get    "/api/rke/events"              | events::show             | describe::events                 | Small  Use    Free              Read           Applications;
    LIVE:              Read   "/health/live"                 | health::live             | describe::live                   | Small  Use    Free              Read           Everybody;
    READY:             Read   "/health/ready"                | health::ready            | describe::ready                  | Small  Use    Free              Read           Everybody;
    REFUSALS:          Read   "/api/rke/refusals"            | refusals::show           | describe::refusals               | Small  Use    Free              Read           Applications;
    OPENAPI:           Read   "/openapi.json"                | openapi::show            | describe::openapi                | Small  Use    Free              Read           TokenHolders;
}

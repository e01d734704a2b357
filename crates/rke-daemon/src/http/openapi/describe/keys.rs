//! The key cache.

use crate::http::api::answer::{DeletedAll, Keys};
use crate::http::openapi::{Described, Part, parameters};

pub(in crate::http) fn list_keys() -> Described {
    let example = r#"{"command":"rke_keys","success":true,"total":1,"keys":[{"domain":"content.example.com","cs_id":"CONTENT-SERVER01","expires_at":"2025-12-01T10:00:00Z","key_bits":256,"coins":["0:1001","0:1002"]}]}"#;
    let text = "Lists what the cache keeps: for each domain and set of coins a secret with which later sessions are opened without asking \
                a RAIDA. It is not the key of a session. For a domain with 1-byte shares it is the key itself. No secret is in the response. \
                A page, which is a request with an `Origin` other than the daemon's own, sees those that were made for its sessions.";
    Described::new(Part::Keys, "list_keys", "Lists the cached keys", text)
        .needs_store()
        .gives::<Keys>("The cached keys.", example)
}

pub(in crate::http) fn forget_keys() -> Described {
    let text = "Removes all cached keys, or those of one domain. Files are overwritten first. Open sessions go on; end them \
                separately. A page removes those that were made for its sessions.";
    Described::new(Part::Keys, "forget_keys", "Removes cached keys", text)
        .needs_store()
        .takes(parameters::domain_to_narrow("Only the keys of this domain."))
        .gives::<DeletedAll>(
            "How many were removed.",
            r#"{"command":"rke_keys_delete","success":true,"deleted":1}"#,
        )
        .fails(
            400,
            "`domain` is not a domain name (it is repeated), there is another parameter, or a body.",
            None,
        )
        .fails(500, "A file could not be removed; its key is no longer used.", None)
}

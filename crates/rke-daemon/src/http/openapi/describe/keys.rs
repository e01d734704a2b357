//! The key cache.

use crate::http::answer::{DeletedAll, Keys};
use crate::http::openapi::{Described, Part, parameters};

pub(in crate::http) fn list_keys() -> Described {
    let example = r#"{"command":"rke_keys","success":true,"total":1,"keys":[{"domain":"content.example.com","cs_id":"CONTENT-SERVER01","expires_at":"2025-12-01T10:00:00Z","key_bits":256}]}"#;
    let text = "Lists the cached keys that have not expired. The keys themselves are not in it.";
    Described::new(Part::Keys, "list_keys", "Lists the cached keys", text)
        .gives::<Keys>("The cached keys.", example)
}

pub(in crate::http) fn forget_keys() -> Described {
    let text = "Removes all cached keys, or that of one domain. Files are overwritten first. Sessions keep their own copies of \
                the key: end them too where that is meant.";
    Described::new(Part::Keys, "forget_keys", "Forgets cached keys", text)
        .takes(parameters::domain_to_narrow("Only the key of this domain."))
        .gives::<DeletedAll>(
            "How many were removed.",
            r#"{"command":"rke_keys_delete","success":true,"deleted":1}"#,
        )
        .fails(400, "`domain` is no domain name; it is repeated.", None)
        .fails(500, "A file could not be removed; its key is not used any more.", None)
}

//! DNS and the RAIDAs.

use crate::http::api::answer::{Found, KnownRaidas};
use crate::http::openapi::{Described, Part, parameters};

pub(in crate::http) fn discover() -> Described {
    let example = r#"{"command":"rke_discover","success":true,"domain":"content.example.com","target_host":"cs1.example.com","target_port":443,"min_raidas_required":13,"key_sets":[{"key_id":"k1","cs_id":"CONTENT-SERVER01","server_count":25}]}"#;
    let text = "Looks a domain up in DNS. Opens no session and asks no RAIDA.";
    Described::new(Part::Network, "discover", "Finds a domain's Content Server in DNS", text)
        .takes(parameters::domain())
        .gives::<Found>("What DNS says.", example)
        .leads_to("create_session", &[("domain", "$response.body#/domain")])
        .fails(
            400,
            "`domain` is missing or is not a domain name; then it is repeated.",
            Some(r#"{"error":true,"message":"Missing 'domain' parameter","code":400}"#),
        )
        .fails(
            502,
            "DNS gave no usable response.",
            Some(
                r#"{"error":true,"message":"DNS discovery failed: nowhere.example.com is not found: DNS has no name _rke._udp.nowhere.example.com. Check the spelling of the domain; its operator publishes the records that `rke content-server preload` prints","code":502,"domain":"nowhere.example.com"}"#,
            ),
        )
}

pub(in crate::http) fn raidas() -> Described {
    let text = "Shows what the RAIDAs did in earlier exchanges. The daemon keeps this in memory only, and uses it to decide when \
                to ask each RAIDA again. With `--guardian` it also shows where guardians say that RAIDAs are.";
    Described::new(Part::Network, "raidas", "Shows the state of the 25 RAIDAs", text)
        .gives::<KnownRaidas>("All 25 RAIDAs.", &raidas_example("rke_raidas"))
}

pub(in crate::http) fn refresh_raidas() -> Described {
    let text = "Asks all guardians, and responds when they have, after 10 seconds at most. Guardians that were \
                asked less than 2 seconds ago are not asked again.";
    Described::new(Part::Network, "refresh_raidas", "Asks the guardians where the RAIDAs are", text)
        .gives::<KnownRaidas>("All 25 RAIDAs, and the directory as it is now.", &raidas_example("rke_raidas_refresh"))
        .fails(
            404,
            "The daemon has no guardians.",
            Some(
                r#"{"error":true,"message":"This daemon has no guardians to ask; start it with --guardian URL, at least three times","code":404}"#,
            ),
        )
        .fails(
            502,
            "The guardians do not agree on a single RAIDA. The last list on which they did is kept.",
            Some(
                r#"{"error":true,"message":"The RAIDA directory is not refreshed: 0 of 3 guardians gave a list, and 3 have to agree. https://guardian.example.com/host.txt: no response in time","code":502}"#,
            ),
        )
}

/// One healthy RAIDA, and others that were not contacted.
fn raidas_example(command: &str) -> String {
    let well = r#"{"raida":0,"endpoint":"192.0.2.7:50000","state":"well","last_ms":12.408,"median_ms":11.9,"asked":7,"answered":7,"lies":0,"form":null,"last_fault":null,"last_fault_at":null,"history_ms":[11.2,11.9,null,12.408]}"#;
    let unknown = |raida: u8| {
        format!(
            r#"{{"raida":{raida},"endpoint":null,"state":"unknown","last_ms":null,"median_ms":null,"asked":0,"answered":0,"lies":0,"form":null,"last_fault":null,"last_fault_at":null,"history_ms":[]}}"#
        )
    };
    let rows: Vec<String> = std::iter::once(well.to_owned()).chain((1..25).map(unknown)).collect();
    let rows = rows.join(",");
    let directory = r#"{"guardians":7,"needed":4,"agreed_at":"2025-11-30T10:00:00Z","asked_at":"2025-11-30T10:00:00Z","answered":7,"faults":[],"raidas":[{"raida":0,"endpoints":["192.0.2.7:50000"],"guardians":7,"agreed_at":"2025-11-30T10:00:00Z"}]}"#;
    format!(
        r#"{{"command":"{command}","success":true,"required":13,"margin":9,"raidas":[{rows}],"directory":{directory}}}"#
    )
}

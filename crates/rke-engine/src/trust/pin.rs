//! A Content Server ID that the operator has fixed for a domain.

use rke_proto::ContentServerId;

use crate::Domain;

/// The only Content Server that a domain may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub domain: Domain,
    pub cs_id: ContentServerId,
}

impl std::str::FromStr for Pin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=');
        let pin = parts.and_then(|(domain, cs_id)| {
            Some(Self { domain: Domain::new(domain)?, cs_id: ContentServerId::new(cs_id)? })
        });
        pin.ok_or("not DOMAIN=CSID, such as content.example.com=CONTENT-SERVER01")
    }
}

//! Other settings for a daemon that runs. Everything is read and checked first; only then does anything
//! change, so that a mistake in the configuration leaves the daemon as it was.

use rke_engine::exchange::Rules;
use rke_engine::sessions::Sessions;
use rke_engine::settings::Config;

use super::{StartError, open_wallet_root, read_directory};
use crate::http::admission::{Admission, Rules as AdmissionRules};
use crate::http::tls::{self, Acceptor};

/// What of a running daemon can change.
pub(crate) struct Parts<'a> {
    pub(crate) sessions: &'a Sessions,
    pub(crate) admission: &'a Admission,
    pub(crate) tls: Option<&'a Acceptor>,
}

/// Changes what can be changed, and names what cannot.
pub(crate) async fn reload(parts: Parts<'_>, wanted: Config) -> Result<Vec<&'static str>, StartError> {
    let (config, fixed) = keep_fixed(&parts.sessions.config(), wanted);
    let directory = read_directory(&config).await?;
    let wallet_root = open_wallet_root(&config)?;
    let admission = AdmissionRules::new(&config.access)?;
    let certificates = config.access.tls.as_ref().map(tls::load).transpose()?;
    parts.admission.set_rules(admission);
    if let (Some(acceptor), Some(certificates)) = (parts.tls, certificates) {
        acceptor.replace(certificates);
    }
    parts.sessions.exchange().look_again();
    let (guardians, pins) = (config.guardians.clone(), config.pins.clone());
    parts.sessions.exchange().change(Rules::of(&config), directory, guardians, pins);
    parts.sessions.change(config, wallet_root);
    Ok(fixed)
}

/// The wanted settings, with those that a running daemon cannot change as they are; and the names of
/// these where they differ.
fn keep_fixed(current: &Config, mut wanted: Config) -> (Config, Vec<&'static str>) {
    let mut fixed = Vec::new();
    let mut keep = |name, differs: bool| {
        if differs {
            fixed.push(name);
        }
    };
    keep("listen", wanted.listen != current.listen);
    keep("data-dir", wanted.data_dir != current.data_dir);
    keep("dns-server", wanted.dns_server != current.dns_server);
    keep("allow-private-raidas", wanted.allow_private_raidas != current.allow_private_raidas);
    keep("dnssec", wanted.dnssec != current.dnssec);
    keep("dnssec-anchors", wanted.dnssec_anchors != current.dnssec_anchors);
    keep("require-token", wanted.access.token != current.access.token);
    keep("unix-socket", wanted.access.unix_socket != current.access.unix_socket);
    keep("audit-log", wanted.audit_log != current.audit_log);
    keep("tls-cert", wanted.access.tls.is_some() != current.access.tls.is_some());
    wanted.listen.clone_from(&current.listen);
    wanted.data_dir.clone_from(&current.data_dir);
    wanted.dns_server = current.dns_server;
    wanted.allow_private_raidas = current.allow_private_raidas;
    wanted.dnssec = current.dnssec;
    wanted.dnssec_anchors.clone_from(&current.dnssec_anchors);
    wanted.audit_log.clone_from(&current.audit_log);
    wanted.access.token = current.access.token;
    wanted.access.unix_socket.clone_from(&current.access.unix_socket);
    if wanted.access.tls.is_some() != current.access.tls.is_some() {
        wanted.access.tls.clone_from(&current.access.tls);
    }
    (wanted, fixed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rke_engine::discovery::Dnssec;
    use rke_engine::settings::access::{TlsFiles, TokenRule};

    use super::*;

    #[test]
    fn what_takes_a_new_start_stays_and_is_named() {
        let current = Config::new("/a".into());
        let mut wanted =
            Config { max_sessions: 99, session_ttl: Duration::from_secs(7), ..Config::new("/b".into()) };
        wanted.dnssec = Dnssec::Require;
        wanted.dnssec_anchors = Some("/k".into());
        wanted.audit_log = Some("/l".into());
        wanted.access.token = TokenRule::Required;
        wanted.access.tls = Some(TlsFiles { certificate: "/c".into(), key: "/k".into(), client_ca: None });
        wanted.access.allow_hosts = vec!["a.test".into()];
        let (config, fixed) = keep_fixed(&current, wanted);
        assert_eq!(fixed, ["data-dir", "dnssec", "dnssec-anchors", "require-token", "audit-log", "tls-cert"]);
        assert_eq!((config.max_sessions, config.session_ttl), (99, Duration::from_secs(7)));
        assert_eq!((config.data_dir, config.audit_log), (current.data_dir, None));
        assert_eq!((config.dnssec, config.dnssec_anchors), (Dnssec::Off, None));
        assert!(config.access.token == TokenRule::None && config.access.tls.is_none());
        assert_eq!(config.access.allow_hosts, ["a.test"]);
    }
}

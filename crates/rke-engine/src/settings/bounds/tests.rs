use std::time::Duration;

use super::*;

fn wrong(change: impl FnOnce(&mut Config)) -> String {
    let mut config = Config::new("/x".into());
    change(&mut config);
    config.check().err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn the_defaults_are_within_the_bounds() {
    assert_eq!(wrong(|_| ()), "");
}

#[test]
fn a_value_out_of_its_bounds_is_named_with_them() {
    assert_eq!(
        wrong(|config| config.reloadable.max_sessions = 0),
        "--max-sessions must be from 1 to 16000000, and is 0"
    );
    assert_eq!(
        wrong(|config| config.fixed.body_timeout = Duration::from_secs(3601)),
        "--body-timeout must be from 1 to 3600 seconds, and is 3601"
    );
    assert_eq!(
        wrong(|config| config.reloadable.access.creations.rate = 0),
        "--create-rate must be from 1 to 1000000 a second, and is 0"
    );
    assert_eq!(
        wrong(|config| config.reloadable.access.creations.burst = 1_000_001),
        "--create-burst must be from 1 to 1000000, and is 1000001"
    );
    assert_eq!(wrong(|config| config.reloadable.key_ttl_hours = 0), "");
    assert_eq!(wrong(|config| config.reloadable.session_idle = Some(Duration::from_secs(1))), "");
    assert!(wrong(|config| config.reloadable.session_idle = Some(Duration::ZERO)).contains("--session-idle"));
}

#[test]
fn a_session_can_live_at_least_as_long_as_without_being_renewed() {
    let lives = |seconds| {
        wrong(|config| {
            config.reloadable.session_ttl = Duration::from_secs(100);
            config.reloadable.session_max_lifetime = Duration::from_secs(seconds);
        })
    };
    assert_eq!(lives(100), "");
    assert_eq!(lives(99), "--session-max-lifetime must be from --session-ttl to 31536000 seconds, and is 99");
}

use super::*;

const WHOLE: &str = "index = 7\nlisten = '[::]:50007'\ncoins = ['/coins']\ndata-dir = '/data'\n";

fn settle(options: RaidaOptions, text: &str) -> Result<RaidaSettings, String> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("raida.toml");
    std::fs::write(&path, text).expect("written");
    let options = RaidaOptions { config: Some(path), ..options };
    options.settle().map_err(|error| error.to_string())
}

fn settled(text: &str) -> RaidaSettings {
    settle(RaidaOptions::default(), text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_flag_goes_over_the_file_and_the_file_over_the_default() {
    let text = format!("{WHOLE}log = 'info'\npreloader = ['0:42=SHOP', '-3:7']\n");
    let own = RaidaOptions { index: RaidaIndex::new(3), coins: vec!["/own".into()], ..Default::default() };
    let settings = settle(own, &text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((settings.raida.get(), settings.listen), (3, "[::]:50007".parse().expect("an address")));
    assert_eq!((&settings.coins, settings.process.log.as_str()), (&vec![PathBuf::from("/own")], "info"));
    assert_eq!(settings.policy.replay_places, DEFAULT_PLACES);
    let shop = rke_proto::ContentServerId::new("SHOP").expect("an ID");
    let rules = settings.rules().unwrap_or_else(|error| panic!("{error}"));
    assert!(rules.preloaders.permit("0:42".parse().expect("a coin"), &shop));
    assert!(!rules.preloaders.permit("-3:7".parse().expect("a coin"), &shop));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (text, name) in [
        ("", "--index"),
        ("index = 7\n", "--listen"),
        ("index = 7\nlisten = '127.0.0.1:1'\n", "--coins"),
        ("index = 7\nlisten = '127.0.0.1:1'\ncoins = ['c']\n", "RKE_DATA_DIR"),
        (&format!("{WHOLE}index-of-all = 1\n"), "index-of-all"),
        ("index = 25\n", "from 0 to 24"),
        ("index = -1\n", "from 0 to 24"),
        ("listen = 'here:1'\n", "an IP address with a port"),
        ("replay-memory = 1\n", "from 16 to"),
        ("preloader = ['42']\n", "DENOMINATION:SERIAL"),
        ("coins = 'c'\n", "the configuration file"),
    ] {
        let wrong = settle(RaidaOptions::default(), text).err().unwrap_or_default();
        assert!(wrong.contains(name), "{text:?}: {wrong}");
    }
}

#[test]
fn what_takes_a_new_start_is_named() {
    let (before, now) = (settled(WHOLE), settled(&WHOLE.replace("50007", "50008")));
    assert_eq!(before.fixed(&now), ["listen"]);
    let now = settled(&format!("{WHOLE}preloader = ['0:1']\nlog = 'info'\nallow-envelope-1 = true\n"));
    assert!(before.fixed(&now).is_empty());
    let now = settled(&format!(
        "{WHOLE}replay-memory = 64\nsandbox = 'off'\ninsecure-debug = true\naudit-log = '/log'\n"
    ));
    assert_eq!(before.fixed(&now), ["replay-memory", "insecure-debug", "sandbox", "audit-log"]);
}

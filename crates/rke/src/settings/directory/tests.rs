use super::*;

fn settled(hosts: &[&str]) -> Result<Config> {
    let guardian = hosts.iter().map(|host| format!("https://{host}.example/host.txt")).collect();
    let mut config = Config::new("/x".into());
    DirectoryOptions { raida_directory: None, guardian }.settle(&mut config)?;
    Ok(config)
}

#[test]
fn there_are_no_guardians_or_at_least_three() {
    assert!(settled(&[]).expect("settings").reloadable.guardians.is_empty());
    assert_eq!(settled(&["a", "b", "c"]).expect("settings").reloadable.guardians.count(), 3);
    for (few, part) in [(&["a"][..], "names 1,"), (&["a", "b"], "names 2,"), (&["a", "b", "a"], "twice")] {
        let error = settled(few).expect_err("too few").to_string();
        assert!(error.contains("--guardian") && error.contains(part), "{error}");
    }
}

#[test]
fn a_flag_goes_over_the_file() {
    let file = DirectoryOptions { raida_directory: Some("/f".into()), guardian: vec!["file".into()] };
    let both = DirectoryOptions { raida_directory: None, guardian: vec!["flag".into()] }.or(file.clone());
    assert_eq!((both.raida_directory, both.guardian), (Some("/f".into()), vec!["flag".to_owned()]));
    assert_eq!(DirectoryOptions::default().or(file).guardian, ["file"]);
}

use super::*;

#[test]
fn each_word_is_on_or_off_in_any_case() {
    for (on, off) in [("1", "0"), ("yes", "No"), ("ON", "off"), ("True", "FALSE"), (" yes ", "")] {
        assert_eq!((parse(on), parse(off)), (Some(true), Some(false)), "{on} {off}");
    }
    for nonsense in ["2", "y", "maybe", "enabled", "-1"] {
        assert_eq!(parse(nonsense), None, "{nonsense}");
    }
}

#[test]
fn the_file_takes_booleans_numbers_and_words() {
    #[derive(Deserialize)]
    struct File {
        #[serde(default, deserialize_with = "switch_in_file")]
        x: Option<bool>,
    }
    let file = |text: &str| toml::from_str::<File>(text).map(|file| file.x).ok();
    for (text, switch) in [
        ("", None),
        ("x = true", Some(true)),
        ("x = 1", Some(true)),
        ("x = 'On'", Some(true)),
        ("x = false", Some(false)),
        ("x = 0", Some(false)),
        ("x = 'no'", Some(false)),
    ] {
        assert_eq!(file(text), Some(switch), "{text}");
    }
    for nonsense in ["x = 2", "x = 'maybe'", "x = [true]", "x = 1.0"] {
        assert_eq!(file(nonsense), None, "{nonsense}");
    }
}

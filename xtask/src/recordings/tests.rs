use super::*;

#[test]
fn a_drawing_that_does_not_move_shows_its_last_screen() {
    let drawn = "<svg xmlns:xlink=\"http://www.w3.org/1999/xlink\"><style>@keyframes roll {\n\
                 0.000%{transform:translateY(0px)}\n100.000%{transform:translateY(-840px)}\n}</style>\
                 <use xlink:href=\"#g1\"/></svg>";
    let expected = "<svg><style>#screen_view { transform: translateY(-840px); }\n@keyframes roll {\n\
                    0.000%{transform:translateY(0px)}\n100.000%{transform:translateY(-840px)}\n}</style>\
                    <use href=\"#g1\"/></svg>\n";
    assert_eq!(at_rest(drawn).expect("a picture"), expected);
    assert!(at_rest("<svg/>").is_err());
}

#[test]
fn the_pictures_are_small_and_at_rest_where_motion_is_not_wanted() {
    for Recording { name, title, .. } in [&DEV, &SESSION_CREATE, &WATCH] {
        let path = Path::new(PICTURES).join(format!("{name}.svg"));
        let svg = fs::read_to_string(&path).expect("cargo xtask recordings makes it");
        assert!(svg.len() <= MOST_BYTES, "{name} has {} bytes", svg.len());
        for part in [
            format!("<title id=\"title\">{title}</title>"),
            "#screen_view { transform: translateY(-".to_owned(),
            "@media (prefers-reduced-motion: reduce) { #screen_view { animation: none; } }".to_owned(),
        ] {
            assert!(svg.contains(&part), "{name}: {part}");
        }
        for private in ["/root", "/home", "/work", "/target/"] {
            assert!(!svg.contains(private), "{name} shows {private}");
        }
    }
}

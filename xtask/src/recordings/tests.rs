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

/// The style of a picture that comes from the template.
fn style(svg: &str) -> &str {
    let start = svg.split_once("<style id=\"user-style\">").expect("a style").1;
    start.split_once("</style>").expect("an end").0
}

#[test]
fn the_pictures_have_the_colours_of_the_console() {
    let console = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/rke-daemon/console/console.css");
    let console = fs::read_to_string(console).expect("the console's style");
    let template = template("");
    for rule in style(&template).split("--").filter(|rule| rule.contains(": #")) {
        let colour = rule.split(": ").nth(1).and_then(|value| value.get(..7)).expect("a colour");
        assert!(console.contains(colour), "{colour} is not a colour of the console");
    }
    for Recording { name, .. } in [&DEV, &SESSION_CREATE, &WATCH] {
        let path = Path::new(PICTURES).join(format!("{name}.svg"));
        let svg = fs::read_to_string(path).expect("cargo xtask recordings makes it");
        assert_eq!(style(&svg), style(&template), "{name}: cargo xtask recordings makes it again");
    }
}

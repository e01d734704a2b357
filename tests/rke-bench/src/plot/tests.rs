use super::*;
use crate::method::Spread;
use crate::report::Goal;

#[test]
fn every_line_is_drawn_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("growth.svg");
    let row = |name, at, cost| Figure {
        name: String::new(),
        ours: String::new(),
        peer: String::new(),
        value: Spread::of([cost]),
        goal: Goal::None,
        steady: true,
        plotted: Some((name, at)),
    };
    let [first, last] = [("delete", 1.0), ("encrypt 64 B", 1.1)]
        .map(|(name, cost)| [row(name, 16.0, 1.0), row(name, 1e6, cost)]);
    draw(&path, &[first, last].into_iter().flatten().collect::<Vec<_>>()).expect("drawn");
    let picture = std::fs::read_to_string(path).expect("a file");
    for text in ["<svg", "delete", "encrypt 64 B", "sessions", "100,000", "</svg>"] {
        assert!(picture.contains(text), "{text}");
    }
    let (style, shapes) = picture.split_once("</style>").expect("a style");
    assert!(style.contains("prefers-color-scheme: dark"), "{style}");
    let colours = shapes.split([' ', '>', '/', '\n']).filter(|part| part.contains("=\"#"));
    for colour in colours {
        assert!(style.contains(&format!("[{colour}]")), "{colour} is the same in the dark");
    }
}

use serde_json::json;

use super::*;

fn line(template: &str) -> Result<String> {
    let row = json!({"id": "a1", "domain": "x\u{1b}[2J", "coins": ["0:1"], "count": 3, "none": null});
    template.parse::<Template>().map_err(|wrong| anyhow!(wrong))?.line(row.as_object().expect("a row"))
}

#[test]
fn fields_stand_in_the_place_of_their_names() {
    for (template, expected) in [
        ("{id}", "a1"),
        ("{id} is {count}, {none}", "a1 is 3, -"),
        ("{coins}{id}", "[\"0:1\"]a1"),
        ("{domain}\t|", "x\u{fffd}[2J\t|"),
    ] {
        assert_eq!(line(template).expect("a line"), expected, "{template}");
    }
    assert_eq!(Template::of_field("id"), Template(vec![Part::Field("id".into())]));
}

#[test]
fn what_is_no_template_is_refused() {
    for wrong in ["", "table", "{id", "id}", "{id} }", "{{id}}", "{a{b}"] {
        assert!(line(wrong).is_err(), "{wrong}");
    }
    let error = line("{idd}").expect_err("no such field").to_string();
    assert_eq!(error, "no field is called \"idd\": --format takes id, domain, coins, count, none");
}

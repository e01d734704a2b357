use super::*;

fn coin(serial: u32) -> CoinId {
    CoinId { denomination: 0, serial }
}

fn cs_id(text: &str) -> ContentServerId {
    ContentServerId::new(text).expect("an ID")
}

fn preloaders(texts: &[&str]) -> Preloaders {
    texts.iter().map(|text| text.parse::<Preloader>().expect("a preloader")).collect()
}

#[test]
fn a_coin_may_preload_what_it_is_named_for_or_any_that_nobody_is_named_for() {
    let all = preloaders(&["0:1=SHOP+SHOP-TEST", "0:2", "0:3=*", "-3:7=OTHER", "0:1=THIRD"]);
    let may = |serial, id: &str| all.permit(coin(serial), &cs_id(id));
    assert!(may(1, "SHOP") && may(1, "SHOP-TEST") && may(1, "THIRD") && !may(1, "FREE"));
    assert!(may(2, "FREE") && may(3, "FREE") && !may(2, "SHOP") && !may(3, "OTHER"));
    assert!(!may(4, "FREE") && !may(7, "OTHER"));
    assert!(all.permit(CoinId { denomination: -3, serial: 7 }, &cs_id("OTHER")));
    assert!(!Preloaders::default().permit(coin(1), &cs_id("FREE")));
}

#[test]
fn a_coin_that_is_named_and_may_have_any_beside_has_both() {
    let all = preloaders(&["0:1=SHOP", "0:1", "0:2=SHOP"]);
    assert!(all.permit(coin(1), &cs_id("SHOP")) && all.permit(coin(1), &cs_id("FREE")));
    assert!(all.permit(coin(2), &cs_id("SHOP")) && !all.permit(coin(2), &cs_id("FREE")));
}

#[test]
fn what_is_no_preloader_is_refused() {
    for wrong in [
        "",
        "42",
        "0:42=",
        "0:42=A+",
        "0:42=+A",
        "0:42= A",
        "=A",
        "0:42=a-content-server-id-that-is-too-long",
    ] {
        assert!(wrong.parse::<Preloader>().is_err(), "{wrong:?}");
    }
    assert_eq!("0:42=*".parse(), Ok(Preloader::of_any(coin(42))));
    let odd = "0:42=A=B".parse::<Preloader>().expect("a preloader");
    assert!(odd.names(&cs_id("A=B")));
}

#[test]
fn a_record_that_is_not_what_it_should_be_is_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let record = Record::new(cs_id("CS"), coin(1));
    record.write(dir.path()).expect("written");
    assert_eq!(Record::read_all(dir.path()).expect("records").0, [record]);
    let path = Record::path(dir.path(), &cs_id("CS"));
    let good = fs::read_to_string(&path).expect("text");
    for (from, to) in
        [("\"0:1\"", "\"1\""), ("\"CS\"", "\"CT\""), ("{", "["), ("null", "-1"), ("null,", "null, \"x\": 1,")]
    {
        let wrong = good.replacen(from, to, 1);
        assert_ne!(wrong, good, "{from}");
        fs::write(&path, wrong).expect("written");
        assert!(Record::read_all(dir.path()).is_err(), "{from}");
    }
}

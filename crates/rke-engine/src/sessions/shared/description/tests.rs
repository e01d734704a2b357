use super::*;
use crate::model::key_origin::samples::origin;

fn descriptions() -> Vec<Description> {
    let whole = |form| {
        let page = Some(Page::new("https://page.example"));
        Description { origin: Arc::new(origin(form)), page, from_cache: true, id: [7; 16], lives_until: 9 }
    };
    let bare = |form| {
        let origin = KeyOrigin {
            raidas: Vec::new(),
            liars: Vec::new(),
            coins: Vec::new(),
            proven: None,
            ..origin(form)
        };
        let (page, id, lives_until) = (None, [0; 16], u32::MAX);
        Description { origin: Arc::new(origin), page, from_cache: false, id, lives_until }
    };
    FORMS.into_iter().flat_map(|(_, form)| [whole(form), bare(form)]).collect()
}

#[test]
fn each_description_comes_back() {
    for description in descriptions() {
        let bytes = description.to_bytes().expect("a description");
        assert!(bytes.len() < 250, "{}", bytes.len());
        assert_eq!(Description::decode(&bytes), Ok(description));
    }
    let farewell = Farewell { token: ForgetToken([1; 16]), proof: ForgetProof([2; 16]) };
    let back = Farewell::decode(&farewell.to_bytes()).expect("a farewell");
    assert_eq!((back.token.0, back.proof.0), ([1; 16], [2; 16]));
}

#[test]
fn no_description_is_made_of_a_live_session_or_of_a_name_that_is_too_long() {
    let [description, ..] = &descriptions()[..] else { panic!("descriptions") };
    let with = |origin| Description { origin: Arc::new(origin), ..description.clone() }.to_bytes();
    assert!(with(origin(Form::Live)).is_none());
    let server = ServerName { host: "h".repeat(70_000), port: 1 };
    assert!(with(KeyOrigin { server, ..origin(Form::Wide) }).is_none());
}

/// Each cut, each changed byte and each byte too many: an error, or a description that is written as it was read.
#[test]
fn damaged_descriptions_are_refused_or_read_for_what_they_are() {
    for description in descriptions() {
        let bytes = description.to_bytes().expect("a description");
        for len in 0..bytes.len() {
            assert!(Description::decode(&bytes[..len]).is_err(), "cut after {len}");
        }
        assert!(Description::decode(&[&bytes[..], &[0]].concat()).is_err());
        for at in 0..bytes.len() {
            for value in [0, 1, 2, 0x7f, 0xff] {
                let mut other = bytes.clone();
                other[at] = value;
                let Ok(decoded) = Description::decode(&other) else { continue };
                let again = Description::decode(&decoded.to_bytes().expect("a description"));
                assert_eq!(again.as_ref(), Ok(&decoded), "byte {at} is {value}");
            }
        }
    }
    for len in [0, 31, 33] {
        assert!(Farewell::decode(&vec![0; len]).is_err());
    }
}

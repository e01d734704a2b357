use super::*;
use crate::directory::Directory;
use crate::reach::Reach;
use crate::records::Records;

#[test]
fn each_form_is_found_by_its_name_and_by_the_record_that_requires_it() {
    for form in Form::ALL {
        assert_eq!(Form::of_name(form.name()), Some(form));
        let sets = Records::parse(form.requirement()).key_sets(&Directory::default(), Reach::Public);
        assert_eq!(sets.form, Some(form));
    }
    assert_eq!(Form::of_name("narrow"), None);
    assert!(Form::ALL.is_sorted_by(|stronger, weaker| stronger > weaker));
}

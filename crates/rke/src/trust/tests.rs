use clap::ValueEnum;

use super::*;

#[test]
fn forms_have_the_same_names_on_the_command_line_as_in_the_file() {
    let named = FormChoice::value_variants().iter().map(|choice| {
        (choice.to_possible_value().expect("a name").get_name().to_owned(), Form::from(*choice))
    });
    let expected = Form::ALL.into_iter().map(|form| (form.name().to_owned(), form));
    assert_eq!(named.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

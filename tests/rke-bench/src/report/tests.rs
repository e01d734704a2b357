use super::*;

fn row(median: f64, goal: Goal, steady: bool) -> Figure {
    let value = Spread { median, min: 0.5, max: 250.4 };
    Figure {
        name: "delete".into(),
        ours: "9 µs".into(),
        peer: "8 µs".into(),
        value,
        goal,
        steady,
        plotted: None,
    }
}

#[test]
fn a_row_says_whether_its_goal_is_met() {
    let met = |median, goal, steady| row(median, goal, steady).cells()[6].clone();
    assert_eq!(met(0.95, Goal::AtLeast(0.95), true), "yes");
    assert_eq!(met(0.94, Goal::AtLeast(0.95), true), "no");
    assert_eq!(met(2.1, Goal::AtMost(2.0), false), "no, unsteady");
    assert_eq!(met(f64::NAN, Goal::AtMost(2.0), true), "no");
    assert_eq!(met(1.0, Goal::None, true), "");
}

#[test]
fn the_columns_of_the_table_are_in_line() {
    let table = table(&[row(0.951, Goal::AtLeast(0.95), true), row(1.0, Goal::None, false)]);
    let lengths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
    assert_eq!(lengths.len(), 4);
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{table}");
    assert!(table.contains("| 0.95  | 0.50 – 250 | >= 0.95 | yes"), "{table}");
}

#[test]
fn only_what_lies_between_the_marks_is_replaced() {
    let text = format!("before\n{BEGIN}old\n{END}\nafter\n");
    assert_eq!(replace(&text, "new\n"), Some(format!("before\n{BEGIN}new\n{END}\nafter\n")));
    assert_eq!(replace("no marks", "new"), None);
}

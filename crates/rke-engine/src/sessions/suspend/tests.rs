use super::*;

#[test]
fn a_sleep_is_seen_until_it_is_settled() {
    let watch = SuspendWatch { slept_nanos: nanos(Duration::from_secs(100)).into(), ..SuspendWatch::new() };
    assert_eq!(watch.has_slept_for(Duration::from_secs(100)), None);
    assert_eq!(watch.has_slept_for(Duration::from_millis(100_049)), None);
    let slept = Duration::from_millis(100_050);
    assert_eq!(watch.has_slept_for(slept), Some(Slept(slept)));
    assert_eq!(watch.has_slept_for(slept), Some(Slept(slept)));
    watch.settle(Slept(slept));
    assert_eq!(watch.has_slept_for(slept), None);
    assert!(watch.has_slept_for(Duration::from_secs(160)).is_some());
}

#[test]
fn a_machine_has_slept_where_the_clock_that_counts_sleep_has_gone_further() {
    let watch = SuspendWatch::new();
    assert_eq!(watch.has_slept(&Reading::now()), None);
    let begun = watch.begun;
    let later = |counted: u64, awake: u64| Reading {
        moment: begun.moment.after(Duration::from_millis(counted)),
        awake: begun.awake + Duration::from_millis(awake),
    };
    for (counted, awake, is_asleep) in [
        (0, 0, false),
        (120, 120, false),
        // The clocks are not read at the same moment.
        (120, 121, false),
        (169, 120, false),
        (170, 120, true),
        (100_000, 0, true),
        (86_400_000, 86_400_000, false),
        (86_460_000, 86_400_000, true),
    ] {
        assert_eq!(watch.has_slept(&later(counted, awake)).is_some(), is_asleep, "{counted} {awake}");
    }
}

use super::*;

#[test]
fn nothing_is_granted_for_longer_than_a_day() {
    for (granted, lifetime) in [(0, 0), (86_400, 86_400), (86_401, 86_400), (u32::MAX, 86_400)] {
        let (began, until) = (unix_seconds(), lives_until(granted));
        assert!((began + lifetime..=unix_seconds() + lifetime).contains(&until), "{granted}: {until}");
    }
}

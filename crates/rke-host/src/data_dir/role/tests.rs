use super::*;

#[test]
fn each_role_is_read_as_it_is_written() {
    let nodes = RaidaIndex::all().map(Role::Node);
    for role in nodes.chain([Role::Daemon, Role::ContentServer, Role::LocalNetwork]) {
        assert_eq!(Role::parse(&role.to_text()), Some(role));
    }
    for wrong in ["", "raida", "raida 25", "raida -1", "daemon 2", "Daemon", "raida 1 2"] {
        assert_eq!(Role::parse(wrong), None, "{wrong:?}");
    }
}

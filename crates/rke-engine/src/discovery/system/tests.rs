use super::*;

fn servers(text: &str) -> Vec<String> {
    dns_servers(text.as_bytes()).into_iter().map(|server| server.to_string()).collect()
}

#[test]
fn a_file_as_people_have_it_gives_its_servers_in_order() {
    let text = "# made by a tool\r\n; and another\nsearch corp.example example\nnameserver 192.0.2.1\r\n\
                nameserver\t2001:db8::53 # ours\nnameserver 192.0.2.1\nnameserver nonsense\nunknown word\n\
                options edns0 trust-ad rotate timeout:1 new-option:7\nnameserver fe80::1%1\n";
    assert_eq!(servers(text), ["192.0.2.1:53", "[2001:db8::53]:53", "[fe80::1%1]:53"]);
    assert_eq!(servers("nameserver fe80::1%lo"), ["[fe80::1%1]:53"]);
}

#[test]
fn without_servers_it_is_this_machine() {
    for text in ["", "search example", "nameserver nonsense"] {
        assert_eq!(servers(text), ["127.0.0.1:53", "[::1]:53"], "{text}");
    }
}

#[test]
fn a_file_is_read_again_when_it_changes_comes_and_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("resolv.conf");
    let watched = Watched::new(&path, dns_servers);
    let now = || watched.current().first().map(|server| shown(*server)).unwrap_or_default();
    assert_eq!(now(), "127.0.0.1");
    fs::write(&path, "nameserver 192.0.2.1").expect("written");
    assert_eq!((now().as_str(), now().as_str()), ("192.0.2.1", "192.0.2.1"));
    let other = folder.path().join("other");
    fs::write(&other, "nameserver 192.0.2.2").expect("written");
    fs::rename(&other, &path).expect("renamed");
    assert_eq!(now(), "192.0.2.2");
    fs::remove_file(&path).expect("removed");
    assert_eq!(now(), "127.0.0.1");
}

#[test]
fn a_file_that_can_no_longer_be_read_leaves_what_it_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("resolv.conf");
    fs::write(&path, "nameserver 192.0.2.1").expect("written");
    let watched = Watched::new(&path, dns_servers);
    let now = || watched.current().first().map(|server| shown(*server)).unwrap_or_default();
    // Root can read every file, but cannot read a folder as a file.
    fs::remove_file(&path).and_then(|()| fs::create_dir(&path)).expect("a folder in its place");
    assert_eq!((now().as_str(), now().as_str()), ("192.0.2.1", "192.0.2.1"));
    fs::remove_dir(&path).and_then(|()| fs::write(&path, "nameserver 192.0.2.2")).expect("written");
    assert_eq!(now(), "192.0.2.2");
    let unreadable = Watched::new(folder.path(), dns_servers);
    assert_eq!(shown(unreadable.current()[0]), "127.0.0.1", "as one that is not there");
}

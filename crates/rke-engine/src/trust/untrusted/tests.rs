use rke_proto::ContentServerId;

use super::*;

#[test]
fn the_command_that_accepts_an_id_is_one_for_a_shell_too() {
    let command = |cs_id, form| {
        let (domain, cs_id) = (Domain::new("a.test"), ContentServerId::new(cs_id));
        let offer = Offer { cs_id: cs_id.expect("an ID"), form };
        accept_command(&domain.expect("a domain"), &offer, Path::new("/var/lib/my rke/known"))
    };
    let start = "rke trust accept --data-dir '/var/lib/my rke'";
    assert_eq!(command("CS-1", Form::Wide), format!("{start} a.test CS-1"));
    assert_eq!(command("$(reboot)", Form::Live), format!("{start} --form live a.test '$(reboot)'"));
    assert_eq!(command("it's;", Form::Wide), format!(r"{start} a.test 'it'\''s;'"));
    assert_eq!(command("-f", Form::Wide), format!("{start} -- a.test -f"));
}

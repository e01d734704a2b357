use super::*;

fn records(domain: &str) -> DnsRecords {
    let texts = [r#"k1 = A,"B\C=#;D\"#, "127.0.0.1:25000 k1 raida=0"].map(Into::into).to_vec();
    DnsRecords { domain: domain.into(), host: format!("cs.{domain}"), port: 443, texts }
}

fn zone(domain: &str) -> String {
    records(domain).write(RecordFormat::Zone, 3600)
}

#[test]
fn what_is_written_is_read_back_whatever_its_ttl() {
    let (one, other) = (records("a.test"), records("b.test"));
    let text =
        [&one.write(RecordFormat::Zone, 0), "; a comment", "", &other.write(RecordFormat::Zone, MAX_TTL)];
    assert_eq!(DnsRecords::read(&text.join("\n")), Ok(vec![one, other]));
    assert_eq!(DnsRecords::read(""), Ok(vec![]));
}

#[test]
fn a_line_that_is_none_of_the_records_is_named() {
    for wrong in [
        "_rke._udp.a.test. 3600 IN SRV 0 0 443 cs.a.test.",
        "_rke._udp.b.test. 3600 IN TXT \"k1 = C\"",
        "_rke._udp.a.test. 3600 IN TXT k1",
        "_rke._udp.a.test. 3600 IN TXT \"k1\\\"",
        "_rke._udp.a.test. 3600 IN TXT \"k1\" \"k2\"",
        "_rke._udp.a.test. soon IN TXT \"k1\"",
        "_rke._udp.a.test 3600 IN TXT \"k1\"",
        "_rke._udpa.test. 3600 IN TXT \"k1\"",
        "_rke._udp.c.test. 3600 IN SRV 0 0 99999 cs.c.test.",
        "_rke._udp.c.test. 3600 IN SRV 0 0 443",
        "_rke._udp.c.test. 3600 IN A 127.0.0.1",
        "hello",
    ] {
        let text = format!("{}\n{wrong}", zone("a.test"));
        assert_eq!(DnsRecords::read(&text), Err(WrongLine(4)), "{wrong}");
    }
}

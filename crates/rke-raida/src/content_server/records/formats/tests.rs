use super::*;

/// With every sign that one of the forms could take for its own.
fn records() -> DnsRecords {
    let texts = [r#"k1 = A,"B\C=#;D"#, "192.0.2.7:50007 k1 raida=7", "required share-bytes>=32"];
    DnsRecords {
        domain: "content.example.com".into(),
        host: "cs1.example.com".into(),
        port: 25444,
        texts: texts.map(Into::into).to_vec(),
    }
}

#[test]
fn a_zone_file_has_a_line_for_each_record() {
    let expected = r#"_rke._udp.content.example.com. 60 IN SRV 0 0 25444 cs1.example.com.
_rke._udp.content.example.com. 60 IN TXT "k1 = A,\"B\\C=#;D"
_rke._udp.content.example.com. 60 IN TXT "192.0.2.7:50007 k1 raida=7"
_rke._udp.content.example.com. 60 IN TXT "required share-bytes>=32""#;
    assert_eq!(records().write(RecordFormat::Zone, 60), expected);
}

#[test]
fn an_update_removes_the_old_records_and_adds_the_new_ones_at_once() {
    let expected = r#"update delete _rke._udp.content.example.com. SRV
update delete _rke._udp.content.example.com. TXT
update add _rke._udp.content.example.com. 0 SRV 0 0 25444 cs1.example.com.
update add _rke._udp.content.example.com. 0 TXT "k1 = A,\"B\\C=#;D"
update add _rke._udp.content.example.com. 0 TXT "192.0.2.7:50007 k1 raida=7"
update add _rke._udp.content.example.com. 0 TXT "required share-bytes>=32"
send"#;
    assert_eq!(records().write(RecordFormat::Nsupdate, 0), expected);
}

#[test]
fn dnsmasq_gets_quoted_texts_and_no_ttl() {
    let expected = r#"srv-host=_rke._udp.content.example.com,cs1.example.com,25444,0,0
txt-record=_rke._udp.content.example.com,"k1 = A,\"B\\C=#;D"
txt-record=_rke._udp.content.example.com,"192.0.2.7:50007 k1 raida=7"
txt-record=_rke._udp.content.example.com,"required share-bytes>=32""#;
    assert_eq!(records().write(RecordFormat::Dnsmasq, 60), expected);
}

#[test]
fn json_has_the_texts_as_they_are() {
    let written: Value = serde_json::from_str(&records().write(RecordFormat::Json, MAX_TTL)).expect("JSON");
    let name = "_rke._udp.content.example.com";
    let srv = json!({"name": name, "type": "SRV", "ttl": 2_147_483_647, "priority": 0, "weight": 0,
        "port": 25444, "target": "cs1.example.com"});
    let texts = records().texts;
    let texts =
        texts.iter().map(|text| json!({"name": name, "type": "TXT", "ttl": 2_147_483_647, "text": text}));
    assert_eq!(written, std::iter::once(srv).chain(texts).collect::<Value>());
}

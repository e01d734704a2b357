//! What a command learns of its user.

use rke_proto::handshake::Record;

use crate::client::{DOMAIN, Stage, read_all};

const SHOW: &str = "echo \"${RKE_COIN-none} ${RKE_DOMAIN-none} ${RKE_SESSION-none} ${RKE_SESSION_KEY_ID-none}\"; echo $(ps -o pgid= -p $$) $$";

#[tokio::test]
async fn a_command_finds_coin_domain_and_key_id_and_is_a_process_group_of_its_own() {
    let stage = Stage::exec(SHOW, |_| ()).await;
    let session = stage.open().await;
    let (mut reader, mut writer) = session.attach().await;
    writer.end(None).await.expect("sent");
    let (shown, last) = read_all(&mut reader).await;
    assert_eq!(last, Some(Record::End(Some(0))));
    let mut lines = shown.lines();
    assert_eq!(lines.next(), Some(format!("0:42 {DOMAIN} none {}", session.secrets.key_id).as_str()));
    let (group, own) = lines.next().and_then(|line| line.split_once(' ')).expect("two numbers");
    assert_eq!(group, own);
}

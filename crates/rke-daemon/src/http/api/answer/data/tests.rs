use super::super::tests::check_written;
use super::*;

#[tokio::test]
async fn what_is_written_by_hand_is_what_serde_writes() {
    check_written(|| Encrypted::new(b"Hello>\xff".into(), [0xA5; 16])).await;
    check_written(|| Decrypted::new(Vec::new())).await;
    check_written(|| Decrypted::new(vec![0xFB; 123_456])).await;
}

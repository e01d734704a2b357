//! Asks a key server with the library etsi014-client: FOLDER SAE PORT status|make|fetch PEER [KEY_ID].

use base64::{Engine, engine::general_purpose::STANDARD};
use etsi014_client::ETSI014Client;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, sae, port, what, peer, ids @ ..] = &arguments[..] else { panic!("too few arguments") };
    let path = |file: String| std::path::Path::new(folder).join(file);
    let (certificate, key) = (path(format!("{sae}.pem")), path(format!("{sae}.key")));
    let port = port.parse().expect("a port");
    let client = ETSI014Client::new("localhost", port, &certificate, &key, &path("ca.pem".into())).expect("a client");
    let keys = match what.as_str() {
        "status" => return println!("{:?}", client.get_status(peer).await.expect("a status")),
        "make" => client.get_keys(256, peer, &[], 1).await,
        _ => client.get_keys_by_ids(peer, &[&ids[0]]).await,
    };
    let (id, mut key) = keys.expect("keys").remove(0);
    println!("{id} {}", STANDARD.encode(&*key.borrow_mut()));
}

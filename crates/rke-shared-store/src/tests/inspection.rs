//! What a program finds that looks at a store.

use super::node::Site;
use crate::*;

#[tokio::test]
async fn an_inspection_says_which_program_it_is_and_who_shares_it() {
    let site = Site::new(&["--appendonly", "yes"]);
    let look = async || inspect(&site.settings.addresses).await.expect("an inspection");
    let found = look().await;
    assert!(
        found.programs.len() == 1 && found.programs[0].contains(" 7.") || found.programs[0].contains(" 8."),
        "{found:?}"
    );
    assert_eq!((found.fitness, found.daemons), (Ok(vec![Warning::Persistent]), 0));
    let (_one, _two) = (site.node().await, site.node().await);
    let found = look().await;
    assert_eq!((found.daemons, found.content_servers), (2, 0));
    site.server.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert_eq!(look().await.fitness, Err(UnfitStore::Evicts("allkeys-lru".into())));
}

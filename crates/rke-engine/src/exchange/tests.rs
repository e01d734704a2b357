//! An exchange that does not get its turn.

use futures_util::FutureExt;
use rke_proto::directory::Directory;
use rke_proto::reach::Reach;

use super::*;
use crate::discovery::Validation;
use crate::settings::Config;

/// An exchange that knows no Content Server and no guardians.
pub(crate) fn exchange(config: &Config) -> Exchange {
    let validation = Validation::load(config.fixed.dnssec, None).expect("no validation");
    let discovery = Discovery::new(None, validation, Directory::default(), Reach::Everywhere);
    let known = KnownServers::open(&config.fixed.data_dir, Vec::new()).expect("a file");
    Exchange::new(discovery, AgreedDirectory::none(), known, ExchangeConfig::of(&config.reloadable))
}

#[tokio::test(start_paused = true)]
async fn an_exchange_beyond_the_limit_waits_and_then_fails_with_the_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let exchange = exchange(&Config::new(dir.path().to_owned()));
    let mut seats = Vec::new();
    while let Some(seat) = exchange.pool.take().now_or_never() {
        seats.push(seat);
    }
    let (domain, deadline) = (Domain::new("content.example.com").expect("a domain"), exchange.deadline());
    let ended = exchange.run(&domain, Wallet::at(dir.path().to_owned()), None, deadline).await;
    let error = ended.err().expect("no turn").to_string();
    assert_eq!(error, "Too many exchanges are running; try again in a few seconds");
    assert!(Instant::now() >= deadline, "it waited for its turn");
}

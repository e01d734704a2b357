//! The console in a real browser.

use crate::chromium::{Browser, Theme};
use crate::support::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn draft() {
    let stage = Stage::with(|c| {
        c.exchange_timeout = std::time::Duration::from_secs(3);
        c.access.wallet_root = None;
    })
    .await;
    let mut browser = Browser::start();
    let out = std::path::Path::new("/tmp/shots");
    std::fs::create_dir_all(out).unwrap();
    browser.appear((1280, 900, 1), Theme::Light);
    browser.visit(&format!("http://{}/", stage.daemon.address()));
    browser.until("!document.querySelector('#console').hidden");
    std::thread::sleep(std::time::Duration::from_millis(600));
    browser.picture(&out.join("empty.png"), true);
    browser.fill("#open-domain", crate::support::DOMAIN);
    browser.fill("#open-wallet", stage.network.wallet().to_str().unwrap());
    for _ in 0..3 {
        browser.click("#open-button");
        std::thread::sleep(std::time::Duration::from_millis(600));
        browser.evaluate("document.querySelector('#open-fresh').checked=true");
    }
    browser.click("#try-form .primary");
    std::thread::sleep(std::time::Duration::from_millis(600));
    browser.click(".raida:nth-child(7)");
    browser.picture(&out.join("sessions.png"), true);
    browser.appear((1280, 900, 1), Theme::Dark);
    browser.picture(&out.join("sessions-dark.png"), true);
    browser.appear((390, 844, 2), Theme::Light);
    std::thread::sleep(std::time::Duration::from_millis(300));
    browser.picture(&out.join("phone.png"), true);
    browser.appear((1280, 900, 1), Theme::Light);
    browser.click(".session .danger");
    std::thread::sleep(std::time::Duration::from_millis(600));
    browser.picture(&out.join("dialog.png"), false);
    println!("{:?}", browser.complaints());
    stage.stop().await;
}

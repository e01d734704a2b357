use std::io::{Error as IoError, ErrorKind};

use anyhow::anyhow;

use super::*;

#[test]
fn a_cause_that_has_been_said_is_not_said_again() {
    let cause = || IoError::from(ErrorKind::AddrInUse);
    let said = anyhow::Error::new(cause()).context(format!("cannot listen: {}; choose another", cause()));
    assert_eq!(in_words(&said), format!("cannot listen: {}; choose another", cause()));
    let unsaid = anyhow::Error::new(cause()).context("cannot listen");
    assert_eq!(in_words(&unsaid), format!("cannot listen: {}", cause()));
    assert_eq!(in_words(&anyhow!("alone")), "alone");
}

//! Values that the examples of the document share. A test replaces them with those of a running network, and runs
//! every example.

pub(super) const DOMAIN: &str = "content.example.com";
pub(super) const WALLET: &str = "/home/alice/wallet";
pub(super) const SESSION: &str = "a1b2c3d4e5f67890a1b2c3d4e5f67890";
pub(super) const TEXT: &str = "Hello World!";
pub(super) const PLAINTEXT: &str = "SGVsbG8gV29ybGQh";
pub(super) const CIPHERTEXT: &str = "3q2+7wEjRWeJq83v";
pub(super) const NONCE: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
pub(super) const ASSOCIATED_DATA: &str = "aW52b2ljZSAxNw==";
pub(super) const SEALED: &str = "UktFU0VBTAFR5GdmMynpnaIz2zsyaMvyYzH+wj8SysiLTWQfbVRX/bSvPifKNPwpRiCCGRgElWqvJ86TV6fXUYNZ2vamskSne9rm/M3TqggM8dFMAUXptnycq4IqPFwmnYe/wA==";

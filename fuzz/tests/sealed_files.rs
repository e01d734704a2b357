//! Sealed files of the key cache (`RKECACHE`) and of master secrets (`RKEMASTER`), on disk as they are read there. Under a key
//! only the files open that were sealed with it, whole and unchanged; and what stands before the secret in the clear is what a
//! reader of fields finds there.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

use aes_gcm_siv::aead::AeadInOut;
use aes_gcm_siv::{Aes256GcmSiv, KeyInit};
use rke_fuzz::{corpus, memory};
use rke_host::sealed::{Kind, Sealer};
use rke_secret::Secret;
use tempfile::NamedTempFile;

rke_fuzz::target!(sealed_cache_file, check_cache);
rke_fuzz::target!(sealed_master_secret_file, check_master_secret);

const MASTER_KEY: [u8; 32] = [0x42; 32];
const SECRET: [u8; 32] = [0xC3; 32];
const MAX_DESCRIPTION_LEN: usize = 4096;

/// Bytes allocated besides those of the description: the path, and the fields before it.
const FIXED: u64 = 1024;

static HONEST: LazyLock<Vec<(&str, Vec<u8>)>> =
    LazyLock::new(|| [b"RKECACHE".as_slice(), b"RKEMASTER"].into_iter().flat_map(honest).collect());

thread_local! {
    static FILE: NamedTempFile = own_file();
}

/// A file that nobody else may write to.
fn own_file() -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).expect("a mode");
    file
}

fn check_cache(bytes: &[u8]) -> bool {
    check(Kind::Cache, b"RKECACHE", bytes)
}

fn check_master_secret(bytes: &[u8]) -> bool {
    check(Kind::MasterSecret, b"RKEMASTER", bytes)
}

fn check(kind: Kind, magic: &[u8], bytes: &[u8]) -> bool {
    let sealer = Sealer::new(Secret::fill(|key| *key = MASTER_KEY).expect("secret memory"), kind);
    FILE.with(|file| {
        fs::write(file.path(), bytes).expect("written");
        let (described, allocated) = memory::peak(|| sealer.describe(file.path()));
        assert!(
            allocated <= FIXED + bytes.len() as u64 + MAX_DESCRIPTION_LEN as u64,
            "{allocated} allocated"
        );
        assert_eq!(described.ok().as_deref(), description(magic, bytes));
        let opened = sealer.read::<32>(file.path());
        let is_honest = HONEST.iter().any(|(_, honest)| honest == bytes && honest.starts_with(magic));
        assert_eq!(opened.is_ok(), is_honest, "{:?}", opened.err());
        let Ok((described, secret)) = opened else { return false };
        assert_eq!(Some(described.as_slice()), description(magic, bytes));
        secret.expose(|secret| assert!(*secret == SECRET));
        true
    })
}

/// What stands in the clear, before nonce, secret and tag.
fn description<'a>(magic: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = bytes.strip_prefix(magic)?.strip_prefix(&[1])?.split_first_chunk()?;
    let len = u32::from_be_bytes(*len) as usize;
    rest.get(..len).filter(|_| len <= MAX_DESCRIPTION_LEN)
}

/// The only files that were sealed with the master key.
fn honest(magic: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let longest = vec![b'x'; MAX_DESCRIPTION_LEN];
    [("good_short", &b"what it is"[..]), ("good_without_description", b""), ("good_longest", &longest)]
        .map(|(name, description)| (name, sealed(magic, description)))
}

/// A sealed file, made with the cipher alone.
fn sealed(magic: &[u8], description: &[u8]) -> Vec<u8> {
    let len = (description.len() as u32).to_be_bytes();
    let (head, nonce) = ([magic, &[1], &len, description].concat(), [0x17; 12]);
    let mut secret = SECRET;
    let cipher = Aes256GcmSiv::new(&MASTER_KEY.into());
    let tag =
        cipher.encrypt_inout_detached(&nonce.into(), &head, secret.as_mut_slice().into()).expect("a tag");
    [&head[..], &nonce, &secret, &tag].concat()
}

#[test]
fn the_corpora_have_honest_files_and_what_becomes_of_them() {
    for (target, magic) in
        [("sealed_cache_file", &b"RKECACHE"[..]), ("sealed_master_secret_file", b"RKEMASTER")]
    {
        let good = honest(magic).map(|(name, file)| (name.to_owned(), file)).to_vec();
        let short = &good[0].1;
        let refused = |name: &str, file: Vec<u8>| (format!("refused_{name}"), file);
        let changed = |at: usize| {
            let mut changed = short.clone();
            changed[at] ^= 1;
            changed
        };
        let (version, len, end) = (magic.len(), magic.len() + 4, short.len());
        let too_long = vec![b'x'; MAX_DESCRIPTION_LEN + 1];
        let other = if magic == b"RKECACHE" { &b"RKEMASTER"[..] } else { b"RKECACHE" };
        let bad = vec![
            refused("nothing", Vec::new()),
            refused("cut", short[..end - 1].to_vec()),
            refused("one_byte_more", [short, &[0][..]].concat()),
            refused("another_kind", sealed(other, b"what it is")),
            refused("later_version", changed(version)),
            refused("another_length", changed(len)),
            refused("another_description", changed(len + 1)),
            refused("another_nonce", changed(end - 49)),
            refused("another_secret", changed(end - 48)),
            refused("another_tag", changed(end - 1)),
            refused("endless_length", [magic, &[1, 0xFF, 0xFF, 0xFF, 0xFF]].concat()),
            refused("description_too_long", sealed(magic, &too_long)),
        ];
        corpus::holds(target, [good, bad].concat());
    }
}

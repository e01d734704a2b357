//! A coin file: its header, the names of its coins, and their ANs, which are read straight into secrets.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rke_proto::coin::{
    AN_LEN, COIN_HEADER_LEN, CoinFileError, CoinId, CoinStatus, FILE_HEADER_LEN, FileHeader,
    decode_coin_header,
};
use rke_proto::{RAIDA_COUNT, RaidaIndex};
use rke_secret::{Secret, scoped};
use rustix::fs::OFlags;

use super::place::OpenError;

/// Why a coin file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CoinFileReadError {
    /// It lies elsewhere than wallets may lie.
    #[error("it leads out of the folder that --wallet-root names")]
    Outside,
    /// The system could not read it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not a plain coin file.
    #[error("{0}")]
    Format(#[from] CoinFileError),
}

/// An open coin file. ANs are read from it straight into secrets.
pub struct CoinFile {
    file: File,
    pub(super) header: FileHeader,
}

impl CoinFile {
    /// Opens a coin file and checks header and length.
    ///
    /// # Errors
    /// [`CoinFileReadError`].
    pub fn open(path: &Path) -> Result<Self, CoinFileReadError> {
        Self::read(open_regular(path)?)
    }

    /// The same, of a regular file that is open.
    pub(super) fn read(file: File) -> Result<Self, CoinFileReadError> {
        let len = file.metadata()?.len();
        let mut header = [0; FILE_HEADER_LEN];
        if len < FILE_HEADER_LEN as u64 {
            return Err(CoinFileError::NotACoinFile("it is shorter than a coin file's header").into());
        }
        file.read_exact_at(&mut header, 0)?;
        let header = FileHeader::decode(&header)?;
        header.check_len(len)?;
        Ok(Self { file, header })
    }

    /// How many coins it holds.
    pub fn coins(&self) -> u16 {
        self.header.coins()
    }

    /// The name of its coin `at`, from 0.
    ///
    /// # Errors
    /// What the system said.
    pub fn coin_id(&self, at: u16) -> io::Result<CoinId> {
        let mut bytes = [0; COIN_HEADER_LEN];
        self.file.read_exact_at(&mut bytes, self.header.coin_position(at))?;
        Ok(decode_coin_header(bytes))
    }

    /// The names of its coins, none where no RAIDA knows them.
    pub(super) fn usable_coins(&self) -> Result<Vec<CoinId>, CoinFileReadError> {
        let is_usable = RaidaIndex::all().any(|raida| self.header.status(raida) == CoinStatus::Passed);
        let coins = if is_usable { self.coins() } else { 0 };
        Ok((0..coins).map(|at| self.coin_id(at)).collect::<io::Result<_>>()?)
    }

    /// The name of its coin `at`, from 0, and its ANs at these RAIDAs, in their order.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn coin(&self, at: u16, raidas: &[RaidaIndex]) -> io::Result<(CoinId, Vec<Secret<AN_LEN>>)> {
        scoped(|| {
            let mut coin = [0; COIN_HEADER_LEN + RAIDA_COUNT * AN_LEN];
            self.file.read_exact_at(&mut coin, self.header.coin_position(at))?;
            let (header, ans) = coin.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
            let (ans, _) = ans.as_chunks::<AN_LEN>();
            let an = |raida: &RaidaIndex| Ok(Secret::fill(|an| *an = ans[raida.position()])?);
            Ok((decode_coin_header(*header), raidas.iter().map(an).collect::<io::Result<_>>()?))
        })?
    }

    /// The AN of its coin `at`, from 0, at a RAIDA.
    ///
    /// # Errors
    /// What the system said.
    pub fn an(&self, at: u16, raida: RaidaIndex) -> io::Result<Secret<AN_LEN>> {
        Secret::try_fill(|an| self.file.read_exact_at(an, self.header.an_position(at, raida)))
    }
}

impl From<OpenError> for CoinFileReadError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Outside => Self::Outside,
            OpenError::Io(error) => Self::Io(error),
        }
    }
}

/// Opens a file only if it is a regular one: a FIFO would block, a device may do anything.
fn open_regular(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?)
}

/// The file, if it is a regular one.
pub(super) fn regular(file: File) -> io::Result<File> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

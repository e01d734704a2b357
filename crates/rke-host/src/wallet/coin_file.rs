//! A coin file: its header, the names of its coins, and their ANs, which are read straight into secrets.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rke_proto::coin::{
    AN_LEN, COIN_HEADER_LEN, CoinFileError, CoinId, CoinStatus, FILE_HEADER_LEN, FileHeader,
    decode_coin_header,
};
use rke_proto::{Bitmap, RAIDA_COUNT, RaidaIndex};
use rke_secret::{Secret, scoped};
use rustix::fs::OFlags;

/// Why a coin file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CoinFileReadError {
    /// It is outside the folder for wallets.
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

    /// As [`CoinFile::open`], for an open regular file.
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

    /// At how many RAIDAs its coins can be used, as far as their holder knows.
    pub fn usable_at(&self) -> usize {
        RaidaIndex::all().filter(|raida| self.header.status(*raida) == CoinStatus::Passed).count()
    }

    /// The RAIDAs whose AN of its coin `at`, from 0, it has. Zeros in the place of an AN are not an AN: anyone could use them.
    ///
    /// # Errors
    /// The system's error.
    pub fn raidas_with_an(&self, at: u16) -> io::Result<Bitmap> {
        let mut found = Bitmap::default();
        scoped(|| {
            let mut ans = [0; RAIDA_COUNT * AN_LEN];
            self.file.read_exact_at(&mut ans, self.header.coin_position(at) + COIN_HEADER_LEN as u64)?;
            let ans = RaidaIndex::all().zip(ans.as_chunks::<AN_LEN>().0);
            found = ans.filter(|(_, an)| !is_zeros(an)).map(|(raida, _)| raida).collect();
            io::Result::Ok(())
        })??;
        Ok(found)
    }

    /// Whether it has proposed ANs too, which are to replace the ANs.
    pub fn has_proposed_ans(&self) -> bool {
        self.header.has_proposed_ans()
    }

    /// The name of its coin `at`, from 0.
    ///
    /// # Errors
    /// The system's error.
    pub fn coin_id(&self, at: u16) -> io::Result<CoinId> {
        let mut bytes = [0; COIN_HEADER_LEN];
        self.file.read_exact_at(&mut bytes, self.header.coin_position(at))?;
        Ok(decode_coin_header(bytes))
    }

    /// The names of its coins; none if no RAIDA knows them.
    pub(super) fn usable_coins(&self) -> Result<Vec<CoinId>, CoinFileReadError> {
        let is_usable = RaidaIndex::all().any(|raida| self.header.status(raida) == CoinStatus::Passed);
        let coins = if is_usable { self.coins() } else { 0 };
        Ok((0..coins).map(|at| self.coin_id(at)).collect::<io::Result<_>>()?)
    }

    /// The name of its coin `at`, from 0, and its ANs at these RAIDAs, in their order.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn coin(&self, at: u16, raidas: &[RaidaIndex]) -> io::Result<(CoinId, Vec<Secret<AN_LEN>>)> {
        // Both are made out here: what is made in the scope and leaves it takes the padding of its fields along, with remains of ANs.
        let (mut header, mut ans) = ([0; COIN_HEADER_LEN], Vec::with_capacity(raidas.len()));
        scoped(|| {
            let mut coin = [0; COIN_HEADER_LEN + RAIDA_COUNT * AN_LEN];
            self.file.read_exact_at(&mut coin, self.header.coin_position(at))?;
            let (its_header, its_ans) =
                coin.split_first_chunk::<COIN_HEADER_LEN>().ok_or(io::ErrorKind::UnexpectedEof)?;
            header.copy_from_slice(its_header);
            let (its_ans, _) = its_ans.as_chunks::<AN_LEN>();
            for raida in raidas {
                ans.push(Secret::fill(|an| *an = its_ans[raida.position()])?);
            }
            io::Result::Ok(())
        })??;
        Ok((decode_coin_header(header), ans))
    }

    /// The AN of its coin `at`, from 0, at a RAIDA.
    ///
    /// # Errors
    /// The system's error.
    pub fn an(&self, at: u16, raida: RaidaIndex) -> io::Result<Secret<AN_LEN>> {
        Secret::try_fill(|an| self.file.read_exact_at(an, self.header.an_position(at, raida)))
    }
}

/// Whether these are the zeros that stand in the place of a missing AN. Takes the same time for each AN.
pub fn is_zeros(an: &[u8; AN_LEN]) -> bool {
    an.iter().fold(0, |all, byte| all | byte) == 0
}

/// Opens a file only if it is regular: a FIFO would block, and a device may do anything.
fn open_regular(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?)
}

/// The file, if it is regular.
pub(super) fn regular(file: File) -> io::Result<File> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

//! Secret bytes: each secret lives in memory of its own, is filled in place, is read through one
//! door (`expose`) and is wiped when it is dropped. A `Secret` has no `Debug`, no `Clone`, no
//! `Display` and no way to give its bytes away by value; moving it moves a pointer.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// `N` secret bytes on the heap, wiped when dropped.
///
/// The bytes never move: a `Secret` is a handle, and only the handle is passed around.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// A secret whose bytes `fill` writes in their final place. They are zero before.
    pub fn fill(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0);
        secret
    }

    /// The same as [`Secret::fill`] where filling may fail; what was written by then is wiped.
    ///
    /// # Errors
    /// The error of `fill`.
    pub fn try_fill<E>(fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0)?;
        Ok(secret)
    }

    /// `N` bytes from the system's generator.
    ///
    /// # Errors
    /// When the system's generator fails.
    pub fn random() -> Result<Self, getrandom::Error> {
        Self::try_fill(|bytes| getrandom::fill(bytes))
    }

    /// A second secret with the same bytes. Not `Clone`: a copy of a secret is always a decision.
    pub fn duplicate(&self) -> Self {
        Self::fill(|bytes| bytes.copy_from_slice(&*self.0))
    }

    /// The one door to the bytes. What leaves `read` must not be secret.
    pub fn expose<R>(&self, read: impl FnOnce(&[u8; N]) -> R) -> R {
        read(&self.0)
    }

    /// The same door for operations that work in place.
    pub fn expose_mut<R>(&mut self, write: impl FnOnce(&mut [u8; N]) -> R) -> R {
        write(&mut self.0)
    }

    /// Whether both hold the same bytes, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_place_and_exposes_what_was_written() {
        let secret = Secret::<4>::fill(|bytes| bytes.copy_from_slice(&[1, 2, 3, 4]));
        assert!(secret.expose(|bytes| bytes == &[1, 2, 3, 4]));
    }

    #[test]
    fn a_failed_fill_gives_no_secret() {
        let failed = Secret::<4>::try_fill(|bytes| {
            bytes[0] = 1;
            Err("no")
        });
        assert_eq!(failed.err(), Some("no"));
    }

    #[test]
    fn a_duplicate_matches_and_lives_on_its_own() -> Result<(), getrandom::Error> {
        let first = Secret::<32>::random()?;
        let second = first.duplicate();
        assert!(first.matches(&second));
        let mut third = second.duplicate();
        third.expose_mut(|bytes| bytes[31] ^= 1);
        assert!(!first.matches(&third) && first.matches(&second));
        Ok(())
    }
}

//! Typed secrets. None of these types has `Debug`, `Clone`, `Display` or a way to return its
//! bytes by value; moving one moves a pointer.

use std::marker::PhantomData;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::SecretError;
use crate::memory::Memory;
use crate::raw::{Map, Reach, SLOT_LEN, Slot, Visitor, abort};
use crate::stacks::{self, wait_for_visits};

/// The message when dropping a secret would wait for a visit that waits for the drop.
const DROPPED_IN_VISIT: &str = "rke: a secret was dropped in a use of a secret through a handle, while a use of the dropped \
                                one runs. It can never be wiped, so the process ends. This is a bug in rke: please report it.\n";

/// `N` secret bytes (at most 32) in a slot of secret memory, wiped when dropped.
///
/// Code that reads or writes them runs on a scratch stack that is wiped together with the registers.
pub struct Secret<const N: usize> {
    /// `None` only during the drop. It has no reference to its [`Memory`]: the process has only one, and may have a
    /// million secrets.
    slot: Option<Slot>,
}

/// The right to use a [`Secret`] without owning it, until its owner writes or drops it. The handle is not secret, and can
/// be copied.
#[derive(Clone, Copy)]
pub struct SecretHandle<const N: usize> {
    visitor: Visitor,
    length: PhantomData<[u8; N]>,
}

impl<const N: usize> Secret<N> {
    const FITS: () = assert!(N <= SLOT_LEN, "a slot has 32 bytes");

    /// `N` zero bytes.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn zeros() -> Result<Self, SecretError> {
        let () = Self::FITS;
        Ok(Self { slot: Some(Memory::get()?.allocate_slot()?) })
    }

    /// A secret whose bytes `fill` writes in place. They are zero before.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn fill(fill: impl FnOnce(&mut [u8; N])) -> Result<Self, SecretError> {
        let mut secret = Self::zeros()?;
        secret.expose_mut(fill);
        Ok(secret)
    }

    /// As [`Secret::fill`] for a `fill` that may fail; what it has written is then wiped.
    ///
    /// # Errors
    /// The error of `fill`, or [`SecretError`] as in [`Secret::fill`].
    pub fn try_fill<E: From<SecretError>>(
        fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut secret = Self::zeros()?;
        secret.expose_mut(fill)?;
        Ok(secret)
    }

    /// `N` bytes from the system's generator.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn random() -> Result<Self, SecretError> {
        let mut secret = Self::zeros()?;
        secret.expose_mut(|bytes| getrandom::fill(bytes))?;
        Ok(secret)
    }

    /// A second secret with the same bytes. Not `Clone`: copying a secret should be explicit.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn duplicate(&self) -> Result<Self, SecretError> {
        Self::fill(|bytes| self.expose(|own| bytes.copy_from_slice(own)))
    }

    /// The only access to the bytes. The result of `read` must not be secret. It must not have padding either, which is
    /// copied with it and holds remains of the stack: return a number, an array or nothing, and write anything else in
    /// place.
    pub fn expose<R>(&self, read: impl FnOnce(&[u8; N]) -> R) -> R {
        Memory::of_secrets().scoped(|| read(prefix(self.slot().bytes())))
    }

    /// Access for operations that work in place. Invalidates all handles to the secret, and waits for running uses through
    /// them.
    ///
    /// # Panics
    /// In a use through a handle, if the wait takes a second: it waits for that same use, or for one that waits for it.
    pub fn expose_mut<R>(&mut self, write: impl FnOnce(&mut [u8; N]) -> R) -> R {
        let bytes = self.slot_mut().bytes_mut(wait_for_visits(|| {
            // A caller's mistake that would otherwise be an endless wait.
            #[allow(clippy::panic)]
            {
                panic!("a secret that is in use cannot be written in a use of a secret through a handle");
            }
        }));
        Memory::of_secrets().scoped(|| write(prefix_mut(bytes)))
    }

    /// A handle to use the secret without owning it.
    pub fn handle(&self) -> SecretHandle<N> {
        SecretHandle { visitor: self.slot().visitor(), length: PhantomData }
    }

    /// Whether both hold the same bytes, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.expose(|own| other.expose(|other| own.as_slice().ct_eq(other.as_slice()).into()))
    }

    fn slot(&self) -> &Slot {
        self.slot.as_ref().unwrap_or_else(|| unreachable!("a secret has its slot until it is dropped"))
    }

    fn slot_mut(&mut self) -> &mut Slot {
        self.slot.as_mut().unwrap_or_else(|| unreachable!("a secret has its slot until it is dropped"))
    }
}

impl<const N: usize> Drop for Secret<N> {
    /// Waits for running uses through handles, then wipes. If [`Secret::expose_mut`] would panic, this aborts the process,
    /// because a panic would leave the secret in memory.
    fn drop(&mut self) {
        if let Some(mut slot) = self.slot.take() {
            slot.bytes_mut(wait_for_visits(|| abort(DROPPED_IN_VISIT))).zeroize();
            Memory::of_secrets().free_slot(slot);
        }
    }
}

impl<const N: usize> SecretHandle<N> {
    /// As [`Secret::expose`]. `None` once the owner has written or dropped the secret. The owner waits until `read` has
    /// returned and its stack is wiped, so `read` should be quick. It is meant for ciphers: its stack is shallow.
    ///
    /// # Panics
    /// In another such use. A panic of `read` is passed on.
    pub fn expose<R>(self, read: impl FnOnce(&[u8; N]) -> R) -> Option<R> {
        self.expose_with_stack(StackUse::UNKNOWN, read)
    }

    /// As [`SecretHandle::expose`] for work whose use of the stack is known, so that less of it is wiped.
    ///
    /// # Panics
    /// As [`SecretHandle::expose`].
    pub fn expose_with_stack<R>(self, stack_use: StackUse, read: impl FnOnce(&[u8; N]) -> R) -> Option<R> {
        // A stack of its own, even inside a scope: the visit may end only when its stack is wiped.
        let mut stack = Memory::of_secrets().shallow_stack();
        let visit = self.visitor.enter()?;
        Some(stacks::run(&mut stack, stack_use.0, || read(prefix(visit.bytes()))))
    }
}

/// How much of a scratch stack some kind of work needs on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackUse(Reach);

impl StackUse {
    /// That of unmeasured work: perhaps the whole stack.
    pub const UNKNOWN: Self = Self(Reach::WHOLE);

    /// Runs the work several times, with bytes that are not secret, to see how much stack it needs. It must take the
    /// deepest path of its kind; a later run that goes deeper may not be wiped completely.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    ///
    /// # Panics
    /// In a use of a secret through a handle.
    pub fn measure(work: impl FnMut()) -> Result<Self, SecretError> {
        Ok(Self(stacks::measure(&mut Memory::get()?.shallow_stack(), work)))
    }
}

fn prefix<const N: usize>(bytes: &[u8; SLOT_LEN]) -> &[u8; N] {
    bytes.first_chunk().unwrap_or_else(|| unreachable!("a secret fits its slot"))
}

fn prefix_mut<const N: usize>(bytes: &mut [u8; SLOT_LEN]) -> &mut [u8; N] {
    bytes.first_chunk_mut().unwrap_or_else(|| unreachable!("a secret fits its slot"))
}

/// Secret memory for data that contains secrets, such as a datagram that is decrypted in place.
pub struct SecretBuffer {
    /// `None` only during the drop.
    map: Option<Map>,
    memory: &'static Memory,
}

impl SecretBuffer {
    /// At least `len` zero bytes.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn new(len: usize) -> Result<Self, SecretError> {
        let memory = Memory::get()?;
        Ok(Self { map: Some(memory.map(len)?), memory })
    }

    /// As [`Secret::expose_mut`].
    pub fn expose_mut<R>(&mut self, write: impl FnOnce(&mut [u8]) -> R) -> R {
        let map = self.map.as_mut();
        let bytes =
            map.unwrap_or_else(|| unreachable!("a buffer has its memory until it is dropped")).bytes_mut();
        self.memory.scoped(|| write(bytes))
    }
}

impl Drop for SecretBuffer {
    fn drop(&mut self) {
        if let Some(map) = self.map.take() {
            self.memory.unmap(map);
        }
    }
}

#[cfg(test)]
mod tests;

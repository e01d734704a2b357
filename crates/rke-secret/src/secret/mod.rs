//! Typed secrets. None of these types has a `Debug`, a `Clone`, a `Display` or a way to give its
//! bytes away by value; moving one moves a pointer.

use std::marker::PhantomData;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::SecretError;
use crate::memory::Memory;
use crate::raw::{Map, Reach, SLOT_LEN, Slot, Visitor, abort};
use crate::stacks::{self, waiting};

/// Said where dropping a secret would wait for what waits for it.
const DROPPED_IN_VISIT: &str = "rke: a secret was dropped in a use of a secret through a handle, while a use of the dropped \
                                one runs. It can never be wiped, so the process ends. This is a bug in rke: please report it.\n";

/// `N` secret bytes (at most 32) in a slot of secret memory, wiped when dropped.
///
/// What reads or writes them runs on a scratch stack that is wiped together with the registers.
pub struct Secret<const N: usize> {
    /// `None` only while it is dropped. What it lies in is not noted: there is one such memory, and there may be a
    /// million secrets.
    slot: Option<Slot>,
}

/// The right to use a [`Secret`] without owning it, for as long as its owner neither writes nor
/// drops it. Not secret itself, and free to copy.
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
    /// [`SecretError`] when there is no secret memory left.
    pub fn zeros() -> Result<Self, SecretError> {
        let () = Self::FITS;
        Ok(Self { slot: Some(Memory::get()?.lend()?) })
    }

    /// A secret whose bytes `fill` writes in their final place. They are zero before.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
    pub fn fill(fill: impl FnOnce(&mut [u8; N])) -> Result<Self, SecretError> {
        let mut secret = Self::zeros()?;
        secret.expose_mut(fill);
        Ok(secret)
    }

    /// The same as [`Secret::fill`] where filling may fail; what was written by then is wiped.
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

    /// A second secret with the same bytes. Not `Clone`: a copy of a secret is always a decision.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
    pub fn duplicate(&self) -> Result<Self, SecretError> {
        Self::fill(|bytes| self.expose(|own| bytes.copy_from_slice(own)))
    }

    /// The one door to the bytes. What leaves `read` must not be secret, nor have gaps, which are copied with it and hold
    /// what was left on the stack: so it is a number, an array or nothing, and anything else goes where it is to be.
    pub fn expose<R>(&self, read: impl FnOnce(&[u8; N]) -> R) -> R {
        Memory::of_secrets().scoped(|| read(prefix(self.slot().bytes())))
    }

    /// The same door for operations that work in place. Handles to the secret are refused from
    /// here on, and uses through them that run are waited for.
    ///
    /// # Panics
    /// In a use through a handle, where the wait takes a second: what it waits for is that same use, or waits for it.
    pub fn expose_mut<R>(&mut self, write: impl FnOnce(&mut [u8; N]) -> R) -> R {
        let bytes = self.slot_mut().bytes_mut(waiting(|| {
            // A caller's mistake, which would be a wait without end.
            #[allow(clippy::panic)]
            {
                panic!("a secret that is in use cannot be written in a use of a secret through a handle");
            }
        }));
        Memory::of_secrets().scoped(|| write(prefix_mut(bytes)))
    }

    /// A handle to use the secret with while somebody else owns it.
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
    /// Waits for the uses through handles that run, then wipes. Where [`Secret::expose_mut`] would panic, the process
    /// ends: a panic would leave the secret where it is.
    fn drop(&mut self) {
        if let Some(mut slot) = self.slot.take() {
            slot.bytes_mut(waiting(|| abort(DROPPED_IN_VISIT))).zeroize();
            Memory::of_secrets().take_back(slot);
        }
    }
}

impl<const N: usize> SecretHandle<N> {
    /// As [`Secret::expose`]. `None` once the owner has written or dropped the secret, which waits
    /// until `read` has returned and its traces are wiped: so `read` should not take long. It is for
    /// ciphers: the stack that it runs on is shallow.
    ///
    /// # Panics
    /// In another such use. What `read` panics with comes out of this.
    pub fn expose<R>(self, read: impl FnOnce(&[u8; N]) -> R) -> Option<R> {
        self.expose_within(StackUse::UNKNOWN, read)
    }

    /// The same for work whose use of the stack is known, of which less is wiped then.
    ///
    /// # Panics
    /// As [`SecretHandle::expose`].
    pub fn expose_within<R>(self, stack_use: StackUse, read: impl FnOnce(&[u8; N]) -> R) -> Option<R> {
        // A stack of its own, in a scope or not: the visit may end only when its stack is wiped.
        let mut stack = Memory::of_secrets().shallow_stack();
        let visit = self.visitor.enter()?;
        Some(stacks::run(&mut stack, stack_use.0, || read(prefix(visit.bytes()))))
    }
}

/// How much of a scratch stack some kind of work needs on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackUse(Reach);

impl StackUse {
    /// Of work that nobody has measured: perhaps the whole stack.
    pub const UNKNOWN: Self = Self(Reach::WHOLE);

    /// Does the work some times, with bytes that are no secret, to see how much it needs. It must do all that the
    /// kind of work can do; what goes deeper later is not sure to be wiped.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory.
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

/// Secret memory for data that has secrets in it, such as a datagram to be decrypted where it lies.
pub struct SecretBuffer {
    /// `None` only while it is dropped.
    map: Option<Map>,
    memory: &'static Memory,
}

impl SecretBuffer {
    /// At least `len` zero bytes.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
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

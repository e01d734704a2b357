"""A daemon and its sessions, for asyncio. :mod:`rke.client` is the same for blocking code."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Optional, Type

from .. import _calls, errors
from .._daemon import Path
from .._state import ClientState, SessionState, nonce_of
from .._tunnel import HEADERS, tunnel_path
from .._work import JSON_LIMIT, Data, Result, Work, bytes_of, pieces_of
from ..answers import Deleted, Discovered, Encrypted, Keys, Raidas, Renewed, Sessions, Shown, Status
from ._exchange import Exchange, Source, ask, listen, send, within
from .streams import EncryptedStream, Events, Stream, Tunnel

__all__ = ["Client", "Session"]


class Client(ClientState):
    """A daemon.

    Each request has a connection of its own. So a client needs no closing, survives restarts of the daemon, and can be used
    by many tasks and event loops.
    """

    def with_timeout(self, timeout: Optional[float]) -> Client:
        """A client of the same daemon with another time limit."""
        client = Client.__new__(Client)
        client._daemon = replace(self._daemon, timeout=timeout)
        return client

    async def open(self, domain: str, wallet_path: Path, *, fresh: bool = False, everywhere: bool = False) -> Session:
        """Opens a session with a domain's Content Server. It has a key of its own, and ends with its ``async with`` block.

        The wallet is a folder on the daemon's machine. ``fresh`` asks the RAIDAs even if the daemon's cache would do.
        ``everywhere`` makes the end of the block wait until the Content Server has wiped the key too, up to five seconds.
        """
        created = await ask(self._daemon, _calls.create(domain, wallet_path, fresh))
        return Session(self._daemon, created.session_id, created, everywhere)

    def session(self, session_id: str) -> Session:
        """A session that was opened elsewhere. This sends no request: whether it exists shows when it is used."""
        return Session(self._daemon, session_id)

    async def sessions(self) -> Sessions:
        """Lists the sessions."""
        return await ask(self._daemon, _calls.sessions())

    async def delete_sessions(self, domain: Optional[str] = None, *, forget: bool = False) -> int:
        """Ends all sessions, or those of a domain, and returns their number. ``forget`` removes the cached keys too."""
        return await ask(self._daemon, _calls.delete_sessions(domain, forget))

    async def keys(self) -> Keys:
        """Lists the cached keys, which open later sessions without asking the RAIDAs. No secret is in it."""
        return await ask(self._daemon, _calls.keys())

    async def delete_keys(self, domain: Optional[str] = None) -> int:
        """Removes all cached keys, or those of a domain, and returns their number. Open sessions stay."""
        return await ask(self._daemon, _calls.delete_keys(domain))

    async def discover(self, domain: str) -> Discovered:
        """Looks up a domain's Content Server in DNS."""
        return await ask(self._daemon, _calls.discover(domain))

    async def raidas(self) -> Raidas:
        """Shows the state of the RAIDAs."""
        return await ask(self._daemon, _calls.raidas())

    async def refresh_raidas(self) -> Raidas:
        """Makes the daemon ask its guardians where the RAIDAs are, and shows the state of the RAIDAs."""
        return await ask(self._daemon, _calls.refresh_raidas())

    async def status(self) -> Status:
        """Shows the state of the daemon."""
        return await ask(self._daemon, _calls.status())

    async def events(self) -> Events:
        """Listens to changes at the daemon, and to the steps of its exchanges."""
        asked = listen(self._daemon, "/api/rke/events")
        return Events(self._daemon, await within(self._daemon, "A response", self.timeout, asked))


class Session(SessionState):
    """A session of a daemon, from :meth:`Client.open` or :meth:`Client.session`. Its key never leaves the daemon.

    What is sealed or encrypted in it opens only in it, and only while it lives. It ends with its ``async with`` block.
    """

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            await self.close()
        except errors.RkeError:
            # The exception of the block matters more than a session that could not be ended.
            if error is None:
                raise

    def with_timeout(self, timeout: Optional[float]) -> Session:
        """The same session with another time limit."""
        return Session(replace(self._daemon, timeout=timeout), self.id, self.created, self._everywhere)

    async def show(self) -> Shown:
        """Shows how its key was made, and how often it was used."""
        return await ask(self._daemon, _calls.show(self.id))

    async def renew(self) -> Renewed:
        """Restarts its lifetime. The new expiry is in ``expires_at``, too."""
        renewed = await ask(self._daemon, _calls.renew(self.id))
        self.expires_at = renewed.expires_at
        return renewed

    async def seal(self, data: Data, *, associated_data: Data = b"") -> bytes:
        """Seals data: without the key, nobody can read it or alter it unnoticed.

        ``associated_data`` is not part of the result, and is needed again to open it.
        """
        return (await self._whole(Work.sealing("seal", self.id, associated_data), data)).data

    async def open(self, sealed: Data, *, associated_data: Data = b"") -> bytes:
        """Opens what was sealed, or raises a :class:`~rke.DamagedError`."""
        return (await self._whole(Work.sealing("open", self.id, associated_data), sealed)).data

    async def encrypt(self, data: Data) -> Encrypted:
        """Encrypts data in counter mode. Alterations go unnoticed; use ``seal`` to detect them."""
        result = await self._whole(Work("encrypt", self.id, {}), data)
        return Encrypted(result.data, result.nonce or "")

    async def decrypt(self, ciphertext: Data, nonce: str) -> bytes:
        """The reverse of ``encrypt``."""
        return (await self._whole(Work("decrypt", self.id, {"nonce": nonce}), ciphertext)).data

    async def export(self, label: str, *, context: Data = b"", length: int = 32) -> bytes:
        """Derives a key for another program: ``length`` bytes, 16 to 64.

        The other end derives the same one from the same label, context and length. The daemon's operator has to
        allow the label.
        """
        return await ask(self._daemon, _calls.export(self.id, label, bytes_of(context), length))

    async def seal_stream(self, data: Source, *, associated_data: Data = b"") -> Stream:
        """Seals data of any size as it is read, in another task. Read the stream to its end, or close it."""
        return await self._stream(Work.sealing("seal", self.id, associated_data), data)

    async def open_stream(self, sealed: Source, *, associated_data: Data = b"") -> Stream:
        """Opens sealed data as it is read.

        What arrives is authentic. Only the end of the stream shows that nothing is missing.
        """
        return await self._stream(Work.sealing("open", self.id, associated_data), sealed)

    async def encrypt_stream(self, data: Source) -> EncryptedStream:
        """Encrypts data of any size as it is read. Its nonce is known at once."""
        work = Work("encrypt", self.id, {})
        exchange = await self._send(work, data)
        try:
            return EncryptedStream(self._daemon, exchange, work, nonce_of(self._daemon, exchange.head))
        except errors.AnswerError:
            await exchange.close()
            raise

    async def decrypt_stream(self, ciphertext: Source, nonce: str) -> Stream:
        """The reverse of ``encrypt_stream``."""
        return await self._stream(Work("decrypt", self.id, {"nonce": nonce}), ciphertext)

    async def tunnel(self, data: Source = ()) -> Tunnel:
        """Sends data to the Content Server as it is read, and returns what that sends, both at the same time.

        ``data`` is read in another task, so what you send may depend on what you receive.
        """
        asked = send(self._daemon, tunnel_path(self.id), HEADERS, data)
        return Tunnel(self._daemon, await within(self._daemon, "A response", self._daemon.timeout, asked))

    async def delete(self, *, forget: bool = False, verify: bool = False, everywhere: bool = False) -> Deleted:
        """Ends it: when this returns, its id is invalid, and its key is wiped and cannot be made again.

        ``forget`` removes what the cache keeps for the domain too. ``verify`` returns an erasure receipt. ``everywhere`` waits
        up to five seconds for the Content Server to wipe the key too, and says in ``remote`` whether it has.
        """
        deleted = await ask(self._daemon, _calls.delete(self.id, forget, verify, everywhere))
        self.deleted = deleted
        return deleted

    async def close(self) -> None:
        """Ends it, unless it has already ended. The end of an ``async with`` block does this."""
        try:
            await self.delete(everywhere=self._everywhere)
        except errors.NotFoundError:
            pass

    async def _whole(self, work: Work, data: Data) -> Result:
        given = bytes_of(data)
        if len(given) <= JSON_LIMIT:
            return await ask(self._daemon, work.call(given))
        return await within(self._daemon, "A response", self._daemon.timeout, self._large(work, given))

    async def _large(self, work: Work, data: bytes) -> Result:
        exchange = await send(self._daemon, work.path, work.headers(), pieces_of(data))
        try:
            nonce = nonce_of(self._daemon, exchange.head) if work.is_encryption else None
            result = await exchange.read_all()
            if not work.is_whole(len(data), len(result)):
                raise errors.broken_off("it is not complete")
            return Result(result, nonce)
        finally:
            await exchange.close()

    async def _stream(self, work: Work, data: Source) -> Stream:
        return Stream(self._daemon, await self._send(work, data), work)

    async def _send(self, work: Work, data: Source) -> Exchange:
        sent = send(self._daemon, work.path, work.headers(), data)
        return await within(self._daemon, "A response", self._daemon.timeout, sent)

"""A daemon and its sessions, for blocking code. :mod:`rke.aio` has the same for asyncio."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Optional, Type

from . import _calls, errors
from ._connection import Deadline
from ._daemon import Path
from ._exchange import Exchange, Source, ask, listen, send
from ._state import ClientState, SessionState, nonce_of
from ._tunnel import HEADERS, tunnel_path
from ._work import JSON_LIMIT, Data, Result, Work, bytes_of, pieces_of
from .answers import Deleted, Discovered, Encrypted, Keys, Raidas, Renewed, Sessions, Shown, Status
from .streams import EncryptedStream, Events, Stream, Tunnel

__all__ = ["Client", "Session"]


class Client(ClientState):
    """A daemon.

    Each request has a connection of its own. So a client needs no closing, survives restarts of the daemon, and can be used
    by many threads at once.
    """

    def with_timeout(self, timeout: Optional[float]) -> Client:
        """A client of the same daemon with another time limit."""
        client = Client.__new__(Client)
        client._daemon = replace(self._daemon, timeout=timeout)
        return client

    def open(self, domain: str, wallet_path: Path, *, fresh: bool = False, everywhere: bool = False) -> Session:
        """Opens a session with a domain's Content Server. It has a key of its own, and ends with its ``with`` block.

        The wallet is a folder on the daemon's machine. ``fresh`` asks the RAIDAs even if the daemon's cache would do.
        ``everywhere`` makes the end of the block wait until the Content Server has wiped the key too, up to five seconds.
        """
        created = ask(self._daemon, _calls.create(domain, wallet_path, fresh))
        return Session(self._daemon, created.session_id, created, everywhere)

    def session(self, session_id: str) -> Session:
        """A session that was opened elsewhere. This sends no request: whether it exists shows when it is used."""
        return Session(self._daemon, session_id)

    def sessions(self) -> Sessions:
        """Lists the sessions."""
        return ask(self._daemon, _calls.sessions())

    def delete_sessions(self, domain: Optional[str] = None, *, forget: bool = False) -> int:
        """Ends all sessions, or those of a domain, and returns their number. ``forget`` removes the cached keys too."""
        return ask(self._daemon, _calls.delete_sessions(domain, forget))

    def keys(self) -> Keys:
        """Lists the cached keys, which open later sessions without asking the RAIDAs. No secret is in it."""
        return ask(self._daemon, _calls.keys())

    def delete_keys(self, domain: Optional[str] = None) -> int:
        """Removes all cached keys, or those of a domain, and returns their number. Open sessions stay."""
        return ask(self._daemon, _calls.delete_keys(domain))

    def discover(self, domain: str) -> Discovered:
        """Looks up a domain's Content Server in DNS."""
        return ask(self._daemon, _calls.discover(domain))

    def raidas(self) -> Raidas:
        """Shows the state of the RAIDAs."""
        return ask(self._daemon, _calls.raidas())

    def refresh_raidas(self) -> Raidas:
        """Makes the daemon ask its guardians where the RAIDAs are, and shows the state of the RAIDAs."""
        return ask(self._daemon, _calls.refresh_raidas())

    def status(self) -> Status:
        """Shows the state of the daemon."""
        return ask(self._daemon, _calls.status())

    def events(self) -> Events:
        """Listens to changes at the daemon, and to the steps of its exchanges."""
        exchange = listen(self._daemon, "/api/rke/events", Deadline(self._daemon, "A response", self.timeout))
        return Events(self._daemon, exchange)


class Session(SessionState):
    """A session of a daemon, from :meth:`Client.open` or :meth:`Client.session`. Its key never leaves the daemon.

    What is sealed or encrypted in it opens only in it, and only while it lives. It ends with its ``with`` block.
    """

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            self.close()
        except errors.RkeError:
            # The exception of the block matters more than a session that could not be ended.
            if error is None:
                raise

    def with_timeout(self, timeout: Optional[float]) -> Session:
        """The same session with another time limit."""
        return Session(replace(self._daemon, timeout=timeout), self.id, self.created, self._everywhere)

    def show(self) -> Shown:
        """Shows how its key was made, and how often it was used."""
        return ask(self._daemon, _calls.show(self.id))

    def renew(self) -> Renewed:
        """Restarts its lifetime. The new expiry is in ``expires_at``, too."""
        renewed = ask(self._daemon, _calls.renew(self.id))
        self.expires_at = renewed.expires_at
        return renewed

    def seal(self, data: Data, *, associated_data: Data = b"") -> bytes:
        """Seals data: without the key, nobody can read it or alter it unnoticed.

        ``associated_data`` is not part of the result, and is needed again to open it.
        """
        return self._whole(Work.sealing("seal", self.id, associated_data), data).data

    def open(self, sealed: Data, *, associated_data: Data = b"") -> bytes:
        """Opens what was sealed, or raises a :class:`~rke.DamagedError`."""
        return self._whole(Work.sealing("open", self.id, associated_data), sealed).data

    def encrypt(self, data: Data) -> Encrypted:
        """Encrypts data in counter mode. Alterations go unnoticed; use ``seal`` to detect them."""
        result = self._whole(Work("encrypt", self.id, {}), data)
        return Encrypted(result.data, result.nonce or "")

    def decrypt(self, ciphertext: Data, nonce: str) -> bytes:
        """The reverse of ``encrypt``."""
        return self._whole(Work("decrypt", self.id, {"nonce": nonce}), ciphertext).data

    def export(self, label: str, *, context: Data = b"", length: int = 32) -> bytes:
        """Derives a key for another program: ``length`` bytes, 16 to 64.

        The other end derives the same one from the same label, context and length. The daemon's operator has to
        allow the label.
        """
        return ask(self._daemon, _calls.export(self.id, label, bytes_of(context), length))

    def seal_stream(self, data: Source, *, associated_data: Data = b"") -> Stream:
        """Seals data of any size as it is read, in another thread. Read the stream to its end, or close it."""
        return self._stream(Work.sealing("seal", self.id, associated_data), data)

    def open_stream(self, sealed: Source, *, associated_data: Data = b"") -> Stream:
        """Opens sealed data as it is read.

        What arrives is authentic. Only the end of the stream shows that nothing is missing.
        """
        return self._stream(Work.sealing("open", self.id, associated_data), sealed)

    def encrypt_stream(self, data: Source) -> EncryptedStream:
        """Encrypts data of any size as it is read. Its nonce is known at once."""
        work = Work("encrypt", self.id, {})
        exchange = self._send(work, data)
        try:
            return EncryptedStream(self._daemon, exchange, work, nonce_of(self._daemon, exchange.head))
        except errors.AnswerError:
            exchange.close()
            raise

    def decrypt_stream(self, ciphertext: Source, nonce: str) -> Stream:
        """The reverse of ``encrypt_stream``."""
        return self._stream(Work("decrypt", self.id, {"nonce": nonce}), ciphertext)

    def tunnel(self, data: Source = ()) -> Tunnel:
        """Sends data to the Content Server as it is read, and returns what that sends, both at the same time.

        ``data`` is read in another thread. If what you send depends on what you receive, send the items of a queue:
        ``iter(queue.get, None)``.
        """
        deadline = Deadline(self._daemon, "A response", self._daemon.timeout)
        return Tunnel(self._daemon, send(self._daemon, tunnel_path(self.id), HEADERS, data, deadline))

    def delete(self, *, forget: bool = False, verify: bool = False, everywhere: bool = False) -> Deleted:
        """Ends it: when this returns, its id is invalid, and its key is wiped and cannot be made again.

        ``forget`` removes what the cache keeps for the domain too. ``verify`` returns an erasure receipt. ``everywhere`` waits
        up to five seconds for the Content Server to wipe the key too, and says in ``remote`` whether it has.
        """
        deleted = ask(self._daemon, _calls.delete(self.id, forget, verify, everywhere))
        self.deleted = deleted
        return deleted

    def close(self) -> None:
        """Ends it, unless it has already ended. The end of a ``with`` block does this."""
        try:
            self.delete(everywhere=self._everywhere)
        except errors.NotFoundError:
            pass

    def _whole(self, work: Work, data: Data) -> Result:
        given = bytes_of(data)
        if len(given) <= JSON_LIMIT:
            return ask(self._daemon, work.call(given))
        deadline = Deadline(self._daemon, "A response", self._daemon.timeout)
        exchange = send(self._daemon, work.path, work.headers(), pieces_of(given), deadline)
        try:
            nonce = nonce_of(self._daemon, exchange.head) if work.is_encryption else None
            result = exchange.read_all(deadline)
            if not work.is_whole(len(given), len(result)):
                raise errors.broken_off("it is not complete")
            return Result(result, nonce)
        finally:
            exchange.close()

    def _stream(self, work: Work, data: Source) -> Stream:
        return Stream(self._daemon, self._send(work, data), work)

    def _send(self, work: Work, data: Source) -> Exchange:
        deadline = Deadline(self._daemon, "A response", self._daemon.timeout)
        return send(self._daemon, work.path, work.headers(), data, deadline)

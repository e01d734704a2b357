"""Responses that are read as they arrive, for blocking code: data, tunnels and events."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Deque, Iterator, Optional, Type, TypeVar

from . import errors
from ._connection import Deadline
from ._daemon import Daemon
from ._events import LISTEN_AGAIN, EventParser
from ._exchange import Exchange
from ._tunnel import EXIT_STATUS, exit_status
from ._work import Work
from .answers import Event

__all__ = ["EncryptedStream", "Events", "Stream", "Tunnel"]

_Self = TypeVar("_Self", bound="_Incoming")


class _Incoming:
    """A response that is read as it arrives."""

    timeout: Optional[float] = None
    """How many seconds a read may wait for data; ``None`` for no limit. Reading can go on after a timeout."""

    def __init__(self, daemon: Daemon, exchange: Exchange) -> None:
        self._daemon = daemon
        self._exchange = exchange
        self._is_closed = False
        self._has_ended = False

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the request, complete or not. The source is then read no further."""
        if not self._is_closed:
            self._is_closed = True
            self._exchange.close()

    def _next_piece(self) -> bytes:
        """The next bytes; empty at the end."""
        if self._has_ended:
            return b""
        if self._is_closed:
            raise ValueError("the stream is closed")
        try:
            piece = self._exchange.read_piece(Deadline(self._daemon, "Waiting for the next bytes", self.timeout))
            if piece is None:
                self._judge_end()
        except errors.TimedOutError:
            raise
        except BaseException:
            self.close()
            raise
        if piece is None:
            self._has_ended = True
            self.close()
        return piece or b""

    def _judge_end(self) -> None:
        """Raises an exception if the response ended and is not complete."""


class Stream(_Incoming):
    """Bytes that arrive. Iterate over it, or read it like a file.

    The iteration ends, and ``read`` returns ``b""``, only if the data is complete. Everything else is an exception:
    :class:`~rke.BrokenOffError`, or the source's own. Then discard what arrived.
    """

    def __init__(self, daemon: Daemon, exchange: Exchange, work: Optional[Work] = None) -> None:
        super().__init__(daemon, exchange)
        self._work = work
        self._size = 0
        self._rest = b""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece, self._rest = self._rest or self._next_piece(), b""
        if not piece:
            raise StopIteration
        return piece

    def read(self, size: int = -1) -> bytes:
        """Reads to the end, or at most ``size`` bytes as soon as any have arrived."""
        if size < 0:
            return b"".join(self)
        if size and not self._rest:
            self._rest = self._next_piece()
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def _next_piece(self) -> bytes:
        piece = super()._next_piece()
        self._size += len(piece)
        return piece

    def _judge_end(self) -> None:
        sender = self._exchange.sender
        if self._work is None or sender is None:
            return
        # A response can be whole for HTTP and still too short.
        if not sender.has_ended or not self._work.is_whole(sender.size, self._size):
            raise self._exchange.fault(ValueError("it is not complete"))


class EncryptedStream(Stream):
    """Ciphertext that arrives."""

    nonce: str
    """32 hexadecimal digits. Keep it with the ciphertext."""

    def __init__(self, daemon: Daemon, exchange: Exchange, work: Work, nonce: str) -> None:
        super().__init__(daemon, exchange, work)
        self.nonce = nonce


class Tunnel(Stream):
    """Data from a Content Server, as it arrives.

    It ends only if the Content Server has sent the end of its data, after a command that exited with status 0. A command
    that failed is a :class:`~rke.CommandFailedError`, and a tunnel that was cut is a :class:`~rke.BrokenOffError`, whatever
    cut it. In both cases what arrived is incomplete.
    """

    exit_status: Optional[int] = None
    """The command's exit status, 0 if there is no command. It is known at the end, and never over a key of 8 bits."""

    def _judge_end(self) -> None:
        try:
            self.exit_status = exit_status(self._exchange.head, self._exchange.trailer(EXIT_STATUS))
        except ValueError as error:
            raise self._exchange.fault(error) from error
        if self.exit_status:
            raise errors.command_failed(self.exit_status)


class Events(_Incoming):
    """Changes at the daemon, as they happen. Iterate over it.

    It ends if the daemon stops. A connection that is cut is a :class:`~rke.BrokenOffError`.
    """

    def __init__(self, daemon: Daemon, exchange: Exchange) -> None:
        super().__init__(daemon, exchange)
        self._parser = EventParser()
        self._waiting: Deque[Event] = deque()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while not self._waiting:
            try:
                piece = self._next_piece()
            except errors.BrokenOffError as error:
                error.remedy = LISTEN_AGAIN
                raise
            if not piece:
                raise StopIteration
            try:
                self._waiting.extend(self._parser.feed(piece))
            except ValueError as error:
                self.close()
                raise errors.not_a_daemon(self._daemon.address.text, "it does not send events") from error
        return self._waiting.popleft()

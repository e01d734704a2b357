"""One request and its response, for blocking code. A thread sends the body while the response is read."""

from __future__ import annotations

import threading
from typing import Iterable, Iterator, List, Mapping, Optional, Protocol, TypeVar, Union

from . import errors
from ._calls import Call
from ._connection import Connection, Deadline
from ._daemon import Daemon
from ._http import LAST_CHUNK, PIECE, Cut, Head, Malformed, ResponseParser, chunk
from ._work import Data, bytes_of

T = TypeVar("T")


class Readable(Protocol):
    """A file opened in binary mode, or anything like one."""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; empty at the end."""


#: The data of a stream: a file, or an iterable of bytes.
Source = Union[Readable, Iterable[Data]]


class Exchange:
    """A request, whose body may still be on its way, and the response to it."""

    def __init__(self, daemon: Daemon, request: bytes, deadline: Deadline, pieces: Optional[Iterator[Data]] = None) -> None:
        self._daemon = daemon
        self._parser = ResponseParser()
        self._connection = Connection(daemon, deadline)
        self.sender: Optional[Sender] = None
        try:
            self._send(request, deadline)
            if pieces is not None:
                self.sender = Sender(self._connection, pieces, Deadline(daemon, "Sending", None))
            self.head = self._read_head(deadline)
        except BaseException:
            self.close()
            raise

    def read_piece(self, deadline: Deadline) -> Optional[bytes]:
        """The next bytes of the response's body, or ``None`` at its end."""
        while True:
            try:
                piece = self._parser.read_piece()
            except (Cut, Malformed) as error:
                raise self.fault(error) from error
            if piece is not None or self._parser.ended:
                return piece
            self._parser.feed(self._connection.receive(deadline))

    def read_all(self, deadline: Deadline) -> bytes:
        """All of the response's body."""
        pieces: List[bytes] = []
        while True:
            piece = self.read_piece(deadline)
            if piece is None:
                return b"".join(pieces)
            pieces.append(piece)

    def trailer(self, name: str) -> Optional[str]:
        """A trailer, once the body has ended."""
        return None if self._parser.trailers is None else self._parser.trailers.get(name)

    def fault(self, error: Exception) -> BaseException:
        """Why the response broke off: the source's own exception if the source failed first."""
        if self.sender is not None and self.sender.fault is not None:
            return self.sender.fault
        return self._daemon.fault(self._parser, error)

    def close(self) -> None:
        """Ends it, complete or not. The source is read no further."""
        if self.sender is not None:
            self.sender.stop()
        self._connection.abort()
        self._connection.release()

    def _send(self, request: bytes, deadline: Deadline) -> None:
        try:
            self._connection.send(request, deadline)
        except errors.TimedOutError:
            raise
        except OSError:
            # A daemon that refuses a request early hangs up, and its response says why.
            pass

    def _read_head(self, deadline: Deadline) -> Head:
        while True:
            try:
                head = self._parser.read_head()
            except (Cut, Malformed) as error:
                raise self.fault(error) from error
            if head is not None:
                return head
            self._parser.feed(self._connection.receive(deadline))


class Sender:
    """Sends the data of a source, in a thread of its own."""

    def __init__(self, connection: Connection, pieces: Iterator[Data], deadline: Deadline) -> None:
        self.fault: Optional[BaseException] = None
        """The exception of the source, if it failed."""
        self.size = 0
        self.has_ended = False
        self._connection = connection.share()
        self._pieces = pieces
        self._deadline = deadline
        self._is_stopped = threading.Event()
        # A daemon thread, because a source that waits forever must not keep the program from exiting.
        threading.Thread(target=self._run, name="rke-sender", daemon=True).start()

    def stop(self) -> None:
        """Stops sending. The thread ends as soon as the source returns."""
        self._is_stopped.set()

    def _run(self) -> None:
        try:
            self._send_all()
        except OSError:
            # The response says why. If there is none, its reader notices.
            pass
        finally:
            _let_go(self._pieces)
            self._connection.release()

    def _send_all(self) -> None:
        while not self._is_stopped.is_set():
            try:
                piece = bytes_of(next(self._pieces))
            except StopIteration:
                # Set before sending, because the response may end as soon as the last bytes arrive.
                self.has_ended = True
                self._connection.send(LAST_CHUNK, self._deadline)
                return
            except BaseException as error:
                self.fault = error
                # A source that failed must not look like one that ended.
                self._connection.abort()
                return
            if piece:
                self.size += len(piece)
                self._connection.send(chunk(piece), self._deadline)


def ask(daemon: Daemon, call: Call[T]) -> T:
    """Makes a call and reads its response."""
    deadline = Deadline(daemon, "A response", daemon.timeout)
    exchange = Exchange(daemon, daemon.call(call), deadline)
    try:
        return daemon.answer(call, exchange.head, exchange.read_all(deadline))
    finally:
        exchange.close()


def send(daemon: Daemon, path: str, headers: Mapping[str, str], source: Source, deadline: Deadline) -> Exchange:
    """Sends raw data as it is read. Returns a successful response, whose body is still to be read."""
    raw = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked", **headers}
    exchange = Exchange(daemon, daemon.request("POST", path, raw), deadline, _pieces(source))
    return _accepted(daemon, exchange, deadline)


def listen(daemon: Daemon, path: str, deadline: Deadline) -> Exchange:
    """Makes a request without a body. Returns a successful response, whose body is still to be read."""
    return _accepted(daemon, Exchange(daemon, daemon.request("GET", path, {}), deadline), deadline)


def _accepted(daemon: Daemon, exchange: Exchange, deadline: Deadline) -> Exchange:
    if exchange.head.status == 200:
        return exchange
    try:
        raise daemon.refusal(exchange.head, exchange.read_all(deadline))
    finally:
        exchange.close()


def _pieces(source: Source) -> Iterator[Data]:
    # A buffered file's `read` waits until it has `size` bytes; `read1` returns what is there.
    read = getattr(source, "read1", None) or getattr(source, "read", None)
    if read is not None:
        return iter(lambda: bytes_of(read(PIECE)), b"")
    if isinstance(source, (str, bytes, bytearray, memoryview)) or not isinstance(source, Iterable):
        raise TypeError("a stream's data is a file opened in binary mode or an iterable of bytes")
    return iter(source)


def _let_go(pieces: Iterator[Data]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        try:
            close()
        except Exception:
            # The source is no longer needed, so its failure does not matter.
            pass

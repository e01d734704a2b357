"""One request and its response, for asyncio. A task sends the body while the response is read."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from typing import (
    Any,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    List,
    Mapping,
    Optional,
    Protocol,
    TypeVar,
    Union,
)

from .. import errors
from .._calls import Call
from .._daemon import Daemon
from .._http import LAST_CHUNK, PIECE, Cut, Head, Malformed, ResponseParser, chunk
from .._work import Data, bytes_of
from ._connection import Connection

T = TypeVar("T")


class Readable(Protocol):
    """A file opened in binary mode, an ``asyncio.StreamReader``, or anything like them."""

    def read(self, size: int) -> Union[bytes, Awaitable[bytes]]:
        """At most ``size`` bytes; empty at the end. A file is read in another thread."""


#: The data of a stream: a file or reader, or an iterable of bytes, asynchronous or not.
Source = Union[Readable, AsyncIterable[Data], Iterable[Data]]


class Exchange:
    """A request, whose body may still be on its way, and the response to it."""

    head: Head

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._parser = ResponseParser()
        self._connection: Optional[Connection] = None
        self.sender: Optional[Sender] = None

    async def begin(self, request: bytes, pieces: Optional[AsyncIterator[Data]] = None) -> None:
        """Sends the request and reads the head of the response, while the data of the source is sent."""
        try:
            self._connection = await Connection.open(self._daemon)
            await self._send(self._connection, request)
            if pieces is not None:
                self.sender = Sender(self._connection, pieces)
            self.head = await self._read_head(self._connection)
        except BaseException:
            await self.close()
            raise

    async def read_piece(self) -> Optional[bytes]:
        """The next bytes of the response's body, or ``None`` at its end."""
        while True:
            try:
                piece = self._parser.read_piece()
            except (Cut, Malformed) as error:
                raise self.fault(error) from error
            if piece is not None or self._parser.ended or self._connection is None:
                return piece
            self._parser.feed(await self._connection.receive())

    async def read_all(self) -> bytes:
        """All of the response's body."""
        pieces: List[bytes] = []
        while True:
            piece = await self.read_piece()
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

    async def close(self) -> None:
        """Ends it, complete or not. The source is read no further."""
        if self._connection is not None:
            self._connection.close()
        if self.sender is not None:
            await self.sender.stop()

    async def _send(self, connection: Connection, request: bytes) -> None:
        try:
            await connection.send(request)
        except OSError:
            # A daemon that refuses a request early hangs up, and its response says why.
            pass

    async def _read_head(self, connection: Connection) -> Head:
        while True:
            try:
                head = self._parser.read_head()
            except (Cut, Malformed) as error:
                raise self.fault(error) from error
            if head is not None:
                return head
            self._parser.feed(await connection.receive())


class Sender:
    """Sends the data of a source, in a task of its own."""

    def __init__(self, connection: Connection, pieces: AsyncIterator[Data]) -> None:
        self.fault: Optional[BaseException] = None
        """The exception of the source, if it failed."""
        self.size = 0
        self.has_ended = False
        self._connection = connection
        self._pieces = pieces
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Stops sending, and waits until the source is closed."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            await self._send_all()
        except OSError:
            # The response says why. If there is none, its reader notices.
            pass
        finally:
            await _let_go(self._pieces)

    async def _send_all(self) -> None:
        while True:
            try:
                piece = bytes_of(await self._pieces.__anext__())
            except StopAsyncIteration:
                # Set before sending, because the response may end as soon as the last bytes arrive.
                self.has_ended = True
                await self._connection.send(LAST_CHUNK)
                return
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                self.fault = error
                # A source that failed must not look like one that ended.
                self._connection.close()
                return
            if piece:
                self.size += len(piece)
                await self._connection.send(chunk(piece))


async def ask(daemon: Daemon, call: Call[T]) -> T:
    """Makes a call and reads its response."""
    return await within(daemon, "A response", daemon.timeout, _ask(daemon, call))


async def _ask(daemon: Daemon, call: Call[T]) -> T:
    exchange = Exchange(daemon)
    await exchange.begin(daemon.call(call))
    try:
        return daemon.answer(call, exchange.head, await exchange.read_all())
    finally:
        await exchange.close()


async def send(daemon: Daemon, path: str, headers: Mapping[str, str], source: Source) -> Exchange:
    """Sends raw data as it is read. Returns a successful response, whose body is still to be read."""
    raw = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked", **headers}
    return await _accepted(daemon, daemon.request("POST", path, raw), _pieces(source))


async def listen(daemon: Daemon, path: str) -> Exchange:
    """Makes a request without a body. Returns a successful response, whose body is still to be read."""
    return await _accepted(daemon, daemon.request("GET", path, {}), None)


async def _accepted(daemon: Daemon, request: bytes, pieces: Optional[AsyncIterator[Data]]) -> Exchange:
    exchange = Exchange(daemon)
    await exchange.begin(request, pieces)
    if exchange.head.status == 200:
        return exchange
    try:
        raise daemon.refusal(exchange.head, await exchange.read_all())
    finally:
        await exchange.close()


async def within(daemon: Daemon, what: str, seconds: Optional[float], work: Coroutine[Any, Any, T]) -> T:
    """Does something within a time limit, or cancels it.

    It does not use ``wait_for``, whose timeout cannot be told from a ``TimeoutError`` of the caller's source.
    """
    if seconds is None:
        return await work
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
    if task.cancelled():
        raise errors.timed_out(daemon.address.text, what, seconds)
    return task.result()


def _pieces(source: Source) -> AsyncIterator[Data]:
    # Before iteration, which would split a file into lines. A buffered file's `read` waits until it has `size` bytes; `read1`
    # returns what is there.
    read = getattr(source, "read1", None) or getattr(source, "read", None)
    if read is not None:
        return _read_pieces(read)
    if isinstance(source, AsyncIterable):
        return source.__aiter__()
    if isinstance(source, (str, bytes, bytearray, memoryview)) or not isinstance(source, Iterable):
        raise TypeError("a stream's data is a file opened in binary mode, a reader, or an iterable of bytes")
    return _iterated(source)


async def _read_pieces(read: Any) -> AsyncIterator[Data]:
    is_asynchronous = inspect.iscoroutinefunction(read)
    while True:
        piece = await (read(PIECE) if is_asynchronous else _in_thread(read))
        if not bytes_of(piece):
            return
        yield piece


def _in_thread(read: Callable[[int], bytes]) -> asyncio.Future[bytes]:
    """Reads a file in a thread.

    It does not use ``to_thread``, whose threads keep the event loop from ending as long as a file waits for its data.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes] = loop.create_future()

    def settle(set_outcome: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():
            set_outcome(outcome)

    def run() -> None:
        set_outcome: Callable[[Any], None] = future.set_result
        try:
            outcome: Any = read(PIECE)
        except BaseException as error:
            set_outcome, outcome = future.set_exception, error
        # The loop may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, set_outcome, outcome)

    threading.Thread(target=run, name="rke-reader", daemon=True).start()
    return future


async def _iterated(source: Iterable[Data]) -> AsyncIterator[Data]:
    for piece in source:
        yield piece


async def _let_go(pieces: AsyncIterator[Data]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        try:
            await close()
        except Exception:
            # The source is no longer needed, so its failure does not matter.
            pass

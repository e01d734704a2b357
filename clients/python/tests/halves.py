"""What the tests of both halves of the library need, so that each test is written once."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
import unittest
from typing import Any, AsyncIterator, Callable, Iterator

import rke
from rke import aio
from stage import DEV, DOMAIN, settled


class Half(unittest.IsolatedAsyncioTestCase):
    """Tests that a subclass runs with one half of the library."""

    half: Any

    async def asyncSetUp(self) -> None:
        # The client for blocking code holds the loop up, which its debugging would report.
        asyncio.get_running_loop().slow_callback_duration = 60

    def client(self, address: str = DEV["url"], **options: Any) -> Any:
        return self.half.Client(address, **options)

    @contextlib.asynccontextmanager
    async def session(self, **options: Any) -> AsyncIterator[Any]:
        """A session of the real daemon that ends with its block."""
        async with block(await settled(self.client().open(DOMAIN, DEV["wallet"], **options))) as session:
            yield session

    def endless(self) -> Source:
        """A source that gives zeros for ever."""
        return (BlockingSource if self.half is rke else AsyncSource)(endless=True)

    def conversation(self) -> Source:
        """A source that gives what the test sends."""
        return (BlockingSource if self.half is rke else AsyncSource)(endless=False)


def halves(*tests: type) -> dict[str, Any]:
    """Test classes by their names: each of the given ones with both halves."""
    return {
        f"{prefix}{each.__name__}": type(
            f"{prefix}{each.__name__}", (each, Half), {"half": half, "__module__": each.__module__}
        )
        for each in tests
        for prefix, half in (("Blocking", rke), ("Asyncio", aio))
    }


@contextlib.asynccontextmanager
async def block(thing: Any) -> AsyncIterator[Any]:
    """The block of a context manager of either kind."""
    if hasattr(thing, "__aenter__"):
        async with thing:
            yield thing
    else:
        with thing:
            yield thing


class Source:
    """A source whose end is seen."""

    pieces: Any

    def __init__(self, *, endless: bool) -> None:
        self.endless = endless
        self.is_let_go = threading.Event()

    def send(self, item: Any) -> None:
        """Bytes to give, an exception to raise, or None for the end."""
        raise NotImplementedError

    async def was_let_go(self) -> None:
        """Waits until nobody wants more of it."""
        await until(self.is_let_go.is_set)


class BlockingSource(Source):
    def __init__(self, *, endless: bool) -> None:
        super().__init__(endless=endless)
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.pieces = self.give()

    def send(self, item: Any) -> None:
        self.queue.put(item)

    def give(self) -> Iterator[bytes]:
        try:
            while True:
                item = bytes(65536) if self.endless else self.queue.get()
                if item is None:
                    return
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.is_let_go.set()


class AsyncSource(Source):
    def __init__(self, *, endless: bool) -> None:
        super().__init__(endless=endless)
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.pieces = self.give()

    def send(self, item: Any) -> None:
        self.queue.put_nowait(item)

    async def give(self) -> AsyncIterator[bytes]:
        try:
            while True:
                item = bytes(65536) if self.endless else await self.queue.get()
                if item is None:
                    return
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.is_let_go.set()


async def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    end = time.monotonic() + 60
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it never came")
        await asyncio.sleep(0.01)


async def collected(stream: Any) -> bytes:
    """All of a stream, by iterating over it."""
    if hasattr(stream, "__aiter__"):
        return b"".join([piece async for piece in stream])
    return b"".join(stream)


async def exactly(stream: Any, length: int) -> bytes:
    """The first bytes of a stream."""
    data = b""
    while len(data) < length:
        piece = await settled(stream.read(length - len(data)))
        if not piece:
            raise AssertionError(f"it ended after {data!r}")
        data += piece
    return data

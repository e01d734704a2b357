"""A connection for asyncio, on which one task may send while another receives.

It does not use asyncio's streams: when sending fails, these discard what has arrived and is not read yet, and with it the
response of a daemon that refuses a body early.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from functools import partial
from typing import Any, Callable, Dict, Set, TypeVar

from .. import errors
from .._daemon import Daemon
from .._http import PIECE

T = TypeVar("T")


class Connection:
    """A TCP connection, with TLS or without, or one to a unix socket. The socket itself never blocks."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._waiting: Dict[int, Set[asyncio.Future[None]]] = {select.POLLIN: set(), select.POLLOUT: set()}

    @classmethod
    async def open(cls, daemon: Daemon) -> Connection:
        """Connects to a daemon."""
        try:
            connection = cls(await _connect(daemon))
            if daemon.ssl_context is not None:
                await connection._start_tls(daemon.ssl_context, daemon.address.host)
            return connection
        except OSError as error:
            raise errors.no_daemon(daemon.address.text, error.strerror or error) from error

    async def send(self, data: bytes) -> None:
        """Sends all of it, as fast as the daemon takes it. Raises ``OSError`` if the connection is gone."""
        view = memoryview(data)
        while view:
            sent = await self._when_ready(partial(self._socket.send, view), select.POLLOUT)
            view = view[sent:]

    async def receive(self) -> bytes:
        """The next bytes; empty if the connection is gone."""
        try:
            return await self._when_ready(partial(self._socket.recv, PIECE), select.POLLIN)
        except OSError:
            return b""

    def close(self) -> None:
        """Ends both directions, and wakes the tasks that wait."""
        for event, waiting in self._waiting.items():
            if waiting:
                self._watch_no_longer(event)
            for future in waiting:
                if not future.done():
                    future.set_exception(ConnectionAbortedError("the connection was closed"))
        self._socket.close()

    async def _start_tls(self, context: ssl.SSLContext, host: str) -> None:
        try:
            secured = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
            self._socket = secured
            await self._when_ready(secured.do_handshake, select.POLLIN)
        except BaseException:
            self.close()
            raise

    async def _when_ready(self, operation: Callable[[], T], event: int) -> T:
        # An operation that does not block gives the other tasks a turn, too.
        await asyncio.sleep(0)
        while True:
            try:
                return operation()
            except ssl.SSLWantReadError:
                await self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                await self._wait(select.POLLOUT)
            except BlockingIOError:
                await self._wait(event)

    async def _wait(self, event: int) -> None:
        waiting, future = self._waiting[event], self._loop.create_future()
        if not waiting:
            watch = self._loop.add_reader if event == select.POLLIN else self._loop.add_writer
            watch(self._socket, self._wake, event)
        waiting.add(future)
        try:
            await future
        finally:
            waiting.discard(future)
            if not waiting and self._socket.fileno() >= 0:
                self._watch_no_longer(event)

    def _wake(self, event: int) -> None:
        for future in self._waiting[event]:
            if not future.done():
                future.set_result(None)

    def _watch_no_longer(self, event: int) -> None:
        forget: Callable[[Any], bool] = self._loop.remove_reader if event == select.POLLIN else self._loop.remove_writer
        forget(self._socket)


async def _connect(daemon: Daemon) -> socket.socket:
    """Connects to the first address of the daemon that can be reached."""
    address, loop = daemon.address, asyncio.get_running_loop()
    if address.unix_path is not None:
        return await _connect_to(socket.AF_UNIX, address.unix_path)
    fault = OSError("the name has no address")
    for family, _, _, _, there in await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        try:
            return await _connect_to(family, there)
        except OSError as error:
            fault = error
    raise fault


async def _connect_to(family: int, there: Any) -> socket.socket:
    connection = socket.socket(family)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, there)
        if family != socket.AF_UNIX:
            # A tunnel may be a conversation in small messages.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection

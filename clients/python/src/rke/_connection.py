"""A connection for blocking code, on which one thread may send while another receives."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from functools import partial
from typing import Callable, Optional, TypeVar

from . import errors
from ._daemon import Daemon
from ._http import PIECE

T = TypeVar("T")


class Deadline:
    """A time limit that starts when it is made."""

    def __init__(self, daemon: Daemon, what: str, seconds: Optional[float]) -> None:
        self._daemon = daemon
        self._what = what
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> Optional[float]:
        """The seconds that are left; ``None`` without a limit."""
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> errors.TimedOutError:
        """The exception for a limit that is exceeded."""
        return errors.timed_out(self._daemon.address.text, self._what, self._seconds)


class Connection:
    """A TCP connection, with TLS or without, or one to a unix socket.

    The socket itself never blocks: an operation that would block waits for the socket without holding the lock. TLS needs
    the lock, because two threads must not use its object at once.
    """

    def __init__(self, daemon: Daemon, deadline: Deadline) -> None:
        try:
            self._socket = _connect(daemon, deadline)
        except errors.TimedOutError:
            raise
        except socket.timeout as error:
            raise deadline.passed() from error
        except OSError as error:
            raise errors.no_daemon(daemon.address.text, error.strerror or error) from error
        self._socket.setblocking(False)
        self._lock = threading.Lock()
        self._users = 1

    def share(self) -> Connection:
        """The same connection for another thread, which has to ``release`` it too."""
        with self._lock:
            self._users += 1
        return self

    def release(self) -> None:
        """Closes the socket, unless another thread still uses it."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._socket.close()

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Sends all of it, as fast as the daemon takes it. Raises ``OSError`` if the connection is gone."""
        view = memoryview(data)
        while view:
            sent = self._when_ready(partial(self._socket.send, view), select.POLLOUT, deadline)
            view = view[sent:]

    def receive(self, deadline: Deadline) -> bytes:
        """The next bytes; empty if the connection is gone."""
        try:
            return self._when_ready(partial(self._socket.recv, PIECE), select.POLLIN, deadline)
        except errors.TimedOutError:
            raise
        except OSError:
            return b""

    def abort(self) -> None:
        """Ends both directions, and wakes a thread that waits."""
        try:
            # Not the method of the TLS socket: after it, another thread would read ciphertext as if it were data.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            pass

    def _when_ready(self, operation: Callable[[], T], event: int, deadline: Deadline) -> T:
        while True:
            try:
                with self._lock:
                    return operation()
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, deadline)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT, deadline)
            except BlockingIOError:
                self._wait(event, deadline)

    def _wait(self, event: int, deadline: Deadline) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        left = deadline.left()
        if not poll.poll(None if left is None else left * 1000):
            raise deadline.passed()


def _connect(daemon: Daemon, deadline: Deadline) -> socket.socket:
    address = daemon.address
    if address.unix_path is not None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(deadline.left())
            connection.connect(address.unix_path)
        except BaseException:
            connection.close()
            raise
        return connection
    connection = socket.create_connection((address.host, address.port), deadline.left())
    try:
        # A tunnel may be a conversation in small messages.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if daemon.ssl_context is not None:
            connection.settimeout(deadline.left())
            return daemon.ssl_context.wrap_socket(connection, server_hostname=address.host)
    except BaseException:
        connection.close()
        raise
    return connection

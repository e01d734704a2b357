"""Servers that respond with what no daemon would, or break off."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Callable, Iterator


@contextlib.contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """Has each connection handled in a thread of its own. Gives the address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=handled, args=(connection,), daemon=True).start()

    def handled(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            handle(connection)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # Closing alone does not wake who accepts.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    """Responds to each request with these bytes, and hangs up."""

    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    return handle


def raw(head: str, body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}".encode()


def status(code: int, body: str, head: str = "") -> bytes:
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{head}"
    return f"HTTP/1.1 {code} X\r\n{length}\r\n{body}".encode()

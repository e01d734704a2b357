"""HTTP/1.1 as the daemon speaks it, without sockets: the bytes of a request, and a parser for a response. The blocking
and the asyncio client share it.

``http.client`` cannot send and receive at the same time, drops trailers, and takes some cuts for an end. So only its parser
for headers is used here.

A response has to show where it ends, by its length or its last chunk. One that ends with its connection is refused,
because a cut would look like its end.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, parse_headers
from typing import Mapping, Optional

#: The most bytes that a head, or the trailers, may have.
HEAD_LIMIT = 64 * 1024
#: How many bytes are read or sent at once.
PIECE = 64 * 1024

LAST_CHUNK = b"0\r\n\r\n"

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: .*)?")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class Cut(Exception):
    """The connection ended before the response did."""


class Malformed(Exception):
    """The bytes are not a response."""


@dataclass(frozen=True)
class Head:
    """The status and the headers of a response."""

    status: int
    headers: Message


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a request line and its headers."""
    for name, value in headers.items():
        if not _VISIBLE.fullmatch(value):
            raise ValueError(f"{name} has characters that a header cannot hold")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("ascii")


def chunk(data: bytes) -> bytes:
    """A chunk of a body. It must not be empty: an empty chunk is the end of the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class ResponseParser:
    """Reads one response from bytes, however these are cut into pieces."""

    def __init__(self) -> None:
        self.head: Optional[Head] = None
        self.trailers: Optional[Message] = None
        self.ended = False
        self._buffer = bytearray()
        self._has_closed = False
        self._is_chunked = False
        # Bytes still missing from the body, or from the current chunk.
        self._left = 0
        # Whether the line end after a chunk's data comes next, and whether the trailers do.
        self._in_gap = False
        self._in_trailers = False

    @property
    def is_untouched(self) -> bool:
        """Whether no byte has arrived."""
        return self.head is None and not self._buffer

    def feed(self, data: bytes) -> None:
        """Takes bytes as they arrive; an empty piece means that the connection has closed."""
        self._buffer += data
        self._has_closed = self._has_closed or not data

    def read_head(self) -> Optional[Head]:
        """The head, or ``None`` while it is not complete. Interim responses (1xx) are skipped."""
        while self.head is None:
            line_end = self._buffer.find(b"\r\n")
            if line_end < 0:
                self._wait()
                return None
            status = _STATUS.fullmatch(bytes(self._buffer[:line_end]))
            if status is None:
                raise Malformed("it does not speak HTTP/1.1")
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                self._wait()
                return None
            headers = _headers(self._take(end + 4)[line_end + 2 :])
            if status[1][:1] != b"1":
                self.head = Head(int(status[1]), headers)
                self._find_length(headers)
        return self.head

    def read_piece(self) -> Optional[bytes]:
        """The next bytes of the body; ``None`` if more have to arrive, and after the body has ``ended``."""
        while not self.ended:
            if self._left:
                return self._data()
            if not (self._is_chunked and self._next_chunk()):
                break
        return None

    def _data(self) -> Optional[bytes]:
        if not self._buffer:
            self._wait()
            return None
        piece = self._take(min(self._left, len(self._buffer)))
        self._left -= len(piece)
        if self._is_chunked:
            self._in_gap = self._left == 0
        else:
            self.ended = self._left == 0
        return piece

    def _next_chunk(self) -> bool:
        """Reads what is between the data of two chunks. Returns ``False`` if more has to arrive."""
        if self._in_trailers:
            return self._end()
        if self._in_gap:
            if len(self._buffer) < 2:
                self._wait()
                return False
            if self._take(2) != b"\r\n":
                raise Malformed("a chunk is longer than it says")
            self._in_gap = False
        end = self._buffer.find(b"\r\n")
        if end < 0:
            self._wait()
            return False
        size = _CHUNK_SIZE.fullmatch(self._take(end + 2)[:end])
        if size is None:
            raise Malformed("a chunk has no size")
        self._left = int(size[1], 16)
        self._in_trailers = self._left == 0
        return True

    def _end(self) -> bool:
        if self._buffer.startswith(b"\r\n"):
            self.trailers = _headers(self._take(2))
        else:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                self._wait()
                return False
            self.trailers = _headers(self._take(end + 4))
        self.ended = True
        return False

    def _find_length(self, headers: Message) -> None:
        encodings, lengths = headers.get_all("Transfer-Encoding", []), headers.get_all("Content-Length", [])
        if [encoding.strip().lower() for encoding in encodings] == ["chunked"] and not lengths:
            self._is_chunked = True
        elif not encodings and len(lengths) == 1 and re.fullmatch("[0-9]{1,18}", lengths[0].strip()):
            self._left = int(lengths[0])
            self.ended = self._left == 0
        else:
            raise Malformed("nothing shows where its response ends")

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken

    def _wait(self) -> None:
        """Checks that more can arrive."""
        if self._has_closed:
            raise Cut("the connection closed early")
        if len(self._buffer) > HEAD_LIMIT:
            raise Malformed("a line or a header of its response is too long")


def _headers(block: bytes) -> Message:
    try:
        return parse_headers(io.BytesIO(block))
    except HTTPException as error:
        raise Malformed("its headers are too many or too long") from error

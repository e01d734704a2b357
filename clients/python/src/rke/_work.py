"""What a session's key does with data, whole or as a stream: names, fields, headers and lengths."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, Optional, Union

from ._calls import Call
from ._http import PIECE

#: Up to this many bytes go as JSON, which the daemon reads and judges whole before it responds; more goes as a raw body.
#: JSON may have 1 MiB, and Base64 makes four bytes of three.
JSON_LIMIT = 512 * 1024

Data = Union[bytes, bytearray, memoryview]

#: The JSON fields of the data and of its result.
_FIELDS = {
    "seal": ("plaintext", "sealed"),
    "open": ("sealed", "plaintext"),
    "encrypt": ("plaintext", "ciphertext"),
    "decrypt": ("ciphertext", "plaintext"),
}

#: The headers of raw bodies that stand for fields next to the data.
_HEADERS = {"nonce": "X-RKE-Nonce", "associated_data": "X-RKE-Associated-Data"}


@dataclass(frozen=True)
class Result:
    """A result in memory, and the nonce of an encryption."""

    data: bytes
    nonce: Optional[str]


@dataclass(frozen=True)
class Work:
    """One thing that a session's key does."""

    name: str
    session_id: str
    extra: Mapping[str, str]
    """The fields next to the data, by the daemon's names."""

    @classmethod
    def sealing(cls, name: str, session_id: str, associated_data: Data) -> Work:
        """``seal`` or ``open``. Empty associated data is none."""
        text = base64.b64encode(bytes_of(associated_data)).decode("ascii")
        return cls(name, session_id, {"associated_data": text} if text else {})

    @property
    def path(self) -> str:
        """The endpoint."""
        return f"/api/rke/{self.name}"

    def call(self, data: bytes) -> Call[Result]:
        """The work on data in memory, as JSON."""
        given, result = _FIELDS[self.name]
        body = {"session_id": self.session_id, given: base64.b64encode(data).decode("ascii"), **self.extra}

        def read(answer: Mapping[str, Any]) -> Result:
            # Invalid Base64 is a ValueError, which becomes an AnswerError.
            return Result(base64.b64decode(answer[result], validate=True), answer["nonce"] if self.is_encryption else None)

        return Call("POST", self.path, read, body=body)

    def headers(self) -> Dict[str, str]:
        """The headers of a raw body."""
        extra = {_HEADERS[name]: value for name, value in self.extra.items()}
        return {"X-RKE-Session": self.session_id, **extra}

    @property
    def is_encryption(self) -> bool:
        """Whether the result has a nonce."""
        return self.name == "encrypt"

    def is_whole(self, given: int, got: int) -> bool:
        """Whether ``got`` bytes are the complete result of ``given`` bytes."""
        if self.name == "seal":
            return got == _sealed_length(given)
        if self.name == "open":
            return given == _sealed_length(got)
        return given == got


def _sealed_length(length: int) -> int:
    """How long sealed data is: docs/seal-format.md, section 2."""
    return 72 + length + 16 * max(1, -(-length // 65536))


def pieces_of(data: bytes) -> Iterator[bytes]:
    """Data in pieces of the size that is sent at once."""
    for at in range(0, len(data), PIECE):
        yield data[at : at + PIECE]


def bytes_of(data: Data) -> bytes:
    """The bytes of a buffer. A string has none: its encoding is the caller's choice."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data is bytes, not {type(data).__name__}; encode a string first")
    return bytes(data)

"""A client of the rke daemon, which opens sessions with Content Servers, keeps their keys, and encrypts, decrypts, seals
and opens data with them. No key leaves the daemon.

A :class:`Client` knows where a daemon is. :meth:`Client.open` opens a :class:`Session`, whose methods work on bytes in
memory, or on streams of any length; :meth:`Session.tunnel` talks to the Content Server. A session ends with its ``with``
block, and its key is wiped at both ends: what was sealed or encrypted in it cannot be read again.

:mod:`rke.aio` has the same names for asyncio. All exceptions are :class:`RkeError`, one class for each thing that a caller
can do about it.
"""

from ._exchange import Readable, Source
from .answers import (
    CachedKey,
    Created,
    Deleted,
    Discovered,
    Encrypted,
    Event,
    Keys,
    KeySet,
    Raida,
    Raidas,
    Renewed,
    SessionRow,
    Sessions,
    Shown,
    Status,
    Wipe,
)
from .client import Client, Session
from .errors import (
    AnswerError,
    BrokenOffError,
    CommandFailedError,
    DaemonError,
    DamagedError,
    ExchangeError,
    FreshKeyError,
    LimitError,
    NoDaemonError,
    NotAllowedError,
    NotFoundError,
    RequestError,
    RkeError,
    TimedOutError,
    UpstreamError,
)
from .streams import EncryptedStream, Events, Stream, Tunnel

__version__ = "0.1.0"

__all__ = [
    "AnswerError",
    "BrokenOffError",
    "CachedKey",
    "Client",
    "CommandFailedError",
    "Created",
    "DaemonError",
    "DamagedError",
    "Deleted",
    "Discovered",
    "Encrypted",
    "EncryptedStream",
    "Event",
    "Events",
    "ExchangeError",
    "FreshKeyError",
    "KeySet",
    "Keys",
    "LimitError",
    "NoDaemonError",
    "NotAllowedError",
    "NotFoundError",
    "Raida",
    "Raidas",
    "Readable",
    "Renewed",
    "RequestError",
    "RkeError",
    "Session",
    "SessionRow",
    "Sessions",
    "Shown",
    "Source",
    "Status",
    "Stream",
    "TimedOutError",
    "Tunnel",
    "UpstreamError",
    "Wipe",
]

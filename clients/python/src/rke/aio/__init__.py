"""The same as :mod:`rke` for asyncio, with the same names.

Everything that asks the daemon is awaited. Streams are read with ``async for`` or ``await stream.read()``, and sessions and
streams end with their ``async with`` block. Answers and exceptions are those of :mod:`rke`.
"""

from ._exchange import Readable, Source
from .client import Client, Session
from .streams import EncryptedStream, Events, Stream, Tunnel

__all__ = ["Client", "EncryptedStream", "Events", "Readable", "Session", "Source", "Stream", "Tunnel"]

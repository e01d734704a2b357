"""A parser for server-sent events."""

from __future__ import annotations

import json
from typing import Iterator, List

from .answers import Event

#: What to do where events break off.
LISTEN_AGAIN = "listen again; what happened meanwhile shows in the first events"

#: The longest event, in bytes.
_LONGEST = 64 * 1024


class EventParser:
    """Reads events from bytes, however these are cut into pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that are complete. Raises ``ValueError`` if the bytes are not events of a daemon."""
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        if len(self._rest) > _LONGEST:
            raise ValueError("an event is too long")
        for block in blocks:
            name, data_lines = "message", []
            for line in block.decode("utf-8").split("\n"):
                # A line without a field name is a comment. The daemon sends one when nothing has happened for a while.
                field, _, value = line.partition(":")
                if field == "event":
                    name = value.strip()
                elif field == "data":
                    data_lines.append(value.strip())
            if data_lines:
                yield _event(name, data_lines)


def _event(name: str, data_lines: List[str]) -> Event:
    data = json.loads("\n".join(data_lines))
    if not isinstance(data, dict):
        raise ValueError("the data of an event is not an object")
    return Event(name, data)

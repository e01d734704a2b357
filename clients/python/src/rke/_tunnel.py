"""How a tunnel ends: docs/api.md, session/{id}/tunnel."""

from __future__ import annotations

from typing import Optional

from ._calls import session_path
from ._http import Head

#: Asks for the exit status; without it the daemon breaks off the response of a command that failed.
HEADERS = {"TE": "trailers"}

EXIT_STATUS = "RKE-Exit-Status"


def tunnel_path(session_id: str) -> str:
    """The endpoint."""
    return f"{session_path(session_id)}/tunnel"


def exit_status(head: Head, trailer: Optional[str]) -> Optional[int]:
    """The exit status of the command; ``None`` over a key of 8 bits.

    Raises ``ValueError`` if the response announced it and ended without it: that is a cut.
    """
    announced = [name.strip().lower() for name in head.headers.get("Trailer", "").split(",")]
    if trailer is None and EXIT_STATUS.lower() not in announced:
        return None
    if trailer is None or not trailer.strip().isdecimal():
        raise ValueError("its end lacks the exit status")
    return int(trailer)

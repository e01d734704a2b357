"""The state of clients and sessions, for the blocking and the asyncio client."""

from __future__ import annotations

import re
import ssl
from datetime import datetime
from typing import Optional

from . import errors
from ._daemon import Daemon, Path, Token
from ._http import Head
from .answers import Created, Deleted

_ID = re.compile(r"[\x21-\x7e]+")


class ClientState:
    """A daemon's address, token and time limit."""

    def __init__(
        self,
        address: Optional[str] = None,
        *,
        token: Optional[Token] = None,
        token_file: Optional[Path] = None,
        timeout: Optional[float] = 60.0,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        """Nothing is sent yet.

        ``address`` is ``http://HOST:PORT``, ``https://HOST:PORT``, ``HOST:PORT`` or ``unix:PATH``. The default is
        the environment variable ``RKE_DAEMON``, or else ``http://127.0.0.1:8080``.

        ``token`` is the token of a daemon with ``--require-token``, or a function that returns it; ``token_file`` is a file
        with it. Function and file are read for each request, because a daemon makes a new token each time it starts. The
        defaults are the environment variables ``RKE_TOKEN`` and ``RKE_TOKEN_FILE``.

        ``timeout`` is how many seconds a call may take, or a stream until its response begins; ``None`` for no limit.

        ``ssl_context`` is for ``https``: certificates other than the system's, or a client certificate.
        """
        self._daemon = Daemon.named(address, token, token_file, timeout, ssl_context)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.address}>"

    @property
    def address(self) -> str:
        """The daemon's address."""
        return self._daemon.address.text

    @property
    def timeout(self) -> Optional[float]:
        """How many seconds a call may take; ``None`` for no limit."""
        return self._daemon.timeout


class SessionState:
    """A session's id, and what is known about it."""

    id: str
    """The id. Anyone who has it can use the session: keep it out of URLs and logs."""
    created: Optional[Created]
    """The response that opened it; ``None`` if it was opened elsewhere."""
    expires_at: Optional[datetime]
    """When it expires, as far as this object knows."""
    deleted: Optional[Deleted]
    """The response that ended it, if this object ended it."""

    def __init__(self, daemon: Daemon, session_id: str, created: Optional[Created] = None, everywhere: bool = False) -> None:
        if not isinstance(session_id, str) or not _ID.fullmatch(session_id):
            raise ValueError("a session's id is a text of 32 hexadecimal digits")
        self._daemon = daemon
        self._everywhere = everywhere
        self.id = session_id
        self.created = created
        self.expires_at = None if created is None else created.expires_at
        self.deleted = None

    def __repr__(self) -> str:
        # Without the id: anyone who has it can use the session.
        domain = "" if self.created is None else f" with {self.created.domain}"
        return f"<{type(self).__name__}{domain} at {self._daemon.address.text}>"


def nonce_of(daemon: Daemon, head: Head) -> str:
    """The nonce in a response to an encryption."""
    nonce = head.headers.get("X-RKE-Nonce")
    if not nonce:
        raise errors.not_a_daemon(daemon.address.text, "its response has no nonce")
    return str(nonce)

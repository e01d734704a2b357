"""Where a daemon is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional
from urllib.parse import urlsplit

DEFAULT_ADDRESS = "http://127.0.0.1:8080"


@dataclass(frozen=True)
class Address:
    """The address of a daemon: a TCP port with or without TLS, or a unix socket."""

    text: str
    host: str
    port: int
    authority: str
    """The value of the ``Host`` header."""
    prefix: str = ""
    """The path of the URL, which goes before every other path. A proxy may need one."""
    unix_path: Optional[str] = None
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads ``http://HOST:PORT``, ``https://HOST:PORT``, ``HOST:PORT`` or ``unix:PATH``."""
        scheme, _, path = text.partition(":")
        if scheme == "unix" and path:
            return cls(text, "", 0, "localhost", unix_path=path)
        try:
            url = urlsplit(text if "://" in text else f"http://{text}")
            port = url.port
        except ValueError:
            raise _not_an_address(text) from None
        extras = url.query or url.fragment or url.username
        if url.scheme not in ("http", "https") or not url.hostname or extras or scheme == "unix":
            raise _not_an_address(text)
        tls = url.scheme == "https"
        return cls(text, url.hostname, port or (443 if tls else 80), url.netloc, url.path.rstrip("/"), tls=tls)


def _not_an_address(text: str) -> ValueError:
    return ValueError(f"not an address of a daemon: {text!r}; write http://HOST:PORT, HOST:PORT or unix:PATH")

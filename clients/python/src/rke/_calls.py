"""The calls whose request and response are JSON, as values that both the blocking and the asyncio client send."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from typing import Any, Callable, Dict, Generic, Mapping, Optional, Type, TypeVar, Union
from urllib.parse import quote, urlencode

from ._reading import read
from .answers import Created, Deleted, Discovered, Keys, Raidas, Renewed, Sessions, Shown, Status

T = TypeVar("T")

Query = Dict[str, Union[str, bool, None]]


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how its response is read."""

    method: str
    path: str
    read: Callable[[Mapping[str, Any]], T]
    query: Optional[Query] = None
    body: Optional[Mapping[str, Any]] = None

    @property
    def target(self) -> str:
        """Path and query. Flags that are not set, and values that are not given, are left out."""
        given = {name: value for name, value in (self.query or {}).items() if value is not None and value is not False}
        texts = {name: "true" if value is True else str(value) for name, value in given.items()}
        return f"{self.path}?{urlencode(texts)}" if texts else self.path

    @property
    def payload(self) -> Optional[bytes]:
        """The body to send, if there is one."""
        return None if self.body is None else json.dumps(self.body).encode("utf-8")


def create(domain: str, wallet_path: Union[str, os.PathLike[str]], fresh: bool) -> Call[Created]:
    """Opens a session."""
    body = {"domain": domain, "wallet_path": os.fspath(wallet_path), "fresh": fresh}
    return Call("POST", "/api/rke/session", _reading(Created), body=body)


def sessions() -> Call[Sessions]:
    """Lists the sessions."""
    return Call("GET", "/api/rke/sessions", _reading(Sessions))


def show(session_id: str) -> Call[Shown]:
    """Shows a session."""
    return Call("GET", session_path(session_id), _reading(Shown))


def renew(session_id: str) -> Call[Renewed]:
    """Restarts a session's lifetime."""
    return Call("POST", f"{session_path(session_id)}/renew", _reading(Renewed))


def delete(session_id: str, forget: bool, verify: bool, everywhere: bool) -> Call[Deleted]:
    """Ends a session."""
    query: Query = {"forget": forget, "verify": verify, "everywhere": everywhere}
    return Call("DELETE", session_path(session_id), _reading(Deleted), query=query)


def delete_sessions(domain: Optional[str], forget: bool) -> Call[int]:
    """Ends all sessions, or those of a domain."""
    return Call("DELETE", "/api/rke/sessions", _deleted, query={"domain": domain, "forget": forget})


def keys() -> Call[Keys]:
    """Lists the cached keys."""
    return Call("GET", "/api/rke/keys", _reading(Keys))


def delete_keys(domain: Optional[str]) -> Call[int]:
    """Removes all cached keys, or those of a domain."""
    return Call("DELETE", "/api/rke/keys", _deleted, query={"domain": domain})


def discover(domain: str) -> Call[Discovered]:
    """Looks up a domain."""
    return Call("GET", "/api/rke/discover", _reading(Discovered), query={"domain": domain})


def raidas() -> Call[Raidas]:
    """Shows the RAIDAs."""
    return Call("GET", "/api/rke/raidas", _reading(Raidas))


def refresh_raidas() -> Call[Raidas]:
    """Asks the guardians."""
    return Call("POST", "/api/rke/raidas/refresh", _reading(Raidas))


def status() -> Call[Status]:
    """Shows the daemon."""
    return Call("GET", "/api/rke/status", _reading(Status))


def export(session_id: str, label: str, context: bytes, length: int) -> Call[bytes]:
    """Derives a key for another program."""
    encoded = base64.b64encode(context).decode("ascii")
    body = {"session_id": session_id, "label": label, "context": encoded, "length": length}
    return Call("POST", "/api/rke/export", _exported, body=body)


def session_path(session_id: str) -> str:
    """The path of a session, whatever characters its id has."""
    return f"/api/rke/session/{quote(session_id, safe='')}"


def _reading(kind: Type[T]) -> Callable[[Mapping[str, Any]], T]:
    return lambda answer: read(kind, answer)


def _exported(answer: Mapping[str, Any]) -> bytes:
    # Invalid Base64 is a ValueError, which becomes an AnswerError.
    return base64.b64decode(answer["key"], validate=True)


def _deleted(answer: Mapping[str, Any]) -> int:
    return int(answer["deleted"])

"""A daemon, for the blocking and the asyncio client: its address, its token, and what its responses mean."""

from __future__ import annotations

import json
import os
import ssl
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Callable, Dict, Mapping, Optional, TypeVar, Union

from . import errors
from ._address import DEFAULT_ADDRESS, Address
from ._calls import Call
from ._http import Cut, Head, Malformed, ResponseParser, request_head

T = TypeVar("T")

Token = Union[str, Callable[[], Optional[str]]]
Path = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Daemon:
    """A daemon's address, and what it takes to be let in."""

    address: Address
    token: Optional[Callable[[], Optional[str]]] = field(repr=False)
    timeout: Optional[float]
    ssl_context: Optional[ssl.SSLContext] = field(repr=False)

    @classmethod
    def named(
        cls,
        address: Optional[str],
        token: Optional[Token],
        token_file: Optional[Path],
        timeout: Optional[float],
        ssl_context: Optional[ssl.SSLContext],
    ) -> Daemon:
        """Takes what is not given from the environment."""
        parsed = Address.parse(address or os.environ.get("RKE_DAEMON") or DEFAULT_ADDRESS)
        if parsed.tls and ssl_context is None:
            ssl_context = ssl.create_default_context()
        return cls(parsed, _token_source(token, token_file), timeout, ssl_context if parsed.tls else None)

    def request(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """The head of a request, with the token.

        Each request has a connection of its own. So nothing is held open, a daemon that has restarted is never asked on
        an old connection, and a daemon that refuses a body before its end may hang up.
        """
        # A daemon under a name of its own needs this header over plain HTTP: pages of other sites cannot send it.
        given = {"Host": self.address.authority, "Connection": "close", "X-RKE-Request": "1", **headers}
        token = None if self.token is None else self.token()
        if token and token.strip():
            given["Authorization"] = f"Bearer {token.strip()}"
        return request_head(method, self.address.prefix + target, given)

    def call(self, call: Call[Any]) -> bytes:
        """A complete request, with a JSON body if there is one."""
        body = call.payload
        headers = {} if body is None else {"Content-Type": "application/json"}
        if body is not None or call.method == "POST":
            headers["Content-Length"] = str(len(body or b""))
        return self.request(call.method, call.target, headers) + (body or b"")

    def answer(self, call: Call[T], head: Head, body: bytes) -> T:
        """Reads a complete response, or raises the exception for it."""
        if head.status != 200:
            raise self.refusal(head, body)
        answer = _json_object(body)
        if answer is None:
            raise errors.not_a_daemon(self.address.text, "its response is not a JSON object")
        try:
            return call.read(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise errors.not_a_daemon(
                self.address.text, f"its response to {call.path} is not as documented ({error})"
            ) from error

    def refusal(self, head: Head, body: bytes) -> errors.RkeError:
        """The exception for an error response."""
        answer = _json_object(body)
        if answer is None or answer.get("error") is not True or not isinstance(answer.get("message"), str):
            return errors.not_a_daemon(self.address.text, f"status {head.status} without the JSON of an error")
        return errors.refusal(head.status, answer, _texts(head.headers))

    def fault(self, parser: ResponseParser, error: Exception) -> errors.RkeError:
        """The exception for a response that cannot be read to its end."""
        if isinstance(error, Malformed):
            return errors.not_a_daemon(self.address.text, str(error))
        if parser.is_untouched and isinstance(error, Cut):
            return errors.no_daemon(self.address.text, "it closed the connection without a response")
        return errors.broken_off(error)


def _token_source(token: Optional[Token], token_file: Optional[Path]) -> Optional[Callable[[], Optional[str]]]:
    if token is not None and token_file is not None:
        raise TypeError("give token or token_file, not both")
    if callable(token):
        return token
    if token is not None:
        return lambda: token
    if token_file is None and not os.environ.get("RKE_TOKEN"):
        token_file = os.environ.get("RKE_TOKEN_FILE") or None
    if token_file is not None:
        return lambda: _read_token(token_file)
    return lambda: os.environ.get("RKE_TOKEN")


def _read_token(path: Path) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


def _json_object(body: bytes) -> Optional[Dict[str, Any]]:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _texts(headers: Message) -> Mapping[str, str]:
    return {name.title(): value for name, value in headers.items()}

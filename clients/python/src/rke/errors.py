"""What can go wrong: one class for each thing that a caller can do about it.

All are :class:`RkeError`. Any other exception is the caller's: from a data source, or a ``TypeError`` or ``ValueError`` about
an argument.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Type

__all__ = [
    "AnswerError",
    "BrokenOffError",
    "CommandFailedError",
    "DaemonError",
    "DamagedError",
    "ExchangeError",
    "FreshKeyError",
    "LimitError",
    "NoDaemonError",
    "NotAllowedError",
    "NotFoundError",
    "RequestError",
    "RkeError",
    "TimedOutError",
    "UpstreamError",
]


class RkeError(Exception):
    """The base of all errors of this library. ``str()`` returns ``message`` and ``remedy`` together."""

    message: str
    """What is wrong: the daemon's own words, if it has responded."""
    remedy: str
    """What to do about it; empty if the message says it."""
    code: Optional[int]
    """The HTTP status, if the daemon has responded."""
    fields: Dict[str, Any]
    """The other fields of its response: ``session_id``, ``domain``, ``wallet_path`` and others."""
    retry_after: Optional[int]
    """After how many seconds to try again, if the daemon says so."""
    request_id: Optional[str]
    """Names the request in the daemon's log, if the daemon has responded."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy
        self.code = None
        self.fields = {}
        self.retry_after = None
        self.request_id = None

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class RequestError(RkeError):
    """400, 405, 413, 414, 431: the request is wrong, and the message says how."""


class NotAllowedError(RkeError):
    """401, 403, 421: the daemon does not let this client do it, or knows the domain by another Content Server."""


class NotFoundError(RkeError):
    """404: the session has expired, was deleted, or never existed."""


class FreshKeyError(RkeError):
    """409: the session's key has been used as much as it may be, or the Content Server no longer has it."""


class DamagedError(RkeError):
    """422: the sealed data was altered or cut, or sealed in another session or with other associated data."""


class LimitError(RkeError):
    """429: no place is free, or too much was asked for in a short time. ``retry_after`` says how long to wait."""


class ExchangeError(RkeError):
    """503: no key was made, or the daemon has too much to do."""

    @property
    def answered(self) -> List[int]:
        """The indexes of the RAIDAs that gave a share."""
        return list(self.fields.get("answered", []))

    @property
    def faults(self) -> List[Dict[str, Any]]:
        """The RAIDAs that gave none, and why: ``raida`` and ``fault`` of each."""
        return list(self.fields.get("faults", []))


class UpstreamError(RkeError):
    """502: DNS, the Content Server or the shares of too many RAIDAs failed. The message says which."""


class DaemonError(RkeError):
    """408, 500: the daemon could not do it."""


class NoDaemonError(RkeError):
    """No daemon responds at the address."""


class TimedOutError(RkeError, TimeoutError):
    """The daemon took longer than the caller's ``timeout``."""


class BrokenOffError(RkeError):
    """The response ended early. What came of it is not complete and must not be used."""


class CommandFailedError(RkeError):
    """The command behind a tunnel exited with a status other than 0."""

    exit_status: int = 0
    """The command's exit status; 128 + n if signal n killed it."""


class AnswerError(RkeError):
    """The program at the address is not a daemon that this library understands."""


_CLASSES: Mapping[int, Type[RkeError]] = {
    401: NotAllowedError,
    403: NotAllowedError,
    404: NotFoundError,
    408: DaemonError,
    409: FreshKeyError,
    421: NotAllowedError,
    422: DamagedError,
    429: LimitError,
    502: UpstreamError,
    503: ExchangeError,
}

_REMEDIES: Mapping[Type[RkeError], str] = {
    NotAllowedError: "ask the daemon's operator",
    NotFoundError: "open a new one",
    FreshKeyError: "open a session with fresh=True",
    DamagedError: "do not use this data; check session and associated data, or get it again",
    UpstreamError: "check the domain, its DNS records and its Content Server",
    DaemonError: "try again; if it persists, read the daemon's log",
}


def refusal(code: int, answer: Mapping[str, Any], headers: Mapping[str, str]) -> RkeError:
    """The exception for an error response of the daemon."""
    fields = {name: value for name, value in answer.items() if name not in ("error", "message", "code")}
    kind = _CLASSES.get(code) or (DaemonError if code >= 500 else RequestError)
    if code == 404 and "session_id" not in fields:
        kind = RequestError
    seconds = headers.get("Retry-After") or ""
    retry_after = int(seconds) if seconds.isdecimal() else None
    error = kind(str(answer["message"]), _remedy(kind, code, fields, retry_after))
    error.code = code
    error.fields = fields
    error.retry_after = retry_after
    error.request_id = headers.get("X-Request-Id")
    return error


def _remedy(kind: Type[RkeError], code: int, fields: Mapping[str, Any], retry_after: Optional[int]) -> str:
    if kind is LimitError:
        wait = "wait" if retry_after is None else f"wait {retry_after} seconds"
        return f"delete a session, or {wait}"
    if kind is ExchangeError:
        named = "; `faults` names the RAIDAs that gave no share" if "faults" in fields else ""
        return f"try again later{named}"
    # The daemon's own message about a token says where it is.
    return "" if code == 401 else _REMEDIES.get(kind, "")


def no_daemon(address: str, reason: object) -> NoDaemonError:
    """Nothing responds at the address."""
    return NoDaemonError(f"No daemon responds at {address} ({reason})", "start one with `rke serve`, or name another address")


def not_a_daemon(address: str, oddity: str) -> AnswerError:
    """Something else responds at the address."""
    remedy = "check what listens there, and whether daemon and library have the same version"
    return AnswerError(f"The program at {address} is not an rke daemon: {oddity}", remedy)


def broken_off(reason: object) -> BrokenOffError:
    """A response that was cut short."""
    remedy = "discard what arrived; the session has ended, the data was altered, or the daemon is gone"
    return BrokenOffError(f"The daemon broke the response off ({reason})", remedy)


def timed_out(address: str, what: str, seconds: Optional[float]) -> TimedOutError:
    """The caller's time limit is exceeded."""
    return TimedOutError(f"{what} took longer than {seconds} seconds at {address}", "try again, or set a longer timeout")


def command_failed(status: int) -> CommandFailedError:
    """The end of a tunnel whose command failed."""
    error = CommandFailedError(f"The command behind the tunnel exited with status {status}", "what arrived may be incomplete")
    error.exit_status = status
    return error

"""Runs the calls of clients/conformance, with the client for blocking code and with the one for asyncio."""

from __future__ import annotations

import base64
import dataclasses
import re
from datetime import datetime
from typing import Any, AsyncIterator, Iterator

import rke
from rke import aio
from stage import pattern, settled

CLASSES = {
    "request": rke.RequestError,
    "not_allowed": rke.NotAllowedError,
    "not_found": rke.NotFoundError,
    "fresh_key": rke.FreshKeyError,
    "damaged": rke.DamagedError,
    "limit": rke.LimitError,
    "exchange": rke.ExchangeError,
    "upstream": rke.UpstreamError,
    "daemon": rke.DaemonError,
    "no_daemon": rke.NoDaemonError,
    "broken_off": rke.BrokenOffError,
    "command_failed": rke.CommandFailedError,
}

KINDS = {
    "<hex>": r"[0-9a-f]{32}",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "<number>": r"\d+",
    "<positive>": r"[1-9]\d*",
}


class SourceBroke(Exception):
    """What a source says that breaks."""


class Differs(AssertionError):
    """What came of a call is not what the list expects."""


class Data:
    """Data that the list describes, and what it does as a source."""

    def __init__(self, described: dict[str, Any], kept: dict[str, Any]) -> None:
        self.breaks = described.get("breaks", False)
        self.endless = described.get("endless", False)
        if "text" in described:
            self.bytes = described["text"].encode()
        elif "kept" in described:
            self.bytes = altered(bytearray(kept[described["kept"]]), described)
        else:
            self.bytes = pattern(described.get("pattern", 65536))

    def pieces(self, size: int) -> Iterator[bytes]:
        while True:
            for at in range(0, len(self.bytes), size):
                yield self.bytes[at : at + size]
            if self.breaks:
                raise SourceBroke
            if not self.endless:
                return

    async def pieces_in_time(self, size: int) -> AsyncIterator[bytes]:
        for piece in self.pieces(size):
            yield piece


def altered(data: bytearray, how: dict[str, Any]) -> bytes:
    if "flip" in how:
        data[how["flip"]] ^= 1
    if "swap" in how:
        one, other, length = how["swap"]
        moved = data[one : one + length]
        data[one : one + length] = data[other : other + length]
        data[other : other + length] = moved
    if "first" in how:
        del data[how["first"] :]
    return bytes(data) + base64.b64decode(how.get("append", ""))


async def run(case: dict[str, Any], client: Any, given: dict[str, Any]) -> None:
    """Runs a case. Raises Differs at the first step that goes otherwise than the list says."""
    kept = dict(given)
    for at, raw in enumerate(case["steps"], 1):
        for _ in range(raw.get("times", 1)):
            step = {name: value if name == "keep" else resolved(value, kept) for name, value in raw.items()}
            where = f"step {at}, {step['call']}"
            try:
                gives = await CALLS[step["call"]](client, step)
            except (rke.RkeError, SourceBroke) as error:
                check_failure(error, step.get("fails"), where)
                continue
            if "fails" in step:
                raise Differs(f"{where} did not fail but gave {str(gives)[:300]}")
            match(gives, step.get("gives", {}), where)
            kept.update({name: gives[field] for name, field in step.get("keep", {}).items()})


def resolved(value: Any, kept: dict[str, Any]) -> Any:
    """A step with what was kept in the places of the names. Data becomes Data."""
    if isinstance(value, str) and value.startswith("$"):
        name, _, how = value[1:].partition("|")
        return kept[name].upper() if how == "upper" else kept[name]
    if isinstance(value, list):
        return [resolved(item, kept) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("kept"), str) or not {"text", "pattern", "endless"}.isdisjoint(value):
        return Data(value, kept)
    return {name: resolved(item, kept) for name, item in value.items()}


def check_failure(error: Exception, fails: Any, where: str) -> None:
    if fails is None:
        raise Differs(f"{where} failed: {error!r}") from error
    expected = SourceBroke if fails["class"] == "source" else CLASSES[fails["class"]]
    if type(error) is not expected:
        raise Differs(f"{where} failed otherwise than {fails['class']}: {error!r}") from error
    described = {
        name: getattr(error, name, None) for name in ("message", "code", "fields", "retry_after", "answered", "faults")
    }
    described["status"] = getattr(error, "exit_status", None)
    match(described, {name: item for name, item in fails.items() if name != "class"}, f"{where}, error")


def match(value: Any, expected: Any, where: str) -> None:
    """Raises Differs where a value is not what the list expects."""
    if isinstance(expected, dict):
        for name, item in expected.items():
            match(value.get(name), item, f"{where}.{name}")
        return
    if isinstance(expected, list) and isinstance(value, (list, tuple)) and len(value) == len(expected):
        for at, item in enumerate(expected):
            match(value[at], item, f"{where}[{at}]")
        return
    if isinstance(expected, Data):
        if value != expected.bytes:
            raise Differs(f"{where}: other data, {len(value)} of {len(expected.bytes)} bytes")
    elif not fits(value, expected):
        raise Differs(f"{where}: {value!r} instead of {expected!r}")


def fits(value: Any, expected: Any) -> bool:
    if not isinstance(expected, str):
        return type(value) is type(expected) and value == expected
    # Whatever the list does not mean by a name or by an ellipsis is itself.
    like = KINDS.get(expected) or ".*".join(re.escape(part) for part in expected.split("…"))
    return value is not None and re.fullmatch(like, str(value), re.DOTALL) is not None


def fields(answer: Any) -> Any:
    """An answer by the daemon's names, as it came."""
    if dataclasses.is_dataclass(answer):
        return {field.name: fields(getattr(answer, field.name)) for field in dataclasses.fields(answer)}
    if isinstance(answer, datetime):
        return answer.strftime("%Y-%m-%dT%H:%M:%SZ")
    return [fields(item) for item in answer] if isinstance(answer, tuple) else answer


def plain(data: bytes) -> dict[str, Any]:
    return {"data": data, "length": len(data)}


def session(client: Any, step: dict[str, Any]) -> Any:
    return client.session(step["id"])


def source(client: Any, step: dict[str, Any]) -> Any:
    size = step.get("pieces", 65536)
    return step["data"].pieces_in_time(size) if isinstance(client, aio.Client) else step["data"].pieces(size)


def options(step: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: step[name].bytes if isinstance(step[name], Data) else step[name] for name in names if name in step}


async def create(client: Any, step: dict[str, Any]) -> Any:
    opened = await settled(client.open(step["domain"], step["wallet_path"], **options(step, "fresh")))
    return fields(opened.created)


async def encrypt(client: Any, step: dict[str, Any]) -> Any:
    ciphertext, nonce = await settled(session(client, step).encrypt(step["data"].bytes))
    return {**plain(ciphertext), "nonce": nonce}


async def decrypt(client: Any, step: dict[str, Any]) -> Any:
    return plain(await settled(session(client, step).decrypt(step["data"].bytes, step["nonce"])))


async def whole(client: Any, step: dict[str, Any]) -> Any:
    work = getattr(session(client, step), step["call"])
    return plain(await settled(work(step["data"].bytes, **options(step, "associated_data"))))


async def export(client: Any, step: dict[str, Any]) -> Any:
    work = session(client, step).export
    return plain(await settled(work(step["label"], **options(step, "context", "length"))))


async def streamed(client: Any, step: dict[str, Any]) -> Any:
    work = getattr(session(client, step), step["call"])
    stream = await settled(work(source(client, step), **options(step, "nonce", "associated_data")))
    data, after = bytearray(), step.get("after")
    while True:
        piece = await settled(stream.read(65536))
        if not piece:
            return {**plain(bytes(data)), "nonce": getattr(stream, "nonce", None)}
        data += piece
        if after is not None and len(data) >= after["bytes"]:
            await CALLS[after["call"]](client, after)
            after = None


async def heard(client: Any, step: dict[str, Any]) -> Any:
    """Listens until the events of the step have come; makes its other call then, and listens for the events of that."""
    events = await settled(client.events())
    events.timeout = 60
    try:
        await come(events, step["until"])
        if "after" in step:
            await CALLS[step["after"]["call"]](client, step["after"])
            await come(events, step["after"]["until"])
        return {}
    finally:
        await settled(events.close())


async def come(events: Any, expected: list[Any]) -> None:
    """Waits until each of these events has come, in any order."""
    missing = expected
    while missing:
        event = fields(next(events) if hasattr(events, "__next__") else await events.__anext__())
        missing = [one for one in missing if not is_like(event, one)]


def is_like(event: Any, expected: Any) -> bool:
    try:
        match(event, expected, "event")
    except Differs:
        return False
    return True


def of_client(name: str, *parameters: str) -> Any:
    async def call(client: Any, step: dict[str, Any]) -> Any:
        return fields(await settled(getattr(client, name)(**options(step, *parameters))))

    return call


def of_session(name: str, *parameters: str) -> Any:
    async def call(client: Any, step: dict[str, Any]) -> Any:
        return fields(await settled(getattr(session(client, step), name)(**options(step, *parameters))))

    return call


def counting(call: Any) -> Any:
    async def count(client: Any, step: dict[str, Any]) -> Any:
        return {"deleted": await call(client, step)}

    return count


CALLS: dict[str, Any] = {
    "create": create,
    "list": of_client("sessions"),
    "show": of_session("show"),
    "renew": of_session("renew"),
    "delete": of_session("delete", "forget", "verify", "everywhere"),
    "delete_all": counting(of_client("delete_sessions", "domain", "forget")),
    "keys": of_client("keys"),
    "delete_keys": counting(of_client("delete_keys", "domain")),
    "discover": of_client("discover", "domain"),
    "status": of_client("status"),
    "raidas": of_client("raidas"),
    "refresh_raidas": of_client("refresh_raidas"),
    "encrypt": encrypt,
    "decrypt": decrypt,
    "seal": whole,
    "open": whole,
    "export": export,
    "encrypt_stream": streamed,
    "decrypt_stream": streamed,
    "seal_stream": streamed,
    "open_stream": streamed,
    "tunnel": streamed,
    "events": heard,
}

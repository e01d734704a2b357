"""Reads the daemon's JSON into the types of :mod:`rke.answers`."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Dict, Mapping, Type, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def read(kind: Type[T], value: object) -> T:
    """A value of this dataclass. Unknown fields are ignored.

    Raises ``ValueError`` if a field is missing or has another type.
    """
    result: T = _read(kind, value, kind.__name__)
    return result


def _read(kind: Any, value: object, where: str) -> Any:
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, value, where)
    if kind is datetime:
        return _read_time(value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union:
        return None if value is None else _read(arguments[0], value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(arguments[0], item, where) for item in value)
    if kind is float and type(value) is int:
        return float(value)
    # Not `isinstance`: in Python a boolean is a number.
    if type(value) is not (origin or kind):
        raise ValueError(f"{where} is {type(value).__name__} and not {kind}")
    return value


def _read_fields(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is not an object")
    given = {}
    for field in dataclasses.fields(kind):
        if field.name in value:
            given[field.name] = _read(_hints(kind)[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING:
            raise ValueError(f"{where} has no {field.name}")
    return kind(**given)


def _read_time(value: object, where: str) -> datetime:
    if not isinstance(value, str):
        raise ValueError(f"{where} is not a time")
    return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


@lru_cache(maxsize=None)
def _hints(kind: Any) -> Dict[str, Any]:
    return get_type_hints(kind)

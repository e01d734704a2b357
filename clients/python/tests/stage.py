"""The daemons that the tests ask: a JSON file that RKE_CONFORMANCE names. See clients/conformance/README.md."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent

file = os.environ.get("RKE_CONFORMANCE")
if not file:
    raise SystemExit(
        "RKE_CONFORMANCE has to name a file that says where daemons are: clients/conformance/README.md. "
        "`cargo test -p rke --test end_to_end clients` starts them and does so."
    )

STAGE: dict[str, Any] = json.loads(Path(file).read_text())
DAEMONS: dict[str, Any] = STAGE["daemons"]
DOMAIN: str = STAGE["domain"]
DEV: dict[str, str] = DAEMONS["dev"]

# What the environment says must not reach the tests.
for name in ("RKE_DAEMON", "RKE_TOKEN", "RKE_TOKEN_FILE"):
    os.environ.pop(name, None)


async def settled(value: Any) -> Any:
    """What a call gives, whether it has to be awaited or not. So one test serves both halves of the library."""
    return await value if inspect.isawaitable(value) else value


def pattern(length: int) -> bytes:
    """The data of the list: byte i is i mod 251."""
    return (bytes(range(251)) * (length // 251 + 1))[:length]

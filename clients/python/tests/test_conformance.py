"""The list of clients/conformance: blocking and with asyncio, over TCP and over the unix socket."""

from __future__ import annotations

import asyncio
import json
import unittest
from typing import Any

import conformance
import rke
from rke import aio
from stage import DAEMONS, DOMAIN, PACKAGE

CASES = json.loads((PACKAGE.parent / "conformance" / "calls.json").read_text(encoding="utf-8"))
HALVES: dict[str, Any] = {"blocking": rke.Client, "asyncio": aio.Client}


class Conformance(unittest.TestCase):
    """One test for each case in each way."""

    maxDiff = None

    @classmethod
    def add(cls, name: str, case: Any, daemon: Any, kind: Any, address: str) -> None:
        def test(self: Conformance) -> None:
            client = kind(address, token=daemon.get("token"))
            given = {"domain": DOMAIN, "wallet": daemon["wallet"], "key": daemon.get("key")}
            asyncio.run(conformance.run(case, client, given))

        test.__doc__ = name
        setattr(cls, f"test_{name}", test)

    def test_there_are_cases(self) -> None:
        self.assertGreater(len(CASES), 30)


for case in CASES:
    daemon = DAEMONS[case.get("daemon", "dev")]
    for half, kind in HALVES.items():
        title = f"{case['name']} ({case.get('daemon', 'dev')}, {half}"
        Conformance.add(f"{title})", case, daemon, kind, daemon["url"])
        if "unix" in daemon and "slow" not in case:
            Conformance.add(f"{title}, unix socket)", case, daemon, kind, f"unix:{daemon['unix']}")

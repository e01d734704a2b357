"""The Python client as a listener: prints the name of each event, and how the events ended. Arguments are the half of the
library, and the daemon's URL."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[6] / "clients" / "python" / "src"))

import rke  # noqa: E402
from rke import aio  # noqa: E402


def listen(url: str) -> None:
    with rke.Client(url).events() as events:
        for event in events:
            print(event.name, flush=True)


async def listen_in_time(url: str) -> None:
    async with await aio.Client(url).events() as events:
        async for event in events:
            print(event.name, flush=True)


try:
    half, url = sys.argv[1:]
    if half == "blocking":
        listen(url)
    else:
        asyncio.run(listen_in_time(url))
    print("ended")
except rke.BrokenOffError:
    print("broken off")

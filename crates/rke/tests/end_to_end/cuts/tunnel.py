"""The Python client as a receiver: standard input goes through the tunnel of a session, and the response to standard output.

Arguments are the half of the library, the daemon's address and the session's id. Exits with 0 if the response is complete,
with 255 after a cut, and otherwise with the status of the command behind the tunnel.
"""

import asyncio
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[5] / "clients" / "python" / "src"))

import rke  # noqa: E402
from rke import aio  # noqa: E402


def write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)


def blocking(address: str, session_id: str) -> None:
    for piece in rke.Client(address).session(session_id).tunnel(open(0, "rb", buffering=0)):
        write(piece)


async def asynchronous(address: str, session_id: str) -> None:
    async for piece in await aio.Client(address).session(session_id).tunnel(open(0, "rb", buffering=0)):
        write(piece)


def receive(half: str, address: str, session_id: str) -> int:
    try:
        if half == "blocking":
            blocking(address, session_id)
        else:
            asyncio.run(asynchronous(address, session_id))
    except rke.CommandFailedError as error:
        return error.exit_status
    except (rke.BrokenOffError, rke.UpstreamError) as error:
        print(f"rke: {error}", file=sys.stderr)
        return 255
    return 0


# Any other exception exits with 1. Standard input may still be open, which must not keep the program from exiting.
sys.exit(receive(*sys.argv[1:]))

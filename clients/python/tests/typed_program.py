"""Uses of the library, for a type checker. Lines that end with `wrong` are what it has to refuse, and no other."""

import asyncio
import io
from datetime import datetime
from typing import AsyncIterator, Optional

import rke
from rke import aio


def blocking(client: rke.Client) -> None:
    with client.open("a.example", "/wallet", everywhere=True) as session:
        sealed: bytes = session.seal(b"x", associated_data=memoryview(b"y"))
        session.seal("x")  # wrong
        sealed = session.export("vpn", context=b"peer", length=32)
        session.export(b"vpn")  # wrong
        session.open(sealed, b"y")  # wrong
        ciphertext, nonce = session.encrypt(bytearray(b"x"))
        session.decrypt(nonce, ciphertext)  # wrong
        session.decrypt(ciphertext)  # wrong
        expires: Optional[datetime] = session.expires_at
        print(expires, session.nothing)  # wrong
        for piece in session.seal_stream(io.BytesIO(b"x")):
            sealed += piece
        session.seal_stream(open("file"))  # wrong
        session.seal_stream(["text"])  # wrong
        session.seal_stream(session.open_stream([b"x", bytearray(b"y")]))
        nonce = session.encrypt_stream([]).nonce
        nonce = session.seal_stream([]).nonce  # wrong
        status: Optional[int] = session.tunnel().exit_status
        print(session.tunnel().exit_status + 1)  # wrong
        print(status, session.delete(verify=True).wipe.hits)  # wrong
    first: str = client.keys().keys[0].coins[0]
    first = client.keys().keys[0].key_bits  # wrong
    for event in client.events():
        first = event.name
    rke.Client(first, token=lambda: None, timeout=None)
    rke.Client(timeout="5")  # wrong
    try:
        client.status()
    except rke.LimitError as error:
        print(error.retry_after or 0, error.answered)  # wrong
    except rke.ExchangeError as error:
        print(error.answered, error.code, error.fields["domain"])


async def asynchronous(client: aio.Client, reader: asyncio.StreamReader) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    async with await client.open("a.example", "/wallet") as session:
        sealed: bytes = await session.seal(b"x")
        sealed = session.seal(b"x")  # wrong
        async for piece in await session.seal_stream(pieces()):
            sealed += piece
        await session.seal_stream(reader)
        await session.seal_stream(io.BytesIO(b"x"))
        for each in await session.seal_stream([b"x"]):  # wrong
            print(each)
        async with await session.tunnel() as tunnel:
            sealed = await tunnel.read(10)
    with client.session("a"):  # wrong
        pass

"""TLS: the daemon behind a server that terminates it. Its object must not be used by two threads at once."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import rke
from halves import block, collected, exactly, halves
from stage import DEV, DOMAIN, pattern, settled


class Terminator:
    """A server that takes TLS off and hands all the rest to the daemon."""

    def __init__(self, folder: str) -> None:
        self.certificate, key = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        subject = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", str(key), "-out", str(self.certificate)]
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject, *files]
        subprocess.run(make, check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, key)
        self.is_there = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve()))
        self.thread.start()
        self.is_there.wait()

    async def serve(self) -> None:
        self.loop, self.is_over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self.handle, "127.0.0.1", 0, ssl=self.context)
        self.address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self.is_there.set()
        await self.is_over.wait()
        server.close()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        daemon = urlsplit(DEV["url"])
        there_reader, there_writer = await asyncio.open_connection(daemon.hostname, daemon.port)
        try:
            await asyncio.gather(move(reader, there_writer), move(there_reader, writer))
        finally:
            writer.transport.abort()
            there_writer.transport.abort()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.is_over.set)
        self.thread.join()


async def move(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while True:
            data = await reader.read(65536)
            if not data:
                break
            writer.write(data)
            await writer.drain()
    writer.close()


class Tls:
    def setUp(self: Any) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.server = Terminator(folder.name)
        self.addCleanup(self.server.stop)
        self.context = ssl.create_default_context(cafile=str(self.server.certificate))

    async def test_everything_works_over_tls(self: Any) -> None:
        client = self.client(self.server.address, ssl_context=self.context)
        async with block(await settled(client.open(DOMAIN, DEV["wallet"]))) as session:
            for data in (b"", pattern(3_000_017)):
                self.assertEqual(await settled(session.open(await settled(session.seal(data)))), data)
            pieces = (pattern(100_000) for _ in range(100))
            opened = await settled(session.open_stream(await settled(session.seal_stream(pieces))))
            self.assertEqual(await collected(opened), pattern(100_000) * 100)
            source = self.conversation()
            async with block(await settled(session.tunnel(source.pieces))) as tunnel:
                tunnel.timeout = 20
                for text in (b"one", b"two"):
                    source.send(text)
                    self.assertEqual(await exactly(tunnel, 3), text)
                source.send(None)
                self.assertEqual((await settled(tunnel.read()), tunnel.exit_status), (b"", 0))
            with self.assertRaises(rke.BrokenOffError):
                endless = self.endless()
                stream = await settled(session.seal_stream(endless.pieces))
                await settled(session.close())
                await collected(stream)
            await endless.was_let_go()

    async def test_a_certificate_that_is_not_trusted_is_refused(self: Any) -> None:
        with self.assertRaises(rke.NoDaemonError):
            await settled(self.client(self.server.address).status())
        with self.assertRaises(rke.NoDaemonError):
            await settled(self.client(self.server.address.replace("127.0.0.1", "localhost"), ssl_context=self.context).status())
        with self.assertRaises(rke.RkeError):
            await settled(self.client(self.server.address.replace("https", "http")).status())


globals().update(halves(Tls))

if __name__ == "__main__":
    unittest.main()

"""What the list of calls cannot say, because each language has its own ways: blocks, sources, timeouts, threads."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import pickle
import queue
import shutil
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import rke
from halves import AsyncSource, block, collected, exactly, halves, until
from rke import aio
from stage import DAEMONS, DEV, DOMAIN, pattern, settled


class Sessions:
    """Sessions and their blocks."""

    async def test_a_session_ends_with_its_block(self: Any) -> None:
        async with self.session() as session:
            self.assertEqual((await settled(session.show())).domain, DOMAIN)
            self.assertEqual(session.expires_at, session.created.expires_at)
        self.assertEqual(session.deleted, rke.Deleted(session.id))
        with self.assertRaises(rke.NotFoundError):
            await settled(session.show())

    async def test_a_block_may_wait_for_the_content_server(self: Any) -> None:
        async with self.session(everywhere=True) as session:
            pass
        self.assertEqual(session.deleted.remote, "forgotten")

    async def test_a_session_that_has_ended_closes_again(self: Any) -> None:
        async with self.session() as session:
            deleted = await settled(session.delete(forget=True, verify=True, everywhere=True))
            self.assertEqual((deleted.wipe.hits, deleted.remote), (0, "forgotten"))
        await settled(session.close())
        with self.assertRaises(rke.NotFoundError):
            await settled(session.delete())

    async def test_an_exception_of_the_block_comes_out_even_where_the_session_cannot_end(self: Any) -> None:
        nobody = DAEMONS["nobody"]["url"]
        with self.assertRaisesRegex(KeyError, "mine"):
            async with block(self.client(nobody).session("a")):
                raise KeyError("mine")
        with self.assertRaises(rke.NoDaemonError):
            async with block(self.client(nobody).session("a")):
                pass

    async def test_a_session_of_elsewhere_is_used_by_its_id(self: Any) -> None:
        async with self.session() as opened:
            session = self.client().session(opened.id)
            self.assertIsNone(session.created)
            renewed = await settled(session.renew())
            self.assertEqual(session.expires_at, renewed.expires_at)
            self.assertGreaterEqual(session.expires_at, opened.expires_at)
            self.assertNotIn(opened.id, f"{opened!r} {session!r} {opened.created!r} {renewed!r}")
        for wrong in ("", "a b", "ä", "a\n", 7, None):
            with self.assertRaises(ValueError):
                self.client().session(wrong)

    async def test_a_wallet_may_be_a_path(self: Any) -> None:
        async with block(await settled(self.client().open(DOMAIN, Path(DEV["wallet"]), fresh=True))) as session:
            self.assertFalse(session.created.from_cache)


class Data:
    """Data that is all there, and data as it is read."""

    async def test_data_is_bytes_of_any_kind(self: Any) -> None:
        async with self.session() as session:
            for data in (b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4], memoryview(b"a-b-c")[::2]):
                self.assertEqual(await settled(session.open(await settled(session.seal(data)))), b"abc")
                ciphertext, nonce = await settled(session.encrypt(data))
                self.assertEqual(await settled(session.decrypt(ciphertext, nonce)), b"abc")
            for wrong in ("abc", 7, [1], None):
                with self.assertRaises(TypeError):
                    await settled(session.seal(wrong))
            with self.assertRaises(TypeError):
                await settled(session.seal(b"x", associated_data="text"))

    async def test_whole_data_may_be_larger_than_json_may(self: Any) -> None:
        async with self.session() as session:
            for length in (524_288, 524_289, 3_000_017):
                data = pattern(length)
                ciphertext, nonce = await settled(session.encrypt(data))
                self.assertEqual(await settled(session.decrypt(ciphertext, nonce)), data)
                sealed = bytearray(await settled(session.seal(data, associated_data=b"a")))
                self.assertEqual(await settled(session.open(sealed, associated_data=b"a")), data)
            sealed[2_000_000] ^= 1
            with self.assertRaises(rke.BrokenOffError):
                await settled(session.open(sealed, associated_data=b"a"))
            with self.assertRaises(rke.DamagedError):
                await settled(session.open(sealed))

    async def test_json_that_is_too_large_is_refused_while_it_is_sent(self: Any) -> None:
        async with self.session() as session:
            for length in (800_000, 20_000_000):
                with self.assertRaises(rke.RequestError) as caught:
                    await settled(session.seal(b"x", associated_data=bytes(length)))
                self.assertEqual(caught.exception.code, 413)

    async def test_sources_are_of_many_kinds(self: Any) -> None:
        data = pattern(200_001)
        pieces = [data[:1], b"", bytearray(data[1:150_000]), memoryview(data)[150_000:]]
        with tempfile.TemporaryFile() as file, tempfile.TemporaryFile(buffering=0) as unbuffered:
            for written in (file, unbuffered):
                written.write(data)
                written.seek(0)
            for source in (pieces, tuple(pieces), iter(pieces), io.BytesIO(data), file, unbuffered):
                async with self.session() as session:
                    sealed = await settled(session.seal_stream(source, associated_data=b"a"))
                    opened = await settled(session.open_stream(sealed, associated_data=b"a"))
                    self.assertEqual(await collected(opened), data, type(source))
            self.assertFalse(file.closed or unbuffered.closed)

    async def test_what_is_not_a_source_is_a_type_error(self: Any) -> None:
        async with self.session() as session:
            for wrong in (b"bytes", "text", bytearray(b"x"), 7, None):
                with self.assertRaises(TypeError):
                    await settled(session.seal_stream(wrong))
            for pieces in (["text"], [7], io.StringIO("text")):
                with self.assertRaises(TypeError):
                    await collected(await settled(session.seal_stream(pieces)))

    async def test_a_nonce_that_no_header_can_hold_is_a_value_error(self: Any) -> None:
        async with self.session() as session:
            for nonce in ("a\nb", "ä", ""):
                with self.assertRaises(ValueError):
                    await settled(session.decrypt_stream([b"x"], nonce))

    async def test_a_stream_is_read_like_a_file(self: Any) -> None:
        data = pattern(100_000)
        async with self.session() as session:
            stream = await settled(session.encrypt_stream(io.BytesIO(data)))
            self.assertRegex(stream.nonce, "^[0-9a-f]{32}$")
            self.assertEqual(await settled(stream.read(0)), b"")
            start = await exactly(stream, 3)
            rest = await settled(stream.read())
            self.assertEqual((await settled(stream.read()), await settled(stream.read(5))), (b"", b""))
            self.assertEqual(await settled(session.decrypt(start + rest, stream.nonce)), data)


class Streams:
    """Streams that end otherwise."""

    async def test_a_stream_that_is_closed_lets_go_of_its_source(self: Any) -> None:
        source = self.endless()
        async with self.session() as session:
            async with block(await settled(session.encrypt_stream(source.pieces))) as stream:
                await exactly(stream, 300_000)
            await source.was_let_go()
            with self.assertRaises(ValueError):
                await settled(stream.read())

    async def test_a_stream_that_is_refused_lets_go_of_its_source(self: Any) -> None:
        source = self.endless()
        with self.assertRaises(rke.NotFoundError):
            await settled(self.client().session("0" * 32).seal_stream(source.pieces))
        await source.was_let_go()

    async def test_a_stream_that_is_broken_off_lets_go_of_its_source(self: Any) -> None:
        source = self.endless()
        async with self.session() as session:
            stream = await settled(session.seal_stream(source.pieces))
            await settled(session.delete())
            with self.assertRaises(rke.BrokenOffError):
                while await settled(stream.read(65536)):
                    pass
            await source.was_let_go()

    async def test_data_is_not_read_faster_than_its_result_is_taken(self: Any) -> None:
        given = 0

        def counted() -> Any:
            nonlocal given
            while True:
                given += 1
                yield bytes(1_000_000)

        async with self.session() as session:
            async with block(await settled(session.encrypt_stream(counted()))) as stream:
                await exactly(stream, 1)
                # It stands still once all buffers are full.
                before = -1
                while given != before and given < 50:
                    before = given
                    await asyncio.sleep(0.5)
                self.assertLess(given, 50)

    async def test_a_tunnel_goes_both_ways_at_the_same_time(self: Any) -> None:
        source = self.conversation()
        async with self.session() as session:
            async with block(await settled(session.tunnel(source.pieces))) as tunnel:
                for text in (b"one", b"two", b"three"):
                    source.send(text)
                    self.assertEqual(await exactly(tunnel, len(text)), text)
                self.assertIsNone(tunnel.exit_status)
                source.send(None)
                self.assertEqual(await settled(tunnel.read()), b"")
                self.assertEqual(tunnel.exit_status, 0)

    async def test_a_file_is_sent_as_it_is_written(self: Any) -> None:
        reading, writing = os.pipe()
        with open(writing, "wb", buffering=0) as writer, open(reading, "rb") as file:
            async with self.session() as session:
                async with block(await settled(session.tunnel(file))) as tunnel:
                    tunnel.timeout = 20
                    for text in (b"one", b"two"):
                        writer.write(text)
                        self.assertEqual(await exactly(tunnel, 3), text)
                    writer.close()
                    self.assertEqual(await settled(tunnel.read()), b"")

    async def test_what_is_closed_holds_no_socket(self: Any) -> None:
        source = self.conversation()
        async with self.session() as session:
            before = len(os.listdir("/proc/self/fd"))
            closed = [await settled(session.seal_stream([bytes(10)])) for _ in range(4)]
            closed.append(await settled(session.tunnel(source.pieces)))
            for stream in closed:
                await settled(stream.close())
            source.send(b"x")
            await until(lambda: len(os.listdir("/proc/self/fd")) <= before)

    async def test_a_tunnel_without_data_ends(self: Any) -> None:
        async with self.session() as session:
            self.assertEqual(await settled((await settled(session.tunnel())).read()), b"")

    async def test_much_data_passes_a_tunnel_whose_ends_are_this_and_an_echo(self: Any) -> None:
        async with self.session() as session:
            tunnel = await settled(session.tunnel(bytes(100_000) for _ in range(200)))
            self.assertEqual(await collected(tunnel), bytes(20_000_000))

    async def test_a_tunnel_is_cut_where_its_session_ends(self: Any) -> None:
        source = self.conversation()
        async with self.session() as session:
            tunnel = await settled(session.tunnel(source.pieces))
            source.send(b"DELETE FROM users")
            await exactly(tunnel, 17)
            await settled(session.close())
            with self.assertRaises(rke.BrokenOffError):
                await settled(tunnel.read())
            source.send(b"more")
            await source.was_let_go()

    async def test_a_tunnel_is_cut_where_its_source_breaks(self: Any) -> None:
        source = self.conversation()
        async with self.session() as session:
            tunnel = await settled(session.tunnel(source.pieces))
            source.send(b"DELETE FROM users")
            await exactly(tunnel, 17)
            source.send(ZeroDivisionError("mine"))
            with self.assertRaisesRegex(ZeroDivisionError, "mine"):
                await settled(tunnel.read())
            shown = await settled(session.show())
            self.assertIsNone(shown.tunnel_broken_off)
            self.assertFalse(shown.key_gone)

    async def test_a_read_may_wait_for_a_limited_time_and_be_repeated(self: Any) -> None:
        source = self.conversation()
        async with self.session() as session:
            async with block(await settled(session.tunnel(source.pieces))) as tunnel:
                for text in (b"one", b"two"):
                    tunnel.timeout = 0.3
                    with self.assertRaises(rke.TimedOutError):
                        await settled(tunnel.read(10))
                    tunnel.timeout = 60
                    source.send(text)
                    self.assertEqual(await exactly(tunnel, 3), text)
                source.send(None)
                self.assertEqual(await settled(tunnel.read()), b"")

    async def test_a_source_s_own_timeout_is_not_the_library_s(self: Any) -> None:
        source = self.conversation()
        source.send(TimeoutError("mine"))
        async with self.session() as session:
            with self.assertRaisesRegex(TimeoutError, "^mine$"):
                await collected(await settled(session.seal_stream(source.pieces)))

    async def test_events_tell_what_happens(self: Any) -> None:
        async with block(await settled(self.client().events())) as events:
            events.timeout = 20
            seen = iter(events) if hasattr(events, "__iter__") else events.__aiter__()
            begins_with = {"sessions", "keys", "raidas", "refusals"}
            while begins_with:
                begins_with.discard((await following(seen)).name)
            async with block(await settled(self.client().open(DOMAIN, DEV["wallet"], fresh=True))):
                while True:
                    event = await following(seen)
                    if event.name == "exchange" and event.data["state"] == "answered":
                        break
                self.assertEqual((event.data["domain"], event.data["fault"]), (DOMAIN, None))


async def following(iterator: Any) -> Any:
    return next(iterator) if hasattr(iterator, "__next__") else await iterator.__anext__()


class Access:
    """Addresses and tokens."""

    def setUp(self: Any) -> None:
        self.guarded = DAEMONS["token"]
        self.token = self.guarded["token"]

    async def test_a_token_is_given_or_got_for_each_request(self: Any) -> None:
        await settled(self.client(self.guarded["url"], token=f"{self.token}\n").status())
        tokens = iter([self.token, "old", self.token])
        changing = self.client(self.guarded["url"], token=lambda: next(tokens))
        await settled(changing.status())
        with self.assertRaises(rke.NotAllowedError):
            await settled(changing.status())
        await settled(changing.status())

    async def test_a_token_file_is_read_for_each_request(self: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "token")
            client = self.client(self.guarded["url"], token_file=file)
            with self.assertRaises(FileNotFoundError):
                await settled(client.status())
            file.write_text("00")
            with self.assertRaises(rke.NotAllowedError):
                await settled(client.status())
            file.write_text(f"{self.token}\n")
            await settled(client.status())

    async def test_the_environment_says_address_and_token(self: Any) -> None:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(self.token)
            file.flush()
            url = self.guarded["url"]
            for variables in ({"RKE_TOKEN": self.token}, {"RKE_TOKEN_FILE": file.name}):
                with patch.dict(os.environ, {"RKE_DAEMON": url, **variables}):
                    client = self.half.Client()
                    self.assertEqual(client.address, url)
                    await settled(client.status())
                    with self.assertRaises(rke.NotAllowedError):
                        await settled(self.client(url, token="00").status())

    async def test_addresses_are_of_three_kinds(self: Any) -> None:
        for address in (DEV["url"], f"{DEV['url']}/", DEV["url"][len("http://") :], f"unix:{DEV['unix']}"):
            await settled(self.client(address).status())
        self.assertEqual(self.half.Client().address, "http://127.0.0.1:8080")
        self.assertEqual(repr(self.client("[::1]:80", token="secret")), "<Client at [::1]:80>")
        for wrong in ("ftp://x", "http://", "unix:", "http://x:y", "http://x?y", "http://u@x"):
            with self.assertRaises(ValueError):
                self.client(wrong)
        with self.assertRaises(TypeError):
            self.client(token="x", token_file="y")

    async def test_another_limit_in_time_is_another_client(self: Any) -> None:
        client = self.client(timeout=5)
        self.assertEqual((client.timeout, client.with_timeout(None).timeout), (5, None))
        async with self.session() as session:
            other = session.with_timeout(7)
            self.assertEqual((other.id, other.created), (session.id, session.created))
            await settled(other.show())

    async def test_nobody_at_a_unix_socket_is_no_daemon(self: Any) -> None:
        with self.assertRaisesRegex(rke.NoDaemonError, "No daemon responds at unix:/nowhere .*: start one"):
            await settled(self.client("unix:/nowhere").status())

    async def test_an_error_says_what_is_wrong_what_it_is_about_and_what_to_do(self: Any) -> None:
        session_id = "0" * 32
        with self.assertRaises(rke.RkeError) as caught:
            await settled(self.client().session(session_id).show())
        error = pickle.loads(pickle.dumps(caught.exception))
        self.assertIs(type(error), rke.NotFoundError)
        self.assertEqual(str(error), "Session not found: open a new one")
        self.assertEqual((error.message, error.remedy), ("Session not found", "open a new one"))
        self.assertEqual((error.code, error.fields, error.retry_after), (404, {"session_id": session_id}, None))
        self.assertTrue(error.request_id)


globals().update(halves(Sessions, Data, Streams, Access))


class BlockingOnly(unittest.TestCase):
    """What only blocking code does."""

    def test_a_client_is_used_by_many_threads(self) -> None:
        client = rke.Client(DEV["url"])
        with client.open(DOMAIN, DEV["wallet"]) as session, ThreadPoolExecutor(8) as pool:
            data = [pattern(1000 + at) for at in range(64)]
            self.assertEqual(list(pool.map(lambda each: session.open(session.seal(each)), data)), data)
            self.assertEqual(session.show().encrypt_count, 64)

    def test_no_thread_is_left_behind(self) -> None:
        with rke.Client(DEV["url"]).open(DOMAIN, DEV["wallet"]) as session:
            session.seal_stream([bytes(1000)]).read()
            session.seal_stream([bytes(1000)]).close()
        asyncio.run(until(lambda: not [each for each in threading.enumerate() if each.name == "rke-sender"]))

    def test_a_stream_copies_like_a_file(self) -> None:
        with rke.Client(DEV["url"]).open(DOMAIN, DEV["wallet"]) as session:
            sealed = io.BytesIO()
            shutil.copyfileobj(session.seal_stream(io.BytesIO(pattern(300_000))), sealed)
            self.assertEqual(session.open(sealed.getvalue()), pattern(300_000))

    def test_a_queue_is_a_conversation(self) -> None:
        with rke.Client(DEV["url"]).open(DOMAIN, DEV["wallet"]) as session:
            waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
            with session.tunnel(iter(waiting.get, None)) as tunnel:
                waiting.put(b"hello")
                self.assertEqual(tunnel.read(5), b"hello")
                waiting.put(None)
                self.assertEqual(tunnel.read(), b"")


class AsyncioOnly(unittest.IsolatedAsyncioTestCase):
    """What only asyncio does."""

    async def test_tasks_run_at_the_same_time(self) -> None:
        client = aio.Client(DEV["url"])
        async with await client.open(DOMAIN, DEV["wallet"]) as session:

            async def both(length: int) -> None:
                stream = await session.open_stream(await session.seal_stream([pattern(length)]))
                self.assertEqual(await stream.read(), pattern(length))

            await asyncio.gather(*(both(100_000 + at) for at in range(16)))

    async def test_a_cancelled_call_is_cancelled_and_a_read_loses_nothing(self) -> None:
        waiting: asyncio.Queue[bytes] = asyncio.Queue()

        async def pieces() -> Any:
            while True:
                yield await waiting.get()

        async with await aio.Client(DEV["url"]).open(DOMAIN, DEV["wallet"]) as session:
            async with await session.tunnel(pieces()) as tunnel:
                for text in (b"one", b"two"):
                    with self.assertRaises(asyncio.TimeoutError):
                        await asyncio.wait_for(tunnel.read(9), 0.2)
                    waiting.put_nowait(text)
                    self.assertEqual(await tunnel.read(9), text)
            opening = asyncio.ensure_future(session.show())
            await asyncio.sleep(0)
            opening.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await opening

    async def test_a_source_that_waits_is_let_go(self) -> None:
        source = AsyncSource(endless=False)
        async with await aio.Client(DEV["url"]).open(DOMAIN, DEV["wallet"]) as session:
            async with await session.tunnel(source.pieces):
                await asyncio.sleep(0)
            self.assertTrue(source.is_let_go.is_set())

    async def test_a_stream_reader_is_a_source(self) -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(pattern(300_000))
        reader.feed_eof()
        async with await aio.Client(DEV["url"]).open(DOMAIN, DEV["wallet"]) as session:
            stream = await session.seal_stream(reader)
            self.assertEqual(await session.open(await stream.read()), pattern(300_000))

    def test_a_file_that_waits_does_not_keep_the_loop_from_ending(self) -> None:
        async def greet(file: Any) -> None:
            async with await aio.Client(DEV["url"]).open(DOMAIN, DEV["wallet"]) as session:
                async with await session.tunnel(file) as tunnel:
                    self.assertEqual(await tunnel.read(5), b"hello")

        reading, writing = os.pipe()
        with open(writing, "wb", buffering=0) as writer, open(reading, "rb", buffering=0) as file:
            writer.write(b"hello")
            began = time.monotonic()
            asyncio.run(greet(file))
            self.assertLess(time.monotonic() - began, 10)

    async def test_no_task_is_left_behind(self) -> None:
        async with await aio.Client(DEV["url"]).open(DOMAIN, DEV["wallet"]) as session:
            await (await session.seal_stream([bytes(1000)])).read()
            await (await session.seal_stream([bytes(1000)])).close()
        self.assertEqual(asyncio.all_tasks(), {asyncio.current_task()})

    def test_a_client_is_used_in_several_event_loops(self) -> None:
        client = aio.Client(DEV["url"])
        for _ in range(2):
            asyncio.run(client.status())


class Names(unittest.TestCase):
    """Both halves have the same names."""

    def test_both_halves_have_the_same_methods_and_parameters(self) -> None:
        for name in aio.__all__:
            one, other = getattr(rke, name), getattr(aio, name)
            if inspect.isclass(one):
                self.assertEqual(parameters(one), parameters(other), name)

    def test_everything_public_is_documented(self) -> None:
        for module in (rke, aio):
            for name in module.__all__:
                thing = getattr(module, name)
                if not inspect.isclass(thing):
                    continue
                self.assertTrue(thing.__doc__, name)
                for member in parameters(thing):
                    self.assertTrue(inspect.getdoc(getattr(thing, member)), f"{name}.{member}")


def parameters(kind: type) -> dict[str, list[str]]:
    """The public methods and properties of a class, with the names of their parameters."""
    members = {name: member for name, member in inspect.getmembers(kind) if not name.startswith("_")}
    return {
        name: list(inspect.signature(member).parameters) if inspect.isfunction(member) else []
        for name, member in members.items()
        if inspect.isfunction(member) or isinstance(member, property)
    }


if __name__ == "__main__":
    unittest.main()

"""Servers that respond with what no daemon would, or break off: each is told apart, and nothing looks whole."""

from __future__ import annotations

import socket
import time
from typing import Any

import rke
from halves import halves
from odd_server import answering, raw, serving, status
from stage import settled

CHUNKED = "Transfer-Encoding: chunked"
ANNOUNCED = f"{CHUNKED}\r\nTrailer: RKE-Exit-Status"
WHOLE = status(200, '{"command":"x"}')


async def show_status(client: Any) -> Any:
    return await settled(client.status())


async def seal(client: Any) -> Any:
    return await settled(client.session("a").seal(bytes(600_000)))


async def stream(client: Any) -> Any:
    return await settled((await settled(client.session("a").seal_stream([bytes(9)]))).read())


async def encrypt(client: Any) -> Any:
    return await settled((await settled(client.session("a").encrypt_stream([bytes(1)]))).read())


async def tunnel(client: Any) -> Any:
    return await settled((await settled(client.session("a").tunnel([bytes(9)]))).read())


async def events(client: Any) -> Any:
    listening = await settled(client.events())
    return [event async for event in listening] if hasattr(listening, "__aiter__") else list(listening)


ROWS: list[tuple[str, bytes, Any, Any]] = [
    ("a page of something else", raw("Content-Length: 4", "Hi!!"), show_status, rke.AnswerError),
    ("a number", status(200, "1"), show_status, rke.AnswerError),
    ("an answer without its fields", WHOLE, show_status, rke.AnswerError),
    ("an error page", status(500, "<html>"), show_status, rke.AnswerError),
    ("an error of another kind", status(404, '{"error":"x"}'), show_status, rke.AnswerError),
    ("a redirect", b"HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", show_status, rke.AnswerError),
    ("something that is not HTTP", b"SSH-2.0-x\r\n", show_status, rke.AnswerError),
    ("nothing", b"", show_status, rke.NoDaemonError),
    ("half a head", WHOLE[:20], show_status, rke.BrokenOffError),
    ("half an answer", WHOLE[:-1], show_status, rke.BrokenOffError),
    ("half an error", status(404, '{"error":true}')[:-1], show_status, rke.BrokenOffError),
    ("an answer without length", raw("X: y", '{"command":"x"}'), show_status, rke.AnswerError),
    ("two lengths", raw(f"Content-Length: 1\r\n{CHUNKED}", "x"), show_status, rke.AnswerError),
    ("no nonce", raw("Content-Length: 1", "x"), encrypt, rke.AnswerError),
    ("half a body of known length", raw("Content-Length: 20", "x" * 10), seal, rke.BrokenOffError),
    ("half a body of unknown length", raw(CHUNKED, "4\r\nabcd\r\n"), seal, rke.BrokenOffError),
    ("a body that is too short", raw("Content-Length: 4", "abcd"), seal, rke.BrokenOffError),
    ("a body without length", raw("X: y", "abcd"), seal, rke.AnswerError),
    ("half a stream of known length", raw("Content-Length: 20", "x" * 10), stream, rke.BrokenOffError),
    ("half a stream of unknown length", raw(CHUNKED, "4\r\nabcd\r\n"), stream, rke.BrokenOffError),
    ("half a stream of a last answer", raw(f"Connection: close\r\n{CHUNKED}", "4\r\nabcd\r\n"), stream, rke.BrokenOffError),
    ("a stream that ends too early", raw(CHUNKED, "4\r\nabcd\r\n0\r\n\r\n"), stream, rke.BrokenOffError),
    ("a stream without length", raw("X: y", "abcd"), stream, rke.AnswerError),
    ("a chunk that is longer than it says", raw(CHUNKED, "4\r\nabcdef\r\n0\r\n\r\n"), stream, rke.AnswerError),
    ("a chunk without size", raw(CHUNKED, "x\r\nabcd\r\n0\r\n\r\n"), stream, rke.AnswerError),
    ("a tunnel cut between two chunks", raw(CHUNKED, "4\r\nabcd\r\n"), tunnel, rke.BrokenOffError),
    ("a tunnel cut in a chunk", raw(CHUNKED, "4\r\nab"), tunnel, rke.BrokenOffError),
    ("a tunnel cut in its last chunk", raw(CHUNKED, "4\r\nabcd\r\n0\r\n"), tunnel, rke.BrokenOffError),
    ("a tunnel whose end is not shown", raw("X: y", "abcd"), tunnel, rke.AnswerError),
    ("a tunnel cut before its trailer", raw(ANNOUNCED, "4\r\nabcd\r\n0\r\n"), tunnel, rke.BrokenOffError),
    ("a tunnel without its trailer", raw(ANNOUNCED, "4\r\nabcd\r\n0\r\n\r\n"), tunnel, rke.BrokenOffError),
    ("a tunnel with an odd trailer", raw(ANNOUNCED, "0\r\nRKE-Exit-Status: well\r\n\r\n"), tunnel, rke.BrokenOffError),
    ("a tunnel cut in its trailer", raw(ANNOUNCED, "0\r\nRKE-Exit-Status: 0\r\n"), tunnel, rke.BrokenOffError),
    ("a tunnel whose command failed", raw(ANNOUNCED, "0\r\nRKE-Exit-Status: 3\r\n\r\n"), tunnel, rke.CommandFailedError),
    ("a tunnel whose command was killed", raw(ANNOUNCED, "0\r\nRKE-Exit-Status: 137\r\n\r\n"), tunnel, rke.CommandFailedError),
    ("a tunnel that went well", raw(ANNOUNCED, "4\r\nabcd\r\n0\r\nrke-exit-status: 0\r\n\r\n"), tunnel, b"abcd"),
    ("a tunnel without status", raw(CHUNKED, "4;x=y\r\nabcd\r\n0\r\n\r\n"), tunnel, b"abcd"),
    (
        "interim responses",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nA: b\r\n\r\n" + raw(CHUNKED, "0\r\n\r\n"),
        tunnel,
        b"",
    ),
    ("events that end", raw(CHUNKED, "19\r\n:\n\nevent: keys\ndata: {}\n\n\r\n0\r\n\r\n"), events, [rke.Event("keys", {})]),
    ("events that are cut", raw(CHUNKED, "3\r\n:\n\n\r\n"), events, rke.BrokenOffError),
    ("events that are none", raw(CHUNKED, "9\r\ndata: x\n\n\r\n0\r\n\r\n"), events, rke.AnswerError),
    ("events that are not UTF-8", raw("Content-Length: 4", "") + b"\xff\xff\n\n", events, rke.AnswerError),
    ("an event without end", raw("Content-Length: 99999", "data: " + "x" * 70_000), events, rke.AnswerError),
    ("an unknown path", status(404, '{"error":true,"message":"No such path","code":404}'), show_status, rke.RequestError),
    ("a failure", status(500, '{"error":true,"message":"Internal","code":500}'), show_status, rke.DaemonError),
    ("an unknown failure", status(507, '{"error":true,"message":"Full","code":507}'), show_status, rke.DaemonError),
    ("impatience", status(408, '{"error":true,"message":"Slow","code":408}'), show_status, rke.DaemonError),
]


class Odd:
    """One test for each row, and what no row can say."""

    async def test_odd_answers_are_told_apart(self: Any) -> None:
        for name, answer, ask, expected in ROWS:
            with self.subTest(name), serving(answering(answer)) as address:
                try:
                    outcome = await ask(self.client(address, timeout=20))
                except Exception as error:
                    self.assertIs(type(error), expected, repr(error))
                else:
                    self.assertEqual(outcome, expected)

    async def test_a_status_of_a_command_is_told(self: Any) -> None:
        with serving(answering(raw(ANNOUNCED, "0\r\nRKE-Exit-Status: 137\r\n\r\n"))) as address:
            with self.assertRaisesRegex(rke.CommandFailedError, "status 137") as caught:
                await tunnel(self.client(address))
            self.assertEqual(caught.exception.exit_status, 137)

    async def test_a_limit_says_how_long_to_wait(self: Any) -> None:
        answer = status(429, '{"error":true,"message":"Full","code":429}', "Retry-After: 7\r\nX-Request-Id: 7f\r\n")
        with serving(answering(answer)) as address:
            with self.assertRaisesRegex(rke.LimitError, "^Full: delete a session, or wait 7 seconds$") as caught:
                await show_status(self.client(address))
            self.assertEqual((caught.exception.retry_after, caught.exception.request_id), (7, "7f"))

    async def test_events_that_are_cut_say_to_listen_again(self: Any) -> None:
        with serving(answering(raw(CHUNKED, "3\r\n:\n\n\r\n"))) as address:
            with self.assertRaisesRegex(rke.BrokenOffError, "listen again"):
                await events(self.client(address))

    async def test_data_that_is_refused_while_it_is_sent_says_why(self: Any) -> None:
        answer = status(413, '{"error":true,"message":"Too large","code":413}')

        def refuse(connection: socket.socket) -> None:
            connection.recv(100)
            connection.sendall(answer)
            # What has been sent and not read makes this a reset.
            connection.close()

        with serving(refuse) as address:
            for _ in range(5):
                source = self.endless()
                with self.assertRaises(rke.RequestError):
                    await settled(self.client(address).session("a").seal_stream(source.pieces))
                await source.was_let_go()
                # More than the buffers of the system hold.
                with self.assertRaises(rke.RequestError):
                    await settled(self.client(address).session("a").seal(b"x", associated_data=bytes(20_000_000)))

    async def test_a_daemon_that_says_nothing_is_waited_for_as_long_as_the_caller_says(self: Any) -> None:
        with serving(lambda connection: time.sleep(5)) as address:
            for ask in (show_status, seal, stream, tunnel, events):
                began = time.monotonic()
                with self.assertRaisesRegex(rke.TimedOutError, "took longer than 0.3 seconds"):
                    await ask(self.client(address, timeout=0.3))
                self.assertLess(time.monotonic() - began, 3)

    async def test_a_daemon_that_takes_nothing_is_waited_for_no_longer(self: Any) -> None:
        with serving(lambda connection: time.sleep(5)) as address:
            source = self.endless()
            with self.assertRaises(rke.TimedOutError):
                await settled(self.client(address, timeout=0.3).session("a").seal_stream(source.pieces))
            await source.was_let_go()

    async def test_an_answer_that_comes_slowly_has_the_whole_limit_only(self: Any) -> None:
        def dribble(connection: socket.socket) -> None:
            connection.recv(65536)
            for byte in status(200, " " * 100):
                connection.sendall(bytes([byte]))
                time.sleep(0.02)

        with serving(dribble) as address:
            with self.assertRaises(rke.TimedOutError):
                await show_status(self.client(address, timeout=0.5))

    async def test_a_request_says_what_it_is(self: Any) -> None:
        seen: list[bytes] = []

        def note(connection: socket.socket) -> None:
            data = b""
            while not data.endswith(b"0\r\n\r\n"):
                data += connection.recv(65536)
            seen.append(data)
            connection.sendall(raw(CHUNKED, "0\r\n\r\n"))

        with serving(note) as address:
            await settled((await settled(self.client(address, token="t").session("a/b").tunnel([b"hi", b"", b"you"]))).read())
        head, _, body = seen[0].partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.assertEqual(lines[0], "POST /api/rke/session/a%2Fb/tunnel HTTP/1.1")
        for line in (
            f"Host: {address[len('http://') :]}",
            "Authorization: Bearer t",
            "X-RKE-Request: 1",
            "TE: trailers",
            "Connection: close",
            "Content-Type: application/octet-stream",
            "Transfer-Encoding: chunked",
        ):
            self.assertIn(line, lines)
        self.assertEqual(body, b"2\r\nhi\r\n3\r\nyou\r\n0\r\n\r\n")


globals().update(halves(Odd))

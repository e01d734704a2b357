"""The parser for responses, however the bytes are cut into pieces."""

from __future__ import annotations

import unittest
from typing import Iterable, List, Optional, Tuple

from rke._http import Cut, Malformed, ResponseParser, chunk, request_head

CHUNKED = (
    b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nX-One: 1\r\ntransfer-encoding: Chunked\r\n\r\n"
    b"4\r\nabcd\r\n00A ; x=y\r\n0123456789\r\n0\r\nRKE-Exit-Status: 3\r\nOther: x\r\n\r\n"
)
LENGTH = b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nabcde"


def parsed(pieces: Iterable[bytes]) -> Tuple[ResponseParser, bytes]:
    """Reads a response that comes in these pieces."""
    parser, body = ResponseParser(), b""
    for piece in pieces:
        parser.feed(piece)
        if parser.read_head() is None:
            continue
        while True:
            data: Optional[bytes] = parser.read_piece()
            if data is None:
                break
            body += data
    return parser, body


class Parser(unittest.TestCase):
    def test_a_response_is_the_same_in_any_pieces(self) -> None:
        for whole, body in ((CHUNKED, b"abcd0123456789"), (LENGTH, b"abcde")):
            splits: List[List[bytes]] = [[whole[:at], whole[at:]] for at in range(1, len(whole))]
            splits += [[whole[at : at + size] for at in range(0, len(whole), size)] for size in (1, 2, 3)]
            for pieces in splits:
                parser, got = parsed(pieces)
                self.assertTrue(parser.ended and parser.head is not None and parser.head.status == 200)
                self.assertEqual(got, body)
        parser, _ = parsed([CHUNKED])
        assert parser.trailers is not None and parser.head is not None
        self.assertEqual((parser.trailers["rke-exit-status"], parser.head.headers["X-ONE"]), ("3", "1"))

    def test_a_cut_anywhere_is_never_an_end(self) -> None:
        for whole in (CHUNKED, LENGTH):
            for end in range(len(whole)):
                with self.assertRaises(Cut, msg=str(whole[:end])):
                    parsed([whole[:end], b""] if end else [b""])

    def test_what_is_not_http_is_malformed(self) -> None:
        for wrong in (
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 20\r\n\r\n",
            b"x" * 70_000,
            b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a" * 70_000,
        ):
            with self.assertRaises(Malformed, msg=str(wrong[:80])):
                parsed([wrong])

    def test_a_header_holds_no_other_header(self) -> None:
        self.assertEqual(request_head("GET", "/", {"A": "b c"}), b"GET / HTTP/1.1\r\nA: b c\r\n\r\n")
        for wrong in ("", "a\r\nb", "a\n", " a", "ä", "\x7f"):
            with self.assertRaises(ValueError):
                request_head("GET", "/", {"A": wrong})

    def test_a_chunk_says_its_length(self) -> None:
        self.assertEqual(chunk(bytes(17)), b"11\r\n" + bytes(17) + b"\r\n")


if __name__ == "__main__":
    unittest.main()

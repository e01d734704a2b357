"""Computes vectors/preshared.json from docs/protocol.md section 7.12 and RFC 9258, with nothing but Python's hashlib, hmac and
ipaddress.

    python3 vectors/preshared.py > vectors/preshared.json
"""

import hashlib
import hmac
import ipaddress
import json

from export import EXPORT_KEY, expand, exported, number, short


def address(text):
    """16 bytes, an IPv4 address as ::ffff:a.b.c.d."""
    parsed = ipaddress.ip_address(text)
    return bytes(10) + b"\xff\xff" + parsed.packed if parsed.version == 4 else parsed.packed


def proposal(nonce, every, **purpose):
    begin = lambda kind: number(kind, 1) + number(every, 4) + nonce
    case = {"nonce": nonce.hex(), "every": every}
    if "name" in purpose:
        name = purpose["name"]
        case |= {"name": name, "bytes": (begin(1) + short(name.encode())).hex()}
        label, context = "rke-psk", nonce + name.encode()
    else:
        client, server, addresses = purpose["client"], purpose["server"], purpose["addresses"]
        tail = number(len(addresses), 1) + b"".join(map(address, addresses))
        case |= {"client": client.hex(), "server": server.hex(), "addresses": addresses,
                 "bytes": (begin(2) + client + server + tail).hex()}
        label, context = "rke-wireguard", nonce + client + server
    key = exported(EXPORT_KEY, label, context, 32)
    return case | {"label": label, "context": context.hex(), "key": key.hex()}


def response(reason):
    """None is `set`."""
    return b"\x00" if reason is None else b"\x01" + short(reason.encode())


def tls(key, name, kdf, length):
    """The key that RFC 9258 imports for TLS 1.3. The key's own hash is SHA-256, and the context is empty."""
    external = name.encode()
    identity = number(len(external), 2) + external + number(0, 2) + b"\x03\x04" + number(kdf, 2)
    label = b"tls13 derived psk"
    info = number(length, 2) + short(label) + short(hashlib.sha256(identity).digest())
    return expand(hmac.new(bytes(32), key, hashlib.sha256).digest(), info, length)


def draw(text, length=32):
    return hashlib.sha256(text.encode()).digest()[:length]


CLIENT, SERVER = draw("client"), draw("server")
PROPOSALS = [
    {"every": 0, "name": "a"},
    {"every": 60, "name": "web-1@example.com"},
    {"every": 86400, "name": "0" + "._-@" * 15 + "xyz"},
    {"every": 120, "client": CLIENT, "server": SERVER, "addresses": []},
    {"every": 120, "client": CLIENT, "server": SERVER, "addresses": ["10.9.0.1", "fe80::1"]},
    {"every": 2**32 - 1, "client": SERVER, "server": CLIENT, "addresses": [f"2001:db8::{at:x}" for at in range(16)]},
]
REASONS = [None, "", "no such peer", "é" * 100]
KEY, NAME = draw("key"), "web"


def main():
    proposals = [proposal(draw(f"nonce {at}"), **case) for at, case in enumerate(PROPOSALS)]
    print(json.dumps({
        "source": "computed with Python's hashlib and hmac from docs/protocol.md section 7.12 and RFC 9258, by vectors/preshared.py",
        "export_key": EXPORT_KEY.hex(),
        "proposals": proposals,
        "responses": [{"reason": reason, "bytes": response(reason).hex()} for reason in REASONS],
        "receipts": [{"set": True, "bytes": "00"}, {"set": False, "bytes": "01"}],
        "tls": [{"name": NAME, "psk": KEY.hex(), "kdf": kdf, "key": tls(KEY, NAME, kdf, length).hex()}
                for kdf, length in [(1, 32), (2, 48)]],
    }, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()

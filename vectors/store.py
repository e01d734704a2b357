"""Computes vectors/store.json from docs/store-format.md, with Python's hashlib and hmac, and AES-256-GCM-SIV of the package
`cryptography` (46 or later, on OpenSSL 3.2 or later).

    python3 vectors/store.py > vectors/store.json
"""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

KINDS = {"session": 1, "cached": 2, "server key": 3, "server resumption": 4}
PARTS = {"secret": 1, "description": 2, "farewell": 3}


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def number(value, length=8):
    return value.to_bytes(length, "big")


class Key:
    def __init__(self, key):
        self.key = key
        self.sealing = mac(key, b"RKE-Store-Seal-v1")
        self.naming = mac(key, b"RKE-Store-Name-v1")
        self.auditing = mac(key, b"RKE-Store-Audit-v1")
        self.tag = mac(key, b"RKE-Store-KeyTag-v1")[:8]

    def name(self, kind, of):
        return mac(self.naming, b"record", number(KINDS[kind], 1), of)[:16]

    def domain(self, domain):
        return mac(self.naming, b"domain", domain.encode())[:8]

    def seal(self, kind, part, whose, expires_at, incarnation, nonce, data):
        bound = b"RKE-Store-v1" + number(KINDS[kind], 1) + number(PARTS[part], 1) + whose + number(expires_at) + incarnation
        return nonce + AESGCMSIV(self.sealing).encrypt(nonce, data, bound)


def partition(of, partitions):
    return int.from_bytes(hashlib.sha256(b"RKE-Store-Partition-v1" + of).digest()[:2], "big") % partitions


KEYS = [Key(bytes(range(32))), Key(bytes(range(0x80, 0xA0)))]
IDS = [bytes(range(16)), bytes.fromhex("f1e2d3c4b5a69788796a5b4c3d2e1f00")]
DOMAINS = ["content.rke.test", "a", "ä.example"]
INCARNATION = bytes.fromhex("8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb")
SECRET = bytes(range(0x40, 0x60))
TIMES = [1_900_000_000_000, 1_899_999_000_000, 1_899_990_000_000, 1_900_050_000_000]


def nonce(at):
    return hashlib.sha256(b"nonce" + number(at, 1)).digest()[:12]


def sealed():
    rows = []
    for at, (kind, part) in enumerate((kind, part) for kind in KINDS for part in PARTS):
        key, of, expires_at = KEYS[at % 2], IDS[at // 2 % 2], TIMES[at % 4]
        whose = of if part == "secret" else key.name(kind, of)
        data = SECRET if part == "secret" else [b"", b"{}", bytes(4096)][at % 3]
        rows.append({"key": key.key.hex(), "kind": kind, "part": part, "id": of.hex(), "expires_at": expires_at,
                     "incarnation": INCARNATION.hex(), "nonce": nonce(at).hex(),
                     "data": data.hex() if len(data) < 99 else f"{len(data)} zeros",
                     "sha256": hashlib.sha256(key.seal(kind, part, whose, expires_at, INCARNATION, nonce(at), data)).hexdigest(),
                     "sealed": key.seal(kind, part, whose, expires_at, INCARNATION, nonce(at), data).hex() if len(data) < 99 else None})
    return rows


def record():
    key, of, (expires_at, idle_until, created_at, latest) = KEYS[0], IDS[0], TIMES
    bind = lambda part, whose, at, data: key.seal("session", part, whose, expires_at, INCARNATION, nonce(at), data)
    name = key.name("session", of)
    parts = [bind("secret", of, 0, SECRET), bind("description", name, 1, b"about it"), bind("farewell", name, 2, b"farewell")]
    head = b"\1" + key.tag + INCARNATION + b"".join(map(number, (expires_at, idle_until, created_at, latest, 7)))
    head += key.domain(DOMAINS[0]) + number(1 << 32) + number(1 << 50) + b"".join(number(len(part), 2) for part in parts)
    return {"key": key.key.hex(), "id": of.hex(), "domain": DOMAINS[0], "incarnation": INCARNATION.hex(), "expires_at": expires_at,
            "idle_until": idle_until, "created_at": created_at, "latest": latest, "generation": 7, "messages": 1 << 32,
            "bytes": 1 << 50, "secret": SECRET.hex(), "description": "about it", "farewell": "farewell",
            "record": (head + b"".join(parts)).hex()}


def main():
    keys = [{"key": key.key.hex(), "tag": key.tag.hex(), "auditing": key.auditing.hex(),
             "names": [{"kind": kind, "id": of.hex(), "name": key.name(kind, of).hex()} for kind in KINDS for of in IDS],
             "domains": [{"domain": domain, "tag": key.domain(domain).hex()} for domain in DOMAINS]} for key in KEYS]
    partitions = [{"id": of.hex(), "partitions": count, "partition": partition(of, count)} for of in IDS for count in (1, 2, 7, 64, 16384)]
    print(json.dumps({
        "source": "computed with Python's hashlib and hmac and the package cryptography from docs/store-format.md, by vectors/store.py",
        "keys": keys, "partitions": partitions, "sealed": sealed(), "record": record(),
    }, indent=1, ensure_ascii=False))


main()

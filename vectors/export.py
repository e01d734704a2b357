"""Computes vectors/export.json from docs/protocol.md section 7, with nothing but Python's hashlib and hmac.

    python3 vectors/export.py > vectors/export.json
"""

import hashlib
import hmac
import json
import uuid


def expand(secret, info, length):
    """HKDF-Expand of RFC 5869 with SHA-256."""
    out, block, counter = b"", b"", 0
    while len(out) < length:
        counter += 1
        block = hmac.new(secret, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


def number(value, length):
    return value.to_bytes(length, "big")


def short(data):
    return number(len(data), 1) + data


def exported(export_key, label, context, length):
    label = label.encode()
    info = b"RKE-Exporter-v3.0" + short(label) + number(len(context), 2) + context + number(length, 2)
    return expand(export_key, info, length)


def key_uuid(key_id, bits, random):
    """56 random bits, of which the version takes 4, then 64 bits of the session's key id, of which the variant takes 2."""
    whole = bytearray(number(bits // 8, 1) + random + key_id[:8])
    whole[6] = 0x80 | (whole[6] & 0x0F)
    whole[8] = 0x80 | (whole[8] & 0x3F)
    return uuid.UUID(bytes=bytes(whole))


def etsi(export_key, name, master, slave, bits):
    info = b"RKE-ETSI-014-v3.0" + name.bytes + short(master.encode()) + short(slave.encode()) + number(bits, 4)
    return expand(export_key, info, bits // 8)


K = bytes(range(0x40, 0x60))
EXPORT_KEY = expand(K, b"RKE-Export-v3.0", 32)
KEY_ID = bytes.fromhex("f1e2d3c4b5a69788796a5b4c3d2e1f00")
CONTEXTS = [(16, "wireguard", b""), (32, "wireguard", b"\x00\x01\x02"), (33, "x", b"context"), (64, "l" * 255, bytes(65535))]
ETSI = [(128, "alice", "bob"), (256, "alice", "bob"), (256, "bob", "alice"), (264, "a", "b" * 255), (512, "SAE é", "b")]


def main():
    exports = [
        {"label": label, "context": context.hex() if len(context) < 99 else f"{len(context)} zeros", "length": length,
         "key": exported(EXPORT_KEY, label, context, length).hex()}
        for length, label, context in CONTEXTS
    ]
    keys = []
    for at, (bits, master, slave) in enumerate(ETSI):
        random = hashlib.sha256(number(at, 1)).digest()[:7]
        name = key_uuid(KEY_ID, bits, random)
        keys.append({"bits": bits, "random": random.hex(), "key_ID": str(name), "master": master, "slave": slave,
                     "key": etsi(EXPORT_KEY, name, master, slave, bits).hex()})
    print(json.dumps({
        "source": "computed with Python's hashlib and hmac from docs/protocol.md section 7, by vectors/export.py",
        "K": K.hex(), "export_key": EXPORT_KEY.hex(), "key_id": KEY_ID.hex(), "exports": exports, "etsi": keys,
    }, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()

"""The daemon's responses. Their fields have the daemon's names: docs/api.md describes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, NamedTuple, Optional, Tuple

__all__ = [
    "CachedKey",
    "Created",
    "DaemonStatus",
    "Deleted",
    "Directory",
    "DirectoryFault",
    "DirectoryRaida",
    "DirectoryStatus",
    "Discovered",
    "Encrypted",
    "Event",
    "Example",
    "KeySet",
    "Keys",
    "KeystoreStatus",
    "Raida",
    "Raidas",
    "RemoteDeletions",
    "Renewed",
    "Sandbox",
    "SecretMemory",
    "SessionRow",
    "Sessions",
    "SessionsStatus",
    "Shown",
    "Status",
    "Wipe",
]


class Encrypted(NamedTuple):
    """Data that was encrypted in counter mode."""

    ciphertext: bytes
    nonce: str
    """32 hexadecimal digits. Keep it with the ciphertext."""


@dataclass(frozen=True)
class Event:
    """A change at the daemon."""

    name: str
    """``exchange`` for a step of an exchange. Otherwise the endpoint whose response has changed: ``sessions``, ``keys``,
    ``raidas``, ``activity`` or ``refusals``."""
    data: Dict[str, Any]
    """For ``exchange``: ``domain``, ``raida``, ``state``, ``ms`` and ``fault``."""


@dataclass(frozen=True)
class Created:
    """A session that was opened."""

    session_id: str = field(repr=False)
    domain: str
    cs_id: str
    expires_at: datetime
    from_cache: bool
    """Whether it was opened without asking a RAIDA. It has a key of its own in any case."""


@dataclass(frozen=True)
class SessionRow:
    """A session in a list."""

    session_id: str = field(repr=False)
    domain: str
    cs_id: str
    created_at: datetime
    expires_at: datetime
    encrypt_count: int
    """Encryptions and sealings so far."""
    decrypt_count: int
    """Decryptions and openings so far."""


@dataclass(frozen=True)
class Shown(SessionRow):
    """A session, and how its key was made."""

    key_bits: int
    """256, or 8 over 1-byte shares."""
    envelope: Tuple[int, ...]
    raidas: Tuple[int, ...]
    """The indexes of the RAIDAs whose shares were used."""
    liars: Tuple[int, ...]
    """The indexes of the RAIDAs that gave a wrong share."""
    from_cache: bool
    confirmed: bool
    """Whether the Content Server has shown that it has the same key."""
    key_id: Optional[str]
    """The name of the key, the same at the Content Server. It is not secret. ``None`` if the key has 8 bits."""
    forward_secret: bool
    """Whether recorded traffic stays secret when the coins and the secrets of all servers are stolen later."""
    authenticated: str
    """How well the two ends know each other: ``strong``, ``weak``, or ``no`` if the key has 8 bits."""
    coin: Optional[str]
    """The coin that the Content Server has seen proven, as ``0:1001``; ``None`` if it has seen none."""
    tunnel_broken_off: Optional[str]
    """Why the Content Server broke off the tunnel that ended last; ``None`` if it did not."""
    key_gone: bool = False
    """Whether the Content Server said that it no longer has the key when the latest tunnel was opened."""


@dataclass(frozen=True)
class Sessions:
    """The sessions of a daemon."""

    total: int
    """Counts those that have expired and wait for the clean-up, too."""
    active: int
    sessions: Tuple[SessionRow, ...]
    weak: int
    """How many of them have a key of 8 bits."""
    weakly_authenticated: int
    """How many of them have a strong key, but ends that know each other by 1-byte shares only."""


@dataclass(frozen=True)
class Renewed:
    """A session that was renewed."""

    session_id: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Wipe:
    """What a scan of the daemon's memory found after a key was wiped."""

    scanned_bytes: int
    hits: int
    """Scratch stacks that had not been wiped, and are now: 0, or a bug of the daemon."""
    micros: int
    machines: Optional[int] = None
    """How many have searched, if several share sessions: bytes and hits are those of all of them."""


@dataclass(frozen=True)
class Deleted:
    """A session that has ended."""

    session_id: str = field(repr=False)
    wipe: Optional[Wipe] = None
    """The erasure receipt, if ``verify`` asked for one."""
    remote: Optional[str] = None
    """The key at the Content Server, with ``everywhere``: ``forgotten``, ``pending``, or ``unsupported`` with 8 bits."""


@dataclass(frozen=True)
class CachedKey:
    """A cached key, which opens later sessions without asking a RAIDA."""

    domain: str
    cs_id: str
    expires_at: datetime
    key_bits: int
    coins: Tuple[str, ...]
    """The coins that a wallet must hold to be served by it, as ``0:1001``."""


@dataclass(frozen=True)
class Keys:
    """The cached keys. No secret is in it."""

    total: int
    keys: Tuple[CachedKey, ...]


@dataclass(frozen=True)
class KeySet:
    """A key set of a Content Server."""

    key_id: str
    cs_id: str
    server_count: int
    """RAIDA servers that can be used."""


@dataclass(frozen=True)
class Discovered:
    """What DNS says about a domain."""

    domain: str
    target_host: str
    target_port: int
    min_raidas_required: int
    key_sets: Tuple[KeySet, ...]
    warnings: Tuple[str, ...] = ()
    """What was left out of the records, and why."""


@dataclass(frozen=True)
class Raida:
    """The state of one RAIDA."""

    raida: int
    endpoint: Optional[str]
    state: str
    """``well``, ``failing``, ``no_key_set``, ``lying`` or ``unknown``."""
    last_ms: Optional[float]
    median_ms: Optional[float]
    asked: int
    answered: int
    lies: int
    form: Optional[str]
    """The form of its responses, if that is not the usual one."""
    last_fault: Optional[str]
    last_fault_at: Optional[datetime]
    history_ms: Tuple[Optional[float], ...]
    """The last exchanges that asked it, oldest first; ``None`` if it gave no right share."""


@dataclass(frozen=True)
class DirectoryFault:
    """A guardian that failed when it was asked last, and why."""

    guardian: str
    fault: str


@dataclass(frozen=True)
class DirectoryRaida:
    """A RAIDA on which guardians agree."""

    raida: int
    endpoints: Tuple[str, ...]
    guardians: int
    agreed_at: datetime


@dataclass(frozen=True)
class Directory:
    """Where guardians say that the RAIDAs are."""

    guardians: int
    needed: int
    """How many of them have to agree."""
    agreed_at: Optional[datetime]
    asked_at: Optional[datetime]
    answered: Optional[int]
    faults: Tuple[DirectoryFault, ...]
    raidas: Tuple[DirectoryRaida, ...]


@dataclass(frozen=True)
class Raidas:
    """The state of the RAIDAs."""

    required: int
    """The fewest that make a key."""
    margin: Optional[int]
    """Spare RAIDAs: how many of the healthy ones may still fail. ``None`` before the first exchange."""
    raidas: Tuple[Raida, ...]
    directory: Optional[Directory]
    """``None`` if the daemon has no guardians."""


@dataclass(frozen=True)
class SessionsStatus:
    """The counts of sessions."""

    total: int
    active: int
    max: int


@dataclass(frozen=True)
class KeystoreStatus:
    """The counts of cached keys."""

    total: int
    valid: int
    expired: int
    max: int
    default_ttl_hours: int


@dataclass(frozen=True)
class SecretMemory:
    """Key protection."""

    kind: str
    """``secretmem`` or ``locked``."""
    bytes: int
    slots: int
    slots_used: int
    inspection: str
    """``refused`` or ``allowed``."""
    residues_found: int
    """Scratch stacks that receipts found not wiped: 0, or a bug of the daemon."""


@dataclass(frozen=True)
class Example:
    """A session that can be opened here; with ``rke dev`` only."""

    domain: str
    wallet_path: str


@dataclass(frozen=True)
class DaemonStatus:
    """The process."""

    uptime_sec: int
    started_at: datetime
    example: Optional[Example] = None


@dataclass(frozen=True)
class RemoteDeletions:
    """Deleted keys at Content Servers."""

    pending: int
    confirmed: int


@dataclass(frozen=True)
class DirectoryStatus:
    """What guardians agree on, in numbers."""

    guardians: int
    needed: int
    raidas: int
    agreed_at: Optional[datetime]


@dataclass(frozen=True)
class Sandbox:
    """What the kernel refuses the daemon."""

    landlock: str
    """``off``, ``writes`` or ``reads_and_writes``."""
    seccomp: bool
    no_new_privs: bool


@dataclass(frozen=True)
class Status:
    """The state of the daemon."""

    sessions: SessionsStatus
    keystore: KeystoreStatus
    config: Dict[str, Any]
    """Settings by the daemon's names, ``session_timeout_sec`` among them."""
    secret_memory: SecretMemory
    daemon: DaemonStatus
    remote_deletions: RemoteDeletions
    directory: Optional[DirectoryStatus]
    """``None`` if the daemon has no guardians."""
    sandbox: Sandbox

"""What a backend had, or is to have, on a host, as the content of a file."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Final

from ctpolicy.errors import StateError

_VERSION: Final = "ctpolicy.snapshot/v1"
_LEVEL: Final = 1
"""Of compression: 100,000 prefixes, 4.9 MB, take 10 ms and become 0.28 MB; level 9 takes 0.1 s for 0.24 MB."""

_MOST: Final = 1 << 28
"""Bytes that a file may unfold to."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one backend has on a host.

    Args:
        backend: its name.
        own: what it has, as the backend writes it; None if nothing.
    """

    backend: str
    own: str | None

    @property
    def digest(self) -> str:
        """Equal for equal content."""
        return hashlib.sha256(f"{self.backend}\0{self.own or ''}".encode(errors="surrogateescape")).hexdigest()


def packed(snapshot: Snapshot) -> bytes:
    """The file's content; equal snapshots give equal bytes."""
    content = {"apiVersion": _VERSION, **asdict(snapshot), "sha256": snapshot.digest}
    return gzip.compress(json.dumps(content).encode(), _LEVEL, mtime=0)


def unpacked(content: bytes, name: str) -> Snapshot:
    """The snapshot that a file holds.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        StateError: it is damaged.
    """
    try:
        unfolded = zlib.decompressobj(wbits=31)
        found: Any = json.loads(unfolded.decompress(content, _MOST))
        snapshot = Snapshot(found["backend"], found["own"])
        whole = unfolded.eof and found["apiVersion"] == _VERSION and found["sha256"] == snapshot.digest
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(_damaged(name)) from error
    if not whole:
        raise StateError(_damaged(name))
    return snapshot


def _damaged(name: str) -> str:
    return f"{name} is damaged, and nothing of it is used. `ctpolicy history` shows what else there is to go back to."

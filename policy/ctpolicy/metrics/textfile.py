"""The door to the files that node_exporter's textfile collector reads."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from ctpolicy.errors import HostError

_MODE: Final = 0o644
"""node_exporter runs as a user of its own."""


def write_textfile(path: Path, content: bytes) -> None:
    """Put a file in its place at once: whoever reads it finds the old one or the new one, and never a part.

    Raises:
        HostError: it cannot be written; what was there still is.
    """
    try:
        # Beside it, because only within a file system can a file be renamed. node_exporter reads `*.prom` alone.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        with suppress(FileNotFoundError):  # it has its name
            Path(temporary).unlink()


def _not_written(path: Path, error: OSError) -> HostError:
    return HostError(f"{path} cannot be written: {error.strerror}.")

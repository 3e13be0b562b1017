"""The door to clocks, and to who is there."""

from __future__ import annotations

import os
import pwd
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """The machine's clocks. A fake stands in for it in tests."""

    def boot(self) -> str:
        """Which boot of the machine this is."""
        return _BOOT.read_text().strip()

    def since_boot(self) -> float:
        """Seconds, also those of a suspend; no setting of the time of day moves it."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> str:
        """The time of day, UTC in ISO 8601, for people."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def user() -> str:
    """Who runs this, and whom sudo says it was run for."""
    invoked_by = os.environ.get("SUDO_USER")
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"{name} ({invoked_by})" if invoked_by and invoked_by != name else name

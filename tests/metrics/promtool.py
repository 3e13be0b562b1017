"""promtool, Prometheus' own judge of metrics and rules."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def promtool(*arguments: str | Path, stdin: bytes = b"") -> str:
    """Run it; an assertion with what it says if it is not content. Its advice (standard error) counts as that."""
    program = shutil.which("promtool") or str(Path(sys.executable).parent / "promtool")
    assert Path(program).exists(), "promtool is not here: run tools/unpack-promtool"
    done = subprocess.run([program, *map(str, arguments)], input=stdin, capture_output=True, timeout=60)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said

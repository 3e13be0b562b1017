"""docs/metrics.md says what is told, no more and no less, and its units are some that systemd takes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from ctpolicy.cli.host_metrics import PARTS
from ctpolicy.metrics.gathering import SECONDS
from ctpolicy.metrics.server import MOST_CLIENTS
from ctpolicy.netfilter.drift import DriftKind
from metrics.test_metrics_examples import every_metric

DOCUMENT: Final = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_the_table_has_every_metric_with_its_type_labels_and_help() -> None:
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("| `ctpolicy_")]
    assert rows == [
        f"| `{one.name}` | {one.kind.value} | {', '.join(f'`{label}`' for label in one.labels)} | {one.help} |"
        for one in every_metric()
    ]


def test_kinds_parts_and_bounds_are_those_of_the_code() -> None:
    text = words(DOCUMENT)
    kinds = [kind.value for kind in DriftKind if kind is not DriftKind.SHADOWED]
    assert f"what was done: {', '.join(kinds)}; or `shadowed`" in text
    said = re.search(r"The parts are (.*?)\. The exit status", text)
    assert said is not None
    assert re.findall(r"`(\w+)`", said[1]) == list(PARTS)
    assert f"At most {MOST_CLIENTS} clients" in text
    assert f"`--timeout` ({SECONDS:g} seconds;" in text


def test_units_are_some_that_systemd_takes(tmp_path: Path) -> None:
    service, timer = re.findall(r"^```ini\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    (tmp_path / "ctpolicy-metrics.service").write_text(service.replace("/usr/local/bin/ctpolicy", "/bin/true"))
    (tmp_path / "ctpolicy-metrics.timer").write_text(timer)
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    environment = os.environ | {"SYSTEMD_LOG_LEVEL": "warning"}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], env=environment, capture_output=True, text=True, timeout=60
    )
    ours = [line for line in done.stderr.splitlines() if "ctpolicy" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_the_timer_writes_what_the_alert_about_old_metrics_looks_at() -> None:
    written = set(re.findall(r"--textfile (\S+)", DOCUMENT))
    assert written == {"/var/lib/prometheus/node-exporter/ctpolicy.prom"}
    assert re.fullmatch(r"(.*/)?ctpolicy\.prom", written.pop())

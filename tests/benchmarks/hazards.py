"""What looking for hazards takes on a Kubernetes node, by what is bypassed: with the words and the packet of each."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.measuring import Measurement, show
from ctpolicy.hazards.between import hazards_between
from ctpolicy.hazards.hazard import in_few
from ctpolicy.hazards.rules import HostRules
from ctpolicy.language.load import load_text
from ctpolicy.meaning_space import bypass_space
from hazards.kube_proxy import in_iptables_mode, in_nft_mode

SECONDS_LIMIT: Final = 30.0
MEGABYTES_LIMIT: Final = 1_000.0
SERVICES: Final = 1_000

_ENTRIES: Final = (
    "overlay: vxlan",
    "host-service: tcp/9100",
    "host-client: udp/53",
    "forward: tcp/80",
    "ports: tcp/80",
)
_MODES: Final[Mapping[str, Callable[[int], HostRules]]] = {"iptables": in_iptables_mode, "nft": in_nft_mode}


def measure_hazards() -> list[Measurement]:
    """Of a thousand services in both modes of kube-proxy; processor time, since others may run."""
    rows = []
    for mode, node in _MODES.items():
        group, host = f"hazards, {SERVICES:,} services of kube-proxy in {mode} mode", node(SERVICES)
        for entry in _ENTRIES:
            took = _seconds(host, entry)
            rows.append(Measurement(group, f"{entry}, to 30 s", took, "s", took / SECONDS_LIMIT, 1.0))
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append(Measurement(group, "memory, to 1 GB", megabytes, "MB", megabytes / MEGABYTES_LIMIT, 1.0))
    return rows


def _seconds(host: HostRules, entry: str) -> float:
    text = f"apiVersion: ctpolicy/v1\nname: benchmark\nbypass:\n  - name: entry\n    {entry}\n"
    space = bypass_space(load_text(text))
    began = time.process_time()
    for hazard in in_few(hazards_between(host, space, space)):
        assert str(hazard)
        assert hazard.packets()
    return time.process_time() - began


if __name__ == "__main__":
    show(measure_hazards())

"""`make bench`: what packets, plans, changes, spaces of packets and a start cost. Exits with 1 if a limit is missed."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.changes import measure_changes
from benchmarks.commands import measure_compile, measure_plan, measure_start
from benchmarks.conntrack_stats import measure_conntrack_stats
from benchmarks.hazards import measure_hazards
from benchmarks.iptables_commands import measure_iptables_commands
from benchmarks.measuring import save, show
from benchmarks.packet_cost import measure_ports, measure_prefixes
from benchmarks.packet_cost_iptables import measure_iptables_ports
from benchmarks.packet_spaces import measure_spaces
from benchmarks.plans import measure_plans
from benchmarks.reviews import measure_reviews

REPORT = Path("build/benchmarks.json")


def main() -> int:
    measurements = [
        *measure_start(),
        *measure_plan(),
        *measure_plans(),
        *measure_changes(),
        *measure_compile(),
        *measure_reviews(),
        *measure_hazards(),
        *measure_spaces(),
        *measure_ports(),
        *measure_prefixes(),
        *measure_iptables_ports(),
        *measure_iptables_commands(),
        *measure_conntrack_stats(),
    ]
    show(measurements)
    save(measurements, REPORT)
    print(f"\n{REPORT} has all of this.")
    return 1 if any(measurement.is_missed for measurement in measurements) else 0


if __name__ == "__main__":
    sys.exit(main())

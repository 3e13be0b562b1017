"""What `ctpolicy conntrack stats` costs beside the three pipelines that operators use, in time and in memory."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.measuring import Measurement, least, seconds
from kernel.namespace import Namespace

SAVED: Final = 1_000_000
LIVE: Final = 200_000
MEGABYTES: Final = 100
"""The most memory that is meant to be taken."""

_PIPELINES: Final = (
    "{} | wc -l",
    "{} | awk '/tcp/ {{sum[$6]++}} END {{for (s in sum) print s, sum[s]}}'",
    "{} | awk '{{print $7}}' | cut -d= -f2 | sort | uniq -c | sort -nr | head",
)
_STATES: Final = (*["ESTABLISHED"] * 60, *["TIME_WAIT"] * 30, *["CLOSE"] * 5, *["CLOSE_WAIT"] * 5)
_STATS: Final = (sys.executable, "-m", "ctpolicy", "conntrack", "stats")


def measure_conntrack_stats() -> list[Measurement]:
    """Of a saved table and of a live one."""
    with tempfile.TemporaryDirectory() as directory:
        return [*_measure_saved(Path(directory) / "table"), *_measure_live(Path(directory) / "entries")]


def _measure_saved(table: Path) -> list[Measurement]:
    write_table(table, SAVED)
    return _measured(f"a saved table of {SAVED:,} entries", _pipelines(f"cat {table}"), (*_STATS, str(table)), 5)


def _measure_live(entries: Path) -> list[Measurement]:
    write_insertions(entries, LIVE)
    with Namespace() as host:
        host.run("conntrack", "-R", entries)
        there = int(host.run("conntrack", "-C").stdout)
        if there != LIVE:
            raise AssertionError(f"{there} entries instead of {LIVE}: is nf_conntrack_max too low here?")
        pipelines = host.command(*_pipelines("conntrack -L -o extended 2>/dev/null"))
        return _measured(f"a live table of {LIVE:,} entries", pipelines, (*_STATS, "--netns", str(host.path)), 5)


def _measured(group: str, pipelines: Sequence[str], stats: Sequence[str], runs: int) -> list[Measurement]:
    took = least(runs, {"pipelines": seconds(partial(_run, pipelines)), "stats": seconds(partial(_run, stats))})
    memory = peak_megabytes(stats)
    ratio = took["stats"] / took["pipelines"]
    return [
        Measurement(group, "the three pipelines, one after the other", 1000 * took["pipelines"], "ms", 1.0),
        Measurement(group, "ctpolicy conntrack stats", 1000 * took["stats"], "ms", ratio, 1.0),
        Measurement(group, "memory of its largest process", memory, "MB", memory / MEGABYTES, 1.0),
    ]


def _pipelines(source: str) -> list[str]:
    return ["sh", "-c", "; ".join(pipeline.format(source) for pipeline in _PIPELINES)]


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, capture_output=True, check=True)


def peak_megabytes(command: Sequence[str]) -> float:
    """The most memory that a process of a command has had, it or one of its children."""
    measured = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", measured, *command], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1000


def write_table(path: Path, number: int) -> None:
    """A table as `conntrack -L -o extended` prints that of a busy node: 20,000 peers, TCP, VXLAN, DNS, some NAT."""
    order = random.Random(6)
    with path.open("w") as file:
        for _ in range(number):
            file.write(f"{_line(order)}\n")


def _line(order: random.Random) -> str:
    here = f"10.0.{order.randrange(80)}.{order.randrange(256)}"
    there = f"192.168.{order.randrange(4)}.{order.randrange(200)}"
    port, kind = order.randrange(1024, 65536), order.random()
    if kind < 0.6:
        answering = f"172.17.0.{order.randrange(9)}" if order.random() < 0.1 else there
        service = order.choice((80, 443, 22, 5432, 9100))
        return (
            f"ipv4     2 tcp      6 {order.randrange(431_999)} {order.choice(_STATES)} src={here} dst={there} "
            f"sport={port} dport={service} "
            f"src={answering} dst={here} sport={service} dport={port} [ASSURED] mark=0 use=1"
        )
    if kind < 0.98:
        service, unreplied = order.choice(((53, ""), (123, ""), (4789, " [UNREPLIED]")))
        return (
            f"ipv4     2 udp      17 {order.randrange(180)} src={here} dst={there} sport={port} "
            f"dport={service}{unreplied} src={there} dst={here} sport={service} dport={port} mark=0 use=1"
        )
    return (
        f"ipv4     2 icmp     1 {order.randrange(30)} src={here} dst={there} type=8 code=0 id={port} "
        f"src={there} dst={here} type=0 code=0 id={port} mark=0 use=1"
    )


def write_insertions(path: Path, number: int) -> None:
    """The same shape of table, for `conntrack -R`."""
    with path.open("w") as file:
        for at in range(number):
            addresses = f"-s 10.{at % 7}.{at // 1000}.{at % 250} -d 10.9.{at % 10}.1 --sport {1024 + at % 60_000}"
            kind = "udp --dport 4789" if at % 3 == 0 else "tcp --dport 443 --state ESTABLISHED -u SEEN_REPLY,ASSURED"
            file.write(f"-I -t 600 -p {kind} {addresses}\n")
